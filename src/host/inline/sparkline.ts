// Similarity by layer as a small picture: one bar per layer, the chance level across it, τ over all of them.
import { localised } from '../../core/text';
import { type ModuleReport } from '../../core/report';

export interface SparklineOptions {
  modules: readonly ModuleReport[];
  selected: ReadonlySet<string>;
  /** Null if modules are selected by count. */
  threshold: number | null;
  dark: boolean;
}

const SIZE = { width: 360, height: 72 };
const PAD = { left: 26, right: 4, top: 6, bottom: 6 };
// The page's hues, distinguishable for all colour-blind people.
const COLORS = {
  dark: { bar: '#8a8a8a', selected: '#56b4e9', level: '#f0e442', threshold: '#e69f00', text: '#cccccc' },
  light: { bar: '#8a8a8a', selected: '#0072b2', level: '#7a5c00', threshold: '#d55e00', text: '#333333' },
};

/** The editor truncates a hover at 100,000 characters, and a bar takes 200. */
const MOST_BARS = 128;

/** The picture as an image URL; for very many modules only the lowest of each layer. */
export function sparkline({ modules: all, selected, threshold, dark }: SparklineOptions): string {
  const modules = all.length > MOST_BARS ? lowestOfLayers(all).slice(0, MOST_BARS) : all;
  const colors = COLORS[dark ? 'dark' : 'light'];
  const [width, height] = [SIZE.width - PAD.left - PAD.right, SIZE.height - PAD.top - PAD.bottom];
  const step = width / Math.max(modules.length, 1);
  const gap = Math.min(3, step / 4);
  const values = modules.flatMap(({ similarity, nullSimilarity }) => [similarity ?? 0, nullSimilarity ?? 0]);
  const top = Math.max(...values, threshold ?? 0) > 0.5 ? 1 : 0.5;
  const y = (value: number): number => PAD.top + (1 - value / top) * height;
  const line = (x1: number, x2: number, at: number, color: string, dash: string): string =>
    `<line x1="${n(x1)}" x2="${n(x2)}" y1="${n(y(at))}" y2="${n(y(at))}" stroke="${color}" stroke-width="1.5"${dash}/>`;
  const bars = modules.map(({ name, similarity, nullSimilarity }, i) => {
    const [left, right] = [PAD.left + i * step + gap / 2, PAD.left + (i + 1) * step - gap / 2];
    const chosen = selected.has(name);
    const bar =
      similarity === null
        ? ''
        : `<rect x="${n(left)}" width="${n(right - left)}" y="${n(y(similarity))}" height="${n(Math.max(1, y(0) - y(similarity)))}" fill="${chosen ? colors.selected : colors.bar}"/>`;
    return bar + (nullSimilarity === null ? '' : line(left, right, nullSimilarity, colors.level, ''));
  });
  const label = (value: number): string =>
    `<text x="${PAD.left - 5}" y="${n(y(value) + 4)}" text-anchor="end" fill="${colors.text}">${localised(value)}</text>`;
  const tau =
    threshold === null
      ? ''
      : line(PAD.left, SIZE.width - PAD.right, threshold, colors.threshold, ' stroke-dasharray="5 3"');
  const svg = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${SIZE.width}" height="${SIZE.height}" font-family="sans-serif" font-size="10">`,
    ...bars,
    tau,
    label(0),
    label(top),
    '</svg>',
  ].join('');
  return `data:image/svg+xml;base64,${Buffer.from(svg).toString('base64')}`;
}

function lowestOfLayers(modules: readonly ModuleReport[]): ModuleReport[] {
  const lowest = new Map<string, ModuleReport>();
  for (const module of modules) {
    const layer = `${module.stack ?? ''} ${module.layer ?? ''}`;
    const other = lowest.get(layer);
    if (!other || (module.similarity ?? 2) < (other.similarity ?? 2)) lowest.set(layer, module);
  }
  return [...lowest.values()];
}

function n(value: number): string {
  return String(Number(value.toFixed(2)));
}
