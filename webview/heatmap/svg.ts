// A heatmap as SVG, for a document or a slide: the same cells, colours and marks as on the page, with each value as a title.
import { type SharedStrings } from '../../src/page/strings';
import { visible } from '../../src/core/text';
import { scaleColor, type Theme } from '../shared/theme';
import { chartLabel } from '../shared/ui';
import { type Look } from './block-chart';
import { lookOf } from './cell-look';
import { type Block, type Cell } from './layout';
import { marksLine } from './legend';
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
  look: Look,
  strings: SharedStrings,
): string {
  const { shown, theme } = look;
  const widths = blocks.map(({ columns }) => LABELS.left + columns.length * CELL.width + MARGIN);
  const width = Math.max(
    420,
    widths.reduce((sum, one) => sum + one, MARGIN),
  );
  const bodies = blocks.map((block, i) => {
    const left = MARGIN + widths.slice(0, i).reduce((sum, one) => sum + one, 0);
    return `<g transform="translate(${left} ${TOP})">${blockText(block, blocks.length > 1, source, look, strings)}</g>`;
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
    `<text x="${MARGIN}" y="${height - 10}">${escaped(marksLine(strings))}</text>`,
    '</svg>\n',
  ].join('\n');
}

function blockText(
  { stack, rows, columns, cells }: Block,
  named: boolean,
  source: HeatmapSource,
  look: Look,
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
    ...cells.map((cell) => cellText(cell, source, look)),
  ].join('\n');
}

function cellText(cell: Cell, source: HeatmapSource, { shown, theme }: Look): string {
  const { color, ink, projected, nearNull, opens, selected } = lookOf(cell, source, shown, theme);
  const [x, y] = [LABELS.left + cell.column * CELL.width, LABELS.top + cell.row * CELL.height];
  const [width, height] = [CELL.width - CELL.gap, CELL.height - CELL.gap];
  const [middle, baseline] = [y + height / 2, y + height / 2 + 4];
  const fill = color === null ? `fill="none" stroke="${theme.grid}"` : `fill="${color}"`;
  const signs = [
    projected ? `<path d="M${x + width - 9} ${y}h9v9z" fill="${theme.mark}"/>` : '',
    nearNull ? `<text x="${x + 5}" y="${baseline}" fill="${ink}">≈</text>` : '',
    opens ? `<text x="${x + width - 10}" y="${baseline}" fill="${ink}">›</text>` : '',
    selected > 0 ? dot(x + width / 2, middle, selected, ink) : '',
  ];
  return `<g><title>${escaped(source.say(cell.modules))}</title><rect x="${x}" y="${y}" width="${width}" height="${height}" ${fill}/>${signs.join('')}</g>`;
}

/** @param share filled part, above 0 */
function dot(x: number, y: number, share: number, ink: string): string {
  if (share === 1) return `<circle cx="${x}" cy="${y}" r="4" fill="${ink}"/>`;
  const angle = 2 * Math.PI * share;
  const end = `${(x + 4 * Math.sin(angle)).toFixed(2)} ${(y - 4 * Math.cos(angle)).toFixed(2)}`;
  const part = `M${x} ${y}V${y - 4}A4 4 0 ${share > 0.5 ? 1 : 0} 1 ${end}Z`;
  return `<circle cx="${x}" cy="${y}" r="4" fill="none" stroke="${ink}"/><path d="${part}" fill="${ink}"/>`;
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
