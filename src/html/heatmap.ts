// Similarities by layer and kind as a picture; each cell also has its text, so that colour never carries information alone.
import { interpolateCividis } from 'd3-scale-chromatic';
import { type ModuleReport } from '../core/report';
import { decimal, signed } from '../core/text';
import { html, type Markup } from './markup';

const CELL = { width: 34, height: 24, gap: 2 };
/** Maximum layers with room for numbers. */
const MOST_NUMBERED = 28;
const LABEL_WIDTH = 130;

/** One per stack of the model. */
export function heatmaps(modules: readonly ModuleReport[]): Markup[] {
  const stacks = [...new Set(modules.map(({ stack }) => stack))];
  return stacks.map((stack) =>
    heatmap(
      stack,
      modules.filter((module) => module.stack === stack),
    ),
  );
}

/** Experts of one layer share a cell. */
interface Cell {
  row: number;
  column: number;
  modules: ModuleReport[];
}

function heatmap(stack: string | null, modules: readonly ModuleReport[]): Markup {
  const layers = [...new Set(modules.map(({ layer }) => layer))].sort((a, b) => (a ?? -1) - (b ?? -1));
  const kinds = [...new Set(modules.map(({ kind }) => kind))];
  const cells = new Map<string, Cell>();
  for (const module of modules) {
    const [row, column] = [kinds.indexOf(module.kind), layers.indexOf(module.layer)];
    const cell = cells.get(`${row} ${column}`) ?? { row, column, modules: [] };
    cell.modules.push(module);
    cells.set(`${row} ${column}`, cell);
  }
  const isNumbered = layers.length <= MOST_NUMBERED;
  const width = isNumbered ? CELL.width : Math.max(8, Math.floor((MOST_NUMBERED * CELL.width) / layers.length));
  const [pictureWidth, pictureHeight] = [LABEL_WIDTH + layers.length * (width + CELL.gap), (kinds.length + 1) * (CELL.height + CELL.gap)]; // prettier-ignore
  const x = (column: number): number => LABEL_WIDTH + column * (width + CELL.gap);
  const y = (row: number): number => row * (CELL.height + CELL.gap);
  const step = Math.max(1, Math.ceil(20 / width));
  return html`<figure>
    <svg
      viewBox="0 0 ${pictureWidth} ${pictureHeight}"
      style="max-width:${pictureWidth}px"
      role="img"
      aria-label="Similarity of each module, by target module and layer"
    >
      ${kinds.map((kind, row) => html`<text class="label" x="${LABEL_WIDTH - 8}" y="${y(row) + 16}" text-anchor="end">${kind}</text>`)}
      ${layers.map((layer, column) => (column % step === 0 ? html`<text class="label" x="${x(column) + width / 2}" y="${y(kinds.length) + 16}" text-anchor="middle">${layer ?? '–'}</text>` : ''))}
      ${[...cells.values()].map((cell) => drawn(cell, x(cell.column), y(cell.row), width, isNumbered))}
    </svg>
    <figcaption>
      ${stack === null ? '' : html`<b>${stack}</b>: `}Similarity by target module and layer, from 0 (dark) to 1 (light);
      selected modules have a frame.
    </figcaption>
  </figure>`;
}

function drawn({ modules }: Cell, x: number, y: number, width: number, isNumbered: boolean): Markup {
  const known = modules.map(({ similarity }) => similarity).filter((value) => value !== null);
  const mean = known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
  const selected = modules.filter((module) => module.selected).length;
  const fill = mean === null ? 'none' : interpolateCividis(mean);
  const ink = mean !== null && mean < 0.45 ? '#fff' : '#000';
  const [first] = modules as [ModuleReport];
  const title =
    modules.length === 1
      ? `${first.name}: similarity ${decimal(first.similarity)}, agreement ${signed(first.direction)}${first.selected ? ', selected' : ''}`
      : `${modules.length} experts of layer ${first.layer ?? '–'}, ${first.kind}: similarity ${decimal(mean)} on average, ${selected} selected`;
  const frame = selected === 0 ? null : html`<rect class="selected" x="${x + 1.5}" y="${y + 1.5}" width="${width - 3}" height="${CELL.height - 3}" />`; // prettier-ignore
  const number = isNumbered ? html`<text x="${x + width / 2}" y="${y + 16}" text-anchor="middle" fill="${mean === null ? 'currentColor' : ink}">${mean === null ? '–' : decimal(mean, 2)}</text>` : null; // prettier-ignore
  return html`<g
    ><title>${title}</title
    ><rect x="${x}" y="${y}" width="${width}" height="${CELL.height}" fill="${fill}" class="cell" />${frame}${number}</g
  >`;
}
