// The heatmap: a canvas a stack, marks drawn over the colours, and the same cells for mouse and keyboard.
import { Chart, type ChartConfiguration, type Plugin } from 'chart.js';
import { type MatrixDataPoint } from 'chartjs-chart-matrix';
import { type SharedStrings } from '../../src/page/strings';
import { type Block, blocksOf, type Cell, type OpenLayer, type PlacedModule } from './cells';
import { placeOn, type Range, type Scale } from './measures';
import { inkOn, readTheme, scaleColor, type Theme } from './theme';
import { chartLabel, element, format, linkButton, paintText, setLabel } from './ui';

/** What the cells show: its name and definition, its colours from end to end, and its figures. */
export interface Shown {
  name: string;
  definition: string;
  scale: Scale;
  range: Range;
  text: (value: number) => string;
}

export interface Marks {
  selected: boolean;
  projected: boolean;
  nearNull: boolean;
}

export type Key = keyof Marks | 'pending';

/** What a heatmap draws, says and does; modules are named by their index. */
export interface HeatmapSource {
  readonly modules: readonly PlacedModule[];
  readonly shown: Shown;
  /** What the keyboard does. */
  readonly help: string;
  /** The marks that its legend explains. */
  readonly keys: readonly Key[];
  /** NaN where there is none; of the experts of a cell that of the one which stands for all. */
  value(modules: readonly number[]): number;
  marks(module: number): Marks;
  /** A cell in words. */
  say(modules: readonly number[]): string;
  /** The pointer or the focus is on a cell, or has left it. */
  point(modules: readonly number[], anchor: DOMRect): void;
  leave(): void;
  /** A click, Space or Enter on a module. */
  act(module: number): void;
  /** A layer's experts are wanted, or all layers again: answered by `show`. */
  open(layer: OpenLayer | undefined): void;
}

type Point = MatrixDataPoint & { cell: Cell };
type MatrixChart = Chart<'matrix', Point[], string>;

// Cells grow with the room there is, within these bounds in CSS pixels.
const CELL_WIDTH = { least: 34, most: 110 };
const CELL_HEIGHT = { least: 10, most: 26 };
const MOST_BODY_HEIGHT = 800;
const BODY_WIDTH = 400;
/** Of the axis labels, about; wide enough for a kind's name, they stay level. */
const LETTER_WIDTH = 6.4;
/** Below this a full mark would hide the colour. */
const SMALL_CELL = 14;
const AXIS_ROOM = { left: 44, top: 24 };
const GAP = 2;

interface Drawn {
  block: Block;
  chart: MatrixChart;
  canvas: HTMLCanvasElement;
  focused: Cell | null;
}

export class Heatmap {
  readonly root = element('div', { class: 'heatmap' });
  private readonly blocks = element('div', { class: 'blocks' });
  private readonly heading = element('div', { class: 'heatmap-heading' });
  private readonly legend = element('div', { class: 'legend' });
  private drawn: Drawn[] = [];
  private open: OpenLayer | undefined;
  private highlighted: readonly number[] = [];
  private theme = readTheme();
  private shown: Shown;

  constructor(
    private readonly source: HeatmapSource,
    private readonly strings: SharedStrings,
    private readonly announce: (text: string) => void,
  ) {
    this.shown = source.shown;
    this.root.append(this.heading, this.blocks, this.legend);
  }

  /** The charts' own data, for those who look from outside: tests and the developer tools. */
  get charts(): readonly MatrixChart[] {
    return this.drawn.map(({ chart }) => chart);
  }

  /** Builds the blocks anew: another adapter, or a layer's experts opened or closed. */
  rebuild(): void {
    for (const { chart } of this.drawn) chart.destroy();
    this.theme = readTheme();
    this.shown = this.source.shown;
    const { modules } = this.source;
    const { open } = this;
    const isThere = modules.some(
      ({ stack, layer, expert }) => expert !== null && stack === open?.stack && layer === open.layer,
    );
    if (!isThere) this.open = undefined;
    const blocks = blocksOf(modules, this.open, this.strings.noLayer);
    this.heading.replaceChildren(...this.headingParts());
    const frames = blocks.map((block) => this.frame(block, blocks.length > 1));
    this.blocks.replaceChildren(...frames.map(({ frame }) => frame));
    this.drawn = blocks.map((block, index) => this.draw(block, frames[index]!.canvas));
    this.drawLegend();
  }

