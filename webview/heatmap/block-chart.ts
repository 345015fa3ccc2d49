// One block of a heatmap on its canvas: its size, axes, colours and marks, and the position of each cell.
import { Chart, type ChartConfiguration, type Plugin } from 'chart.js';
import { type MatrixDataPoint } from 'chartjs-chart-matrix';
import { type Theme } from '../shared/theme';
import { chartLabel } from '../shared/ui';
import { colorOf, lookOf } from './cell-look';
import { type Box, frame, markNearNull, markOpens, markProjected, markSelected, outline } from './cell-marks';
import { type Block, type Cell } from './layout';
import { type HeatmapSource, type Shown } from './source';

type Point = MatrixDataPoint & { cell: Cell };
export type MatrixChart = Chart<'matrix', Point[], string>;

/** The common look of a heatmap's blocks. */
export interface Look {
  shown: Shown;
  theme: Theme;
  /** Modules with framed cells, independent of the pointer. */
  highlighted: readonly number[];
}

// Cells grow with the available space, within these bounds in CSS pixels.
const CELL_WIDTH = { least: 34, most: 160 };
const CELL_HEIGHT = { least: 7, most: 26 };
/** Approximate height above a heatmap. */
const ABOVE = 300;
const BODY_HEIGHT = { least: 400, most: 800 };
const BODY_WIDTH = 400;
/** Approximate width of a label's letter; a column fits its own label, so that it stays level. */
const LETTER_WIDTH = 6.4;
const AXIS_ROOM = { left: 44, top: 24 };
const GAP = 2;

/** The size of a block, in CSS pixels: as high as fits the window, with rows high enough to point at. */
export function roomOf({ columns, rows }: Block): { width: number; height: number } {
  const label = Math.max(...columns.map((kind) => chartLabel(kind).length)) * LETTER_WIDTH + 8;
  const cell = clampTo(CELL_WIDTH, Math.max(label, Math.min(72, BODY_WIDTH / columns.length)));
  const body = clampTo(BODY_HEIGHT, innerHeight - ABOVE);
  return {
    width: cell * columns.length + AXIS_ROOM.left,
    height: clampTo(CELL_HEIGHT, body / rows.length) * rows.length + AXIS_ROOM.top,
  };
}

export class BlockChart {
  readonly chart: MatrixChart;
  private focusedCell: Cell | null = null;

  /** @param canvas on the page: the chart takes its size */
  constructor(
    readonly block: Block,
    readonly canvas: HTMLCanvasElement,
    private readonly source: HeatmapSource,
    private readonly look: Look,
  ) {
    this.chart = new Chart(canvas, this.configuration());
    this.recolour();
  }

  get focused(): Cell | null {
    return this.focusedCell;
  }

  set focused(cell: Cell | null) {
    this.focusedCell = cell;
    this.chart.draw();
  }

  /** The values, measure or theme changed. */
  recolour(): void {
    for (const axis of ['x', 'y'] as const) {
      const options = this.chart.options.scales![axis]!;
      options.ticks = { ...options.ticks, color: this.look.theme.foreground };
    }
    this.chart.data.datasets[0]!.data = this.points();
    this.chart.update('none');
  }

  /** @param ratio canvas pixels per page pixel; undefined means the screen's */
  sharpen(ratio: number | undefined): void {
    this.chart.options.devicePixelRatio = ratio ?? window.devicePixelRatio;
    this.chart.resize();
    this.chart.draw();
  }

  cellAt(left: number, top: number): Cell | null {
    return this.block.cells.find((_, index) => holds(boxIn(this.chart, index), left, top)) ?? null;
  }

  boxOf(cell: Cell): Box {
    return boxIn(this.chart, this.block.cells.indexOf(cell));
  }

  private configuration(): ChartConfiguration<'matrix', Point[], string> {
    const { columns, rows } = this.block;
    const marks: Plugin<'matrix'> = {
      id: 'marks',
      afterDatasetsDraw: (chart) => {
        this.drawMarks(chart as unknown as MatrixChart);
      },
    };
    return {
      type: 'matrix',
      data: {
        datasets: [
          {
            data: this.points(),
            backgroundColor: ({ raw }) => this.colorOf(raw as Point | undefined) ?? 'transparent',
            borderWidth: 0,
            width: ({ chart }) => cellSize(chart, 'width', columns.length),
            height: ({ chart }) => cellSize(chart, 'height', rows.length),
          },
        ],
      },
      options: {
        events: [],
        plugins: { legend: { display: false }, tooltip: { enabled: false } },
        scales: {
          x: {
            type: 'category',
            labels: columns,
            position: 'top',
            offset: true,
            grid: { display: false },
            border: { display: false },
            ticks: { autoSkip: false, maxRotation: 0, callback: (_, column) => chartLabel(columns[column]!) },
          },
          y: {
            type: 'category',
            labels: rows,
            offset: true,
            // The first layer on top: the plugin flips the axis by default.
            reverse: false,
            grid: { display: false },
            border: { display: false },
            ticks: { autoSkip: true, autoSkipPadding: 4 },
          },
        },
      },
      plugins: [marks],
    };
  }

  private points(): Point[] {
    const { cells, columns, rows } = this.block;
    return cells.map((cell) => ({
      x: columns[cell.column] as unknown as number,
      y: rows[cell.row] as unknown as number,
      v: this.source.value(cell.modules),
      cell,
    }));
  }

  /** @param chart this one, which starts drawing before its constructor ends */
  private drawMarks(chart: MatrixChart): void {
    const { cells } = this.block;
    const { theme, highlighted } = this.look;
    const paint = chart.ctx;
    paint.save();
    cells.forEach((cell, index) => {
      this.drawMarksOf(cell, boxIn(chart, index), paint);
    });
    cells.forEach((cell, index) => {
      if (cell === this.focusedCell || highlighted.includes(cell.modules[0]!)) {
        frame(paint, boxIn(chart, index), theme);
      }
    });
    paint.restore();
  }

  /** No point exists before the first layout. */
  private colorOf(point: Point | undefined): string | null {
    return point ? colorOf(point.cell, this.source, this.look.shown, this.look.theme) : null;
  }

  private drawMarksOf(cell: Cell, box: Box, paint: CanvasRenderingContext2D): void {
    const { theme, shown } = this.look;
    const { color, ink, projected, nearNull, opens, selected } = lookOf(cell, this.source, shown, theme);
    if (projected) markProjected(paint, box, theme);
    if (color === null) {
      outline(paint, box, theme);
      return;
    }
    if (opens) markOpens(paint, box, ink);
    if (nearNull) markNearNull(paint, box, ink);
    if (selected > 0) markSelected(paint, box, ink, selected);
    if (theme.highContrast) outline(paint, box, theme);
  }
}

/** No area exists before the first layout. */
function cellSize({ chartArea }: Pick<Partial<Chart>, 'chartArea'>, side: 'width' | 'height', cells: number): number {
  const size = (chartArea?.[side] ?? 0) / cells;
  return Math.max(1, size - Math.min(GAP, size / 4));
}

/** A matrix element's corner and size. */
function boxIn(chart: MatrixChart, index: number): Box {
  const { x, y, width, height } = chart.getDatasetMeta(0).data[index] as unknown as Box;
  return { x, y, width, height };
}

function holds({ x, y, width, height }: Box, left: number, top: number): boolean {
  return left >= x - GAP / 2 && left <= x + width + GAP / 2 && top >= y - GAP / 2 && top <= y + height + GAP / 2;
}

function clampTo({ least, most }: { least: number; most: number }, value: number): number {
  return Math.min(Math.max(value, least), most);
}
