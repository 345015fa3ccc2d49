// Arranges modules in cells: one block per stack, layers down, kinds across, experts collapsed until a layer is opened.
import { type ModuleView } from '../../src/page/adapter';

/** A module's position. */
export type ModulePosition = Pick<ModuleView, 'name' | 'stack' | 'layer' | 'kind' | 'expert'>;

export interface Cell {
  row: number;
  column: number;
  /** One module, or the experts of one kind in one layer. */
  modules: number[];
}

export interface Block {
  stack: string | null;
  rows: string[];
  columns: string[];
  cells: Cell[];
  /** Set if this block is one layer's experts. */
  layer: number | null;
}

/** The layer whose experts are shown instead of all layers. */
export interface OpenLayer {
  stack: string | null;
  layer: number | null;
}

/** @param noLayer the name of the row for modules outside all layers */
export function blocksOf(modules: readonly ModulePosition[], open: OpenLayer | undefined, noLayer: string): Block[] {
  if (open) {
    const experts = indicesOf(
      modules,
      ({ stack, layer, expert }) => stack === open.stack && layer === open.layer && expert !== null,
    );
    return [blockOf(modules, experts, open.stack, open.layer, ({ expert }) => String(expert))];
  }
  const stacks = [...new Set(modules.map((module) => module.stack))];
  return stacks.map((stack) => {
    const members = indicesOf(modules, (module) => module.stack === stack);
    return blockOf(modules, members, stack, null, ({ layer }) => (layer === null ? noLayer : String(layer)));
  });
}

function indicesOf(modules: readonly ModulePosition[], belongs: (module: ModulePosition) => boolean): number[] {
  return modules.flatMap((module, index) => (belongs(module) ? [index] : []));
}

/** Groups kinds by their part of a layer: T5's decoder has two attentions. */
function grouped(kinds: readonly string[]): string[] {
  const part = (kind: string): string => kind.slice(0, kind.lastIndexOf('.') + 1);
  const parts = [...new Set(kinds.map(part))];
  return parts.flatMap((name) => kinds.filter((kind) => part(kind) === name));
}

function blockOf(
  modules: readonly ModulePosition[],
  members: readonly number[],
  stack: string | null,
  layer: number | null,
  rowName: (module: ModulePosition) => string,
): Block {
  const rows = [...new Set(members.map((index) => rowName(modules[index]!)))];
  const columns = grouped([...new Set(members.map((index) => modules[index]!.kind))]);
  const cells = new Map<string, Cell>();
  for (const index of members) {
    const row = rows.indexOf(rowName(modules[index]!));
    const column = columns.indexOf(modules[index]!.kind);
    const cell = cells.get(`${row} ${column}`);
    if (cell) cell.modules.push(index);
    else cells.set(`${row} ${column}`, { row, column, modules: [index] });
  }
  return { stack, rows, columns, cells: [...cells.values()], layer };
}
