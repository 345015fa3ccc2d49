// Mouse and keyboard on the same cells: the pointed-at cell, the focus, and the actions of clicks and keys.
import { type BlockChart } from './block-chart';
import { type Block, type Cell, type OpenLayer } from './layout';
import { type HeatmapSource } from './source';

/** Rows down and columns to the right. */
const STEPS: Record<string, [number, number]> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

export class CellNavigation {
  constructor(
    private readonly drawn: BlockChart,
    private readonly source: HeatmapSource,
    private readonly announce: (text: string) => void,
    private readonly openLayer: (layer: OpenLayer) => void,
  ) {}

  listen(): void {
    const { drawn, source } = this;
    const { canvas, block } = drawn;
    canvas.addEventListener('mousemove', (event) => {
      const cell = drawn.cellAt(event.offsetX, event.offsetY);
      canvas.style.cursor = cell ? 'pointer' : 'default';
      if (cell) this.point(cell);
      else source.leave();
    });
    canvas.addEventListener('mouseleave', () => {
      source.leave();
    });
    canvas.addEventListener('click', (event) => {
      const cell = drawn.cellAt(event.offsetX, event.offsetY);
      if (!cell) return;
      this.focus(cell);
      this.act(cell);
    });
    canvas.addEventListener('focus', () => {
      if (canvas.matches(':focus-visible')) this.focus(drawn.focused ?? block.cells[0] ?? null);
    });
    canvas.addEventListener('blur', () => {
      source.leave();
      drawn.focused = null;
    });
    canvas.addEventListener('keydown', (event) => {
      if (this.key(event.key)) event.preventDefault();
    });
  }

  private key(key: string): boolean {
    const { focused, block } = this.drawn;
    const step = STEPS[key];
    if (step && focused) {
      this.focus(nextCell(block, focused, step) ?? focused);
    } else if (key === 'Home' || key === 'End') {
      this.focus(block.cells.at(key === 'Home' ? 0 : -1) ?? null);
    } else if ((key === ' ' || key === 'Enter') && focused) {
      this.act(focused);
    } else if (key === 'Escape') {
      this.source.leave();
    } else {
      return false;
    }
    return true;
  }

  private focus(cell: Cell | null): void {
    this.drawn.focused = cell;
    if (!cell) return;
    this.point(cell);
    this.announce(this.source.say(cell.modules));
  }

  private act(cell: Cell): void {
    const [module] = cell.modules;
    if (cell.modules.length > 1) {
      const { stack, layer } = this.source.modules[module!]!;
      this.source.leave();
      this.openLayer({ stack, layer });
    } else {
      this.source.act(module!);
    }
  }

  private point(cell: Cell): void {
    const { x, y, width, height } = this.drawn.boxOf(cell);
    const { left, top } = this.drawn.canvas.getBoundingClientRect();
    this.source.point(cell.modules, new DOMRect(left + x, top + y, width, height));
  }
}

function nextCell({ cells }: Block, from: Cell, [down, right]: [number, number]): Cell | undefined {
  const ahead = cells.filter((cell) =>
    down === 0
      ? cell.row === from.row && (cell.column - from.column) * right > 0
      : cell.column === from.column && (cell.row - from.row) * down > 0,
  );
  const distance = (cell: Cell): number => Math.abs(cell.row - from.row) + Math.abs(cell.column - from.column);
  return ahead.sort((a, b) => distance(a) - distance(b))[0];
}
