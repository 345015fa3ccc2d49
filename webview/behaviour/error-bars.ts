// Intervals of a chart's points: a bar with caps from low to high.
import { type ChartDataset, type Plugin } from 'chart.js';
import { type CurvePoint } from './curve';

/** A mark on a chart; without an interval on lines such as the refusal score. */
export interface Dot {
  x: number;
  y: number;
  interval?: { low: number; high: number };
  point: CurvePoint;
}

/** Of a tooltip's item. */
export function dotOf({ raw }: { raw: unknown }): Dot {
  return raw as Dot;
}

export type FigureLine = ChartDataset<'line', Dot[]>;

const CAP = 3;

export const errorBars: Plugin<'line'> = {
  id: 'errorBars',
  beforeDatasetDraw: (chart, { index }) => {
    const { data, borderColor } = chart.data.datasets[index] as unknown as FigureLine;
    const { x, y } = chart.scales;
    if (!x || !y) return;
    const paint = chart.ctx;
    paint.save();
    paint.strokeStyle = borderColor as string;
    paint.lineWidth = 1.5;
    paint.beginPath();
    for (const { x: count, interval } of data) {
      if (!interval) continue;
      const at = x.getPixelForValue(count);
      const [low, high] = [y.getPixelForValue(interval.low), y.getPixelForValue(interval.high)];
      paint.moveTo(at, low);
      paint.lineTo(at, high);
      for (const end of [low, high]) {
        paint.moveTo(at - CAP, end);
        paint.lineTo(at + CAP, end);
      }
    }
    paint.stroke();
    paint.restore();
  },
};