  /** Other values, another measure or another theme. */
  recolour(): void {
    this.theme = readTheme();
    this.shown = this.source.shown;
    for (const { chart, block, canvas } of this.drawn) {
      styleAxes(chart, this.theme);
      chart.data.datasets[0]!.data = this.points(block);
      chart.update('none');
      setLabel(canvas, this.label());
    }
    this.drawLegend();
  }

  /** Another selection: only the marks change. */
  remark(): void {
    for (const { chart } of this.drawn) chart.draw();
  }

  /** Shows one layer's experts, or all layers. */
  show(layer: OpenLayer | undefined): void {
    this.open = layer;
    this.rebuild();
  }

  /** Frames the cells of these modules, wherever the pointer is. */
  highlight(modules: readonly number[]): void {
    if (modules === this.highlighted) return;
    this.highlighted = modules;
    this.remark();
  }

  /** The picture of all blocks with their names and scale, for a file. */
  async picture(title: string): Promise<Uint8Array> {
    const ratio = 2;
    const margin = 20;
    const top = 56;
    for (const { chart } of this.drawn) sharpen(chart, ratio);
    const boxes = this.drawn.map(({ canvas }) => ({ canvas, width: canvas.clientWidth, height: canvas.clientHeight }));
    const width = boxes.reduce((sum, box) => sum + box.width + margin, margin);
    const height = top + Math.max(...boxes.map((box) => box.height)) + 84;
    const target = element('canvas', { width: Math.max(width, 420) * ratio, height: height * ratio });
    const paint = target.getContext('2d')!;
    paint.scale(ratio, ratio);
    paint.fillStyle = this.theme.background;
    paint.fillRect(0, 0, target.width, target.height);
    paint.fillStyle = this.theme.foreground;
    paint.font = '600 14px sans-serif';
    paintText(paint, title, margin, 24);
    paint.font = '12px sans-serif';
    paintText(paint, this.shown.name, margin, 44);
    let left = margin;
    for (const box of boxes) {
      paint.drawImage(box.canvas, left, top, box.width, box.height);
      left += box.width + margin;
    }
    for (const { chart } of this.drawn) sharpen(chart, undefined);
    this.paintScale(paint, margin, height - 44, 260);
    const { selected, projected, nearNull } = this.strings.legend;
    paint.textAlign = 'left';
    paintText(paint, `● ${selected}   ◥ ${projected}   ▨ ${nearNull}`, margin, height - 52);
    const blob = await new Promise<Blob | null>((resolve) => {
      target.toBlob(resolve, 'image/png');
    });
    return new Uint8Array(await blob!.arrayBuffer());
  }

  private headingParts(): (Node | string)[] {
    if (!this.open) return [];
    const back = linkButton(`‹ ${this.strings.allLayers}`, () => this.openLayer(undefined));
    return [back, format(this.strings.experts, this.open.layer ?? this.strings.noLayer)];
  }

  private frame(block: Block, named: boolean): { frame: HTMLElement; canvas: HTMLCanvasElement } {
    const canvas = element('canvas', {
      tabindex: 0,
      role: 'application',
      'aria-roledescription': this.strings.heatmapRole,
    });
    const label = Math.max(...block.columns.map((kind) => chartLabel(kind).length)) * LETTER_WIDTH + 8;
    const cell = clampTo(CELL_WIDTH, Math.max(label, Math.min(72, BODY_WIDTH / block.columns.length)));
    const width = cell * block.columns.length + AXIS_ROOM.left;
    const height = clampTo(CELL_HEIGHT, MOST_BODY_HEIGHT / block.rows.length) * block.rows.length + AXIS_ROOM.top;
    setLabel(canvas, this.label());
    const box = element('div', { class: 'canvas-box' }, canvas);
    // Where there is less room the cells grow narrower, down to where they could not be told apart.
    box.style.width = `${width}px`;
    box.style.minWidth = `${CELL_WIDTH.least * block.columns.length + AXIS_ROOM.left}px`;
    box.style.height = `${height}px`;
    const name = named ? element('h3', {}, block.stack ?? this.strings.mainStack) : null;
    return { frame: element('figure', { class: 'block' }, name, box), canvas };
  }

