// How time and memory grow with the number of layers, and the plot of it.
import { type ModuleTask } from '../../src/engine/protocol';
import { cpuSetup, type EngineSetup, median, runEngine, warmUp } from './measure';

const ROUNDS = 3;

export interface ScalingPoint {
  layers: number;
  /** Median, from the engine's start to the last module. */
  engineMs: number;
  peakMiB: number | null;
}

/** @param tasks in the order of their layers, @param perLayer modules of each */
export async function measureScaling(
  tasks: ModuleTask[],
  perLayer: number,
  layerCounts: readonly number[],
  setup: EngineSetup = cpuSetup,
): Promise<ScalingPoint[]> {
  const parts = layerCounts.map((layers) => tasks.slice(0, layers * perLayer));
  const peaks: (number | null)[] = [];
  for (const part of parts) peaks.push((await warmUp(part, setup)).peakMiB);
  const times = parts.map((): number[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, part] of parts.entries()) times[i]!.push((await runEngine(part, setup)).ms);
  }
  return layerCounts.map((layers, i) => ({ layers, engineMs: median(times[i]!), peakMiB: peaks[i]! }));
}

const WIDTH = 360;
const HEIGHT = 240;
const MARGIN = { left: 56, right: 16, top: 36, bottom: 44 };

/** An SVG with two panels, time and memory over layers, on white so that it reads on any page. */
export function scalingPlot(points: readonly ScalingPoint[]): string {
  const title = `Time and memory over ${points.map(({ layers }) => layers).join(', ')} layers of q_proj and v_proj, 4096 × 4096`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${2 * WIDTH} ${HEIGHT}" role="img" font-family="sans-serif" font-size="12">`,
    `<title>${title}</title>`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    panel(
      0,
      'Time, ms',
      '#0b5cad',
      points.map(({ layers, engineMs }) => [layers, engineMs]),
    ),
    panel(
      WIDTH,
      'Peak memory, MiB',
      '#a33b00',
      points.map(({ layers, peakMiB }) => [layers, peakMiB ?? 0]),
    ),
    '</svg>',
    '',
  ].join('\n');
}

function panel(left: number, title: string, colour: string, values: readonly (readonly [number, number])[]): string {
  const lastX = Math.max(...values.map(([x]) => x));
  const step = niceStep(Math.max(...values.map(([, y]) => y)) / 4);
  const ticks = Array.from({ length: 5 }, (_, i) => i * step);
  const x = (value: number): number =>
    Math.round(left + MARGIN.left + (value / lastX) * (WIDTH - MARGIN.left - MARGIN.right));
  const y = (value: number): number =>
    Math.round(HEIGHT - MARGIN.bottom - (value / (4 * step)) * (HEIGHT - MARGIN.top - MARGIN.bottom));
  const text = (atX: number, atY: number, anchor: string, content: string | number): string =>
    `<text x="${atX}" y="${atY}" text-anchor="${anchor}" fill="#222222">${content}</text>`;
  // Where powers of two stand too close for their labels, only the later ones have one.
  const labelled = values.filter(([value]) => x(value) - x(0) >= 16 || value === values[0]![0]);
  return [
    `<text x="${left + MARGIN.left}" y="20" font-weight="bold" fill="#222222">${title}</text>`,
    ...ticks.map(
      (tick) =>
        `<line x1="${x(0)}" x2="${x(lastX)}" y1="${y(tick)}" y2="${y(tick)}" stroke="#dddddd"/>` +
        text(x(0) - 6, y(tick) + 4, 'end', tick),
    ),
    ...labelled.map(([value]) => text(x(value), HEIGHT - MARGIN.bottom + 16, 'middle', value)),
    text(x(lastX / 2), HEIGHT - 8, 'middle', 'layers'),
    `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${values.map(([at, value]) => `${x(at)},${y(value)}`).join(' ')}"/>`,
    ...values.map(([at, value]) => `<circle cx="${x(at)}" cy="${y(value)}" r="3.5" fill="${colour}"/>`),
  ].join('\n');
}

/** The next 1, 2, 2.5 or 5 times a power of ten. */
function niceStep(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 2.5, 5, 10].find((factor) => factor * power >= value)!;
}
