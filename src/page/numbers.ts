// Numbers as sent to a page.
import { type MeasureName, measureNames, type Measures } from '../core/measure-names';

/** A row per module, in the order of `measureNames`; NaN if undefined. */
export function numberRows(modules: readonly (Measures | null)[]): Float64Array {
  return Float64Array.from(modules.flatMap((module) => measureNames.map((column) => module?.[column] ?? NaN)));
}

/** Restores an object from such a row. */
export function measuresIn(rows: Float64Array, row: number): Measures {
  const defined = (value: number): number | null => (Number.isNaN(value) ? null : value);
  return Object.fromEntries(
    measureNames.map((name) => [name, defined(numberIn(rows, row, name))]),
  ) as unknown as Measures;
}

/** Finds a number by name in rows of `measureNames`. */
export function numberIn(rows: Float64Array, module: number, column: MeasureName): number {
  return rows[module * measureNames.length + measureNames.indexOf(column)]!;
}