  private label(): string {
    return `${format(this.strings.heatmap, this.shown.name)}. ${this.source.help}`;
  }

  private draw(block: Block, canvas: HTMLCanvasElement): Drawn {
    const drawn: Drawn = { block, canvas, focused: null, chart: undefined as unknown as MatrixChart };
    const marks: Plugin<'matrix'> = {
      id: 'marks',
      afterDatasetsDraw: (chart) => {
        this.drawMarks(chart as unknown as MatrixChart, drawn);
      },
    };
    const configuration: ChartConfiguration<'matrix', Point[], string> = {
      type: 'matrix',
      data: {
        datasets: [
          {
            data: this.points(block),
            backgroundColor: ({ raw }) => this.colorOf((raw as Point | undefined)?.cell) ?? 'transparent',
            borderWidth: 0,
            width: ({ chart }) => cellSize(chart, 'width', block.columns.length),
            height: ({ chart }) => cellSize(chart, 'height', block.rows.length),
          },
        ],
      },
      options: {
        animation: false,
        responsive: true,
        maintainAspectRatio: false,
        events: [],
        plugins: { legend: { display: false }, tooltip: { enabled: false } },
        scales: {
          x: {
            type: 'category',
            labels: block.columns,
            position: 'top',
            offset: true,
            grid: { display: false },
            border: { display: false },
            ticks: { autoSkip: false, maxRotation: 40, callback: (_, column) => chartLabel(block.columns[column]!) },
          },
          y: {
            type: 'category',
            labels: block.rows,
            offset: true,
            // The first layer on top: the plugin's own default turns the axis.
            reverse: false,
            grid: { display: false },
            border: { display: false },
            ticks: { autoSkip: true, autoSkipPadding: 4 },
          },
        },
      },
      plugins: [marks],
    };
    drawn.chart = new Chart(canvas, configuration);
    styleAxes(drawn.chart, this.theme);
    drawn.chart.update('none');
    this.listen(drawn);
    return drawn;
  }

  private points(block: Block): Point[] {
    return block.cells.map((cell) => ({
      x: block.columns[cell.column] as unknown as number,
      y: block.rows[cell.row] as unknown as number,
      v: this.source.value(cell.modules),
      cell,
    }));
  }

  private colorOf(cell: Cell | undefined): string | null {
    const value = cell ? this.source.value(cell.modules) : NaN;
    const { scale, range } = this.shown;
    return Number.isNaN(value) ? null : scaleColor(scale, placeOn(range, value), this.theme);
  }

  private drawMarks(chart: MatrixChart, { block, focused }: Drawn): void {
    const paint = chart.ctx;
    const bars = chart.getDatasetMeta(0).data;
    paint.save();
    block.cells.forEach((cell, index) => {
      const box = boxOf(bars[index]!);
      const color = this.colorOf(cell);
      const marks = cell.modules.map((module) => this.source.marks(module));
      if (marks.some(({ projected }) => projected)) markProjected(paint, box, this.theme);
      if (color === null) {
        paint.strokeStyle = this.theme.grid;
        paint.lineWidth = 1;
        paint.strokeRect(box.x + 0.5, box.y + 0.5, box.width - 1, box.height - 1);
        return;
      }
      const ink = inkOn(color);
      if (marks.length === 1 && marks[0]!.nearNull) hatch(paint, box, ink);
      if (marks.some(({ selected }) => selected)) markSelected(paint, box, this.theme, ink);
      if (this.theme.highContrast) {
        paint.strokeStyle = this.theme.grid;
        paint.lineWidth = 1;
        paint.strokeRect(box.x + 0.5, box.y + 0.5, box.width - 1, box.height - 1);
      }
    });
    for (const [index, cell] of block.cells.entries()) {
      if (cell !== focused && !this.highlighted.includes(cell.modules[0]!)) continue;
      const box = boxOf(bars[index]!);
      paint.strokeStyle = this.theme.focus;
      paint.lineWidth = 2;
      paint.strokeRect(box.x - 2, box.y - 2, box.width + 4, box.height + 4);
    }
    paint.restore();
  }

