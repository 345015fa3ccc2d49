// A heatmap as SVG, for a document or a slide: the same cells, colours and marks as on the page, with each value as a title.
import { type SharedStrings } from '../../src/page/strings';
import { visible } from '../../src/core/text';
import { fractionOf } from '../shared/measures';
import { inkOn, scaleColor, type Theme } from '../shared/theme';
import { chartLabel } from '../shared/ui';
import { type Block, type Cell } from './layout';
import { type HeatmapSource, type Shown } from './source';

const CELL = { width: 72, height: 22, gap: 2 };
const MARGIN = 20;
const LABELS = { left: 44, top: 24 };
const TOP = 60;
const BOTTOM = 70;

/** @returns the text of an SVG file */
export function svgOf(
  title: string,
  blocks: readonly Block[],
  source: HeatmapSource,
  theme: Theme,
  strings: SharedStrings,
): string {
  const { shown } = source;
  const widths = blocks.map(({ columns }) => LABELS.left + columns.length * CELL.width + MARGIN);
  const width = Math.max(
    420,
    widths.reduce((sum, one) => sum + one, MARGIN),
  );
  const bodies = blocks.map((block, i) => {
    const left = MARGIN + widths.slice(0, i).reduce((sum, one) => sum + one, 0);
    return `<g transform="translate(${left} ${TOP})">${blockText(block, blocks.length > 1, source, theme, strings)}</g>`;
  });
  const body = Math.max(...blocks.map(({ rows }) => LABELS.top + rows.length * CELL.height));
  const height = TOP + body + BOTTOM;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" fill="${theme.foreground}">`,
    `<rect width="100%" height="100%" fill="${theme.background}"/>`,
    `<text x="${MARGIN}" y="24" font-size="14" font-weight="600">${escaped(title)}</text>`,
    `<text x="${MARGIN}" y="44">${escaped(shown.name)}</text>`,
    ...bodies,
    scaleText(shown, theme, TOP + body + 16),
    `<text x="${MARGIN}" y="${height - 10}">${escaped(`● ${strings.legend.selected}   ◥ ${strings.legend.projected}   ≈ ${strings.legend.nearNull}`)}</text>`,
    '</svg>\n',
  ].join('\n');
}

function blockText(
  { stack, rows, columns, cells }: Block,
  named: boolean,
  source: HeatmapSource,
  theme: Theme,
  strings: SharedStrings,
): string {
  const middle = (index: number, size: number): number => (index + 0.5) * size;
  return [
    named ? `<text y="-4" font-weight="600">${escaped(stack ?? strings.mainStack)}</text>` : '',
    ...columns.map(
      (kind, i) =>
        `<text x="${LABELS.left + middle(i, CELL.width)}" y="16" text-anchor="middle">${escaped(chartLabel(kind))}</text>`,
    ),
    ...rows.map(
      (row, i) =>
        `<text x="${LABELS.left - 8}" y="${LABELS.top + middle(i, CELL.height) + 4}" text-anchor="end">${escaped(row)}</text>`,
    ),
    ...cells.map((cell) => cellText(cell, source, theme)),
  ].join('\n');
}

function cellText({ row, column, modules }: Cell, source: HeatmapSource, theme: Theme): string {
  const { shown } = source;
  const value = source.value(modules);
  const color = Number.isNaN(value) ? null : scaleColor(shown.scale, fractionOf(shown.range, value), theme);
  const [x, y] = [LABELS.left + column * CELL.width, LABELS.top + row * CELL.height];
  const [width, height] = [CELL.width - CELL.gap, CELL.height - CELL.gap];
  const marks = modules.map((module) => source.marks(module));
  const ink = color === null ? theme.foreground : inkOn(color);
  const selected = marks.filter((mark) => mark.selected).length;
  const signs = [
    ...(marks.some(({ projected }) => projected)
      ? [`<path d="M${x + width - 9} ${y}h9v9z" fill="${theme.mark}"/>`]
      : []),
    ...(marks.length === 1 && marks[0]!.nearNull
      ? [`<text x="${x + 5}" y="${y + height / 2 + 4}" fill="${ink}">≈</text>`]
      : []),
    ...(selected > 0
      ? [
          `<circle cx="${x + width / 2}" cy="${y + height / 2}" r="4" fill="${selected === marks.length ? ink : 'none'}" stroke="${ink}"/>`,
        ]
      : []),
  ];
  const fill = color === null ? `fill="none" stroke="${theme.grid}"` : `fill="${color}"`;
  return `<g><title>${escaped(source.say(modules))}</title><rect x="${x}" y="${y}" width="${width}" height="${height}" ${fill}/>${signs.join('')}</g>`;
}

function scaleText({ scale, range, ends, text }: Shown, theme: Theme, y: number): string {
  const steps = Array.from({ length: 65 }, (_, i) => {
    const color = scaleColor(scale, i / 64, theme);
    return `<rect x="${MARGIN + i * 6}" y="${y}" width="6.5" height="10" fill="${color}"/>`;
  });
  const [low, high] = range;
  return [
    ...steps,
    `<text x="${MARGIN}" y="${y + 24}">${escaped(`${text(low)} ${ends[0]}`)}</text>`,
    `<text x="${MARGIN + 65 * 6}" y="${y + 24}" text-anchor="end">${escaped(`${ends[1]} ${text(high)}`)}</text>`,
  ].join('\n');
}

function escaped(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return visible(text).replace(/[&<>"]/g, (character) => entities[character]!);
}
