// A vertical line at the number of selected modules, through every chart of the curve.
import { type Plugin } from 'chart.js';
import { type Theme } from '../shared/theme';

/** @param shown asked at each drawing, so that moving the line needs no update of the chart */
export function selectionMark(shown: () => { selected: number; theme: Theme } | null): Plugin<'line'> {
  return {
    id: 'selectionMark',
    beforeDatasetsDraw: (chart) => {
      const found = shown();
      const { x } = chart.scales;
      if (!found || !x || found.selected > x.max) return;
      const { top, bottom } = chart.chartArea;
      const at = x.getPixelForValue(found.selected);
      const paint = chart.ctx;
      paint.save();
      paint.strokeStyle = found.theme.foreground;
      paint.lineWidth = 2;
      paint.globalAlpha = found.theme.highContrast ? 1 : 0.7;
      paint.beginPath();
      paint.moveTo(at, top);
      paint.lineTo(at, bottom);
      paint.stroke();
      paint.restore();
    },
  };
}