  private listen(drawn: Drawn): void {
    const { canvas, block } = drawn;
    const cellAt = (event: MouseEvent): Cell | null => {
      const bars = drawn.chart.getDatasetMeta(0).data;
      const at = block.cells.findIndex((_, index) => holds(boxOf(bars[index]!), event.offsetX, event.offsetY));
      return at < 0 ? null : block.cells[at]!;
    };
    canvas.addEventListener('mousemove', (event) => {
      const cell = cellAt(event);
      canvas.style.cursor = cell ? 'pointer' : 'default';
      if (cell) this.point(drawn, cell);
      else this.source.leave();
    });
    canvas.addEventListener('mouseleave', () => {
      this.source.leave();
    });
    canvas.addEventListener('click', (event) => {
      const cell = cellAt(event);
      if (!cell) return;
      this.focus(drawn, cell);
      this.act(cell);
    });
    canvas.addEventListener('focus', () => {
      if (canvas.matches(':focus-visible')) this.focus(drawn, drawn.focused ?? block.cells[0] ?? null);
    });
    canvas.addEventListener('blur', () => {
      this.source.leave();
      drawn.focused = null;
      drawn.chart.draw();
    });
    canvas.addEventListener('keydown', (event) => {
      if (this.key(drawn, event.key)) event.preventDefault();
    });
  }

  private key(drawn: Drawn, key: string): boolean {
    const { focused, block } = drawn;
    const steps: Record<string, [number, number]> = {
      ArrowUp: [-1, 0],
      ArrowDown: [1, 0],
      ArrowLeft: [0, -1],
      ArrowRight: [0, 1],
    };
    const step = steps[key];
    if (step && focused) {
      this.focus(drawn, nextCell(block, focused, step) ?? focused);
    } else if (key === 'Home' || key === 'End') {
      this.focus(drawn, block.cells.at(key === 'Home' ? 0 : -1) ?? null);
    } else if ((key === ' ' || key === 'Enter') && focused) {
      this.act(focused);
    } else if (key === 'Escape') {
      this.source.leave();
    } else {
      return false;
    }
    return true;
  }

