// The look of a cell, on the page and in a file: its colour and its marks.
import { fractionOf } from '../shared/measures';
import { inkOn, scaleColor, type Theme } from '../shared/theme';
import { type Cell } from './layout';
import { type HeatmapSource, type Shown } from './source';

export interface CellLook {
  /** Null without a value. */
  color: string | null;
  /** A colour in contrast to it. */
  ink: string;
  projected: boolean;
  nearNull: boolean;
  /** It has several modules, which a click opens. */
  opens: boolean;
  /** Share of its modules that are selected, 0 to 1. */
  selected: number;
}

export function colorOf(cell: Cell, source: HeatmapSource, { scale, range }: Shown, theme: Theme): string | null {
  const value = source.value(cell.modules);
  return Number.isNaN(value) ? null : scaleColor(scale, fractionOf(range, value), theme);
}

export function lookOf(cell: Cell, source: HeatmapSource, shown: Shown, theme: Theme): CellLook {
  const color = colorOf(cell, source, shown, theme);
  const marks = cell.modules.map((module) => source.marks(module));
  return {
    color,
    ink: color === null ? theme.foreground : inkOn(color),
    projected: marks.some(({ projected }) => projected),
    nearNull: marks.length === 1 && marks[0]!.nearNull,
    opens: marks.length > 1,
    selected: marks.filter((mark) => mark.selected).length / marks.length,
  };
}
