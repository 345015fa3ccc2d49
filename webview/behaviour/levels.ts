// Levels across a chart with their names at the right end: those of the aligned model and of the original adapter.
import { Chart, type Plugin } from 'chart.js';
import { type Theme } from '../shared/theme';
import { paintText } from '../shared/ui';

export interface Level {
  value: number;
  label: string;
  dashes: number[];
}

const LINE_HEIGHT = 14;
const GAP = 6;
/** A piece of the level's line before its name. */
const SAMPLE = 16;

/** The room that labels need beside a chart, in CSS pixels. */
export function roomFor(levels: readonly Level[]): number {
  const paint = document.createElement('canvas').getContext('2d')!;
  paint.font = font();
  return Math.max(0, ...levels.map(({ label }) => paint.measureText(label).width)) + SAMPLE + 3 * GAP;
}

/** @param shown asked at each drawing */
export function levelLines(
  shown: () => { levels: readonly Level[]; theme: Theme; room: number } | null,
): Plugin<'line'> {
  return {
    id: 'levels',
    beforeDatasetsDraw: (chart) => {
      const found = shown();
      const { y } = chart.scales;
      if (!found || !y) return;
      const { left, right, top, bottom } = chart.chartArea;
      const paint = chart.ctx;
      const labelled = chart.width - found.room + GAP;
      const levels = found.levels.map((level) => ({ ...level, at: y.getPixelForValue(level.value) }));
      const places = apart(
        levels.map(({ at }) => at),
        top,
        bottom,
      );
      paint.save();
      paint.strokeStyle = found.theme.muted;
      paint.fillStyle = found.theme.foreground;
      paint.font = font();
      paint.textBaseline = 'middle';
      levels.forEach(({ at, dashes, label }, i) => {
        const place = places[i]!;
        paint.setLineDash(dashes);
        paint.beginPath();
        paint.moveTo(left, at);
        paint.lineTo(right, at);
        paint.moveTo(labelled, place);
        paint.lineTo(labelled + SAMPLE, place);
        paint.stroke();
        paintText(paint, label, labelled + SAMPLE + GAP, place);
      });
      paint.restore();
    },
  };
}

/** Moves two labels apart that would overlap, within the chart. */
function apart(places: readonly number[], top: number, bottom: number): number[] {
  const [first, second] = places;
  if (first === undefined || second === undefined || Math.abs(first - second) >= LINE_HEIGHT) return [...places];
  const half = LINE_HEIGHT / 2;
  const middle = Math.min(Math.max((first + second) / 2, top + half), bottom - half);
  return first <= second ? [middle - half, middle + half] : [middle + half, middle - half];
}

function font(): string {
  return `11px ${Chart.defaults.font.family ?? 'sans-serif'}`;
}