  private focus(drawn: Drawn, cell: Cell | null): void {
    drawn.focused = cell;
    drawn.chart.draw();
    if (!cell) return;
    this.point(drawn, cell);
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

  private openLayer(layer: OpenLayer | undefined): void {
    this.source.open(layer);
    this.drawn[0]?.canvas.focus();
  }

  private point(drawn: Drawn, cell: Cell): void {
    const bars = drawn.chart.getDatasetMeta(0).data;
    const box = boxOf(bars[drawn.block.cells.indexOf(cell)]!);
    const frame = drawn.canvas.getBoundingClientRect();
    this.source.point(cell.modules, new DOMRect(frame.left + box.x, frame.top + box.y, box.width, box.height));
  }

  private drawLegend(): void {
    const { name, definition, scale, range, text } = this.shown;
    const stops = Array.from({ length: 17 }, (_, i) => scaleColor(scale, i / 16, this.theme));
    const bar = element('div', { class: 'scale-bar' });
    bar.style.background = `linear-gradient(to right, ${stops.join(', ')})`;
    const [low, high] = range;
    const ends = [low, (low + high) / 2, high].map((value) => element('span', {}, text(value)));
    const legend = element(
      'div',
      { class: 'scale' },
      element('span', { class: 'scale-name', title: definition }, name),
      bar,
      element('div', { class: 'scale-ends' }, ...ends),
    );
    this.legend.replaceChildren(legend, keysLegend(this.source.keys, this.strings));
  }

  private paintScale(paint: CanvasRenderingContext2D, x: number, y: number, width: number): void {
    const { scale, range, text } = this.shown;
    for (let i = 0; i < width; i++) {
      paint.fillStyle = scaleColor(scale, i / (width - 1), this.theme);
      paint.fillRect(x + i, y, 1.5, 10);
    }
    paint.fillStyle = this.theme.foreground;
    const [low, high] = range;
    paintText(paint, text(low), x, y + 26);
    paint.textAlign = 'right';
    paintText(paint, text(high), x + width, y + 26);
  }
}

/** What the marks on the cells mean. */
export function keysLegend(keys: readonly Key[], { legend }: SharedStrings): HTMLElement {
  const parts = keys.map((key) =>
    element('span', { class: 'key' }, element('span', { class: `swatch ${key}` }), legend[key]),
  );
  return element('div', { class: 'keys' }, ...parts);
}

/** There is no area before the first layout. */
function cellSize({ chartArea }: Pick<Partial<Chart>, 'chartArea'>, side: 'width' | 'height', cells: number): number {
  return Math.max(1, (chartArea?.[side] ?? 0) / cells - GAP);
}

interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** @param ratio pixels of the canvas for one of the page; undefined is the screen's */
function sharpen(chart: MatrixChart, ratio: number | undefined): void {
  chart.options.devicePixelRatio = ratio ?? window.devicePixelRatio;
  chart.resize();
  chart.draw();
}

/** A matrix element's corner and size. */
function boxOf(bar: unknown): Box {
  const { x, y, width, height } = bar as Box;
  return { x, y, width, height };
}

function holds({ x, y, width, height }: Box, left: number, top: number): boolean {
  return left >= x - GAP / 2 && left <= x + width + GAP / 2 && top >= y - GAP / 2 && top <= y + height + GAP / 2;
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

function hatch(paint: CanvasRenderingContext2D, { x, y, width, height }: Box, ink: string): void {
  paint.save();
  paint.beginPath();
  paint.rect(x, y, width, height);
  paint.clip();
  paint.strokeStyle = ink;
  paint.globalAlpha = 0.45;
  paint.lineWidth = 1;
  paint.beginPath();
  for (let offset = -height; offset < width; offset += 6) {
    paint.moveTo(x + offset, y + height);
    paint.lineTo(x + offset + height, y);
  }
  paint.stroke();
  paint.restore();
}

/** A double frame and a dot, a single one where the cell is small: neither relies on the colour beneath. */
function markSelected(paint: CanvasRenderingContext2D, { x, y, width, height }: Box, theme: Theme, ink: string): void {
  const small = height < SMALL_CELL;
  paint.strokeStyle = theme.mark;
  paint.lineWidth = small ? 1 : 2;
  paint.strokeRect(x, y, width, height);
  if (!small) {
    paint.strokeStyle = ink;
    paint.lineWidth = 1;
    paint.strokeRect(x + 1.5, y + 1.5, width - 3, height - 3);
  }
  const radius = Math.min(4, height / 4);
  paint.beginPath();
  paint.arc(x + width / 2, y + height / 2, radius, 0, 2 * Math.PI);
  paint.fillStyle = ink;
  paint.fill();
}

/** A corner, whatever lies beneath, also before anything is measured. */
function markProjected(paint: CanvasRenderingContext2D, { x, y, width, height }: Box, theme: Theme): void {
  const size = Math.min(9, height / 2);
  paint.beginPath();
  paint.moveTo(x + width - size, y);
  paint.lineTo(x + width, y);
  paint.lineTo(x + width, y + size);
  paint.closePath();
  paint.fillStyle = theme.mark;
  paint.fill();
}

function styleAxes(chart: MatrixChart, theme: Theme): void {
  for (const axis of ['x', 'y'] as const) {
    const options = chart.options.scales![axis]!;
    options.ticks = { ...options.ticks, color: theme.foreground };
  }
}

function clampTo({ least, most }: { least: number; most: number }, value: number): number {
  return Math.min(Math.max(value, least), most);
}
