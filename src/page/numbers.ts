// Numbers in the form in which they travel to a page.
import { type MeasureName, measureNames, type Measures } from '../core/measure-names';

/** A row for each module, in the order of `measureNames`; NaN for what is not defined. */
export function numberRows(modules: readonly (Measures | null)[]): Float64Array {
  return Float64Array.from(modules.flatMap((module) => measureNames.map((column) => module?.[column] ?? NaN)));
}

/** Takes one of these rows for what it was. */
export function measuresIn(rows: Float64Array, row: number): Measures {
  const defined = (value: number): number | null => (Number.isNaN(value) ? null : value);
  return Object.fromEntries(
    measureNames.map((name) => [name, defined(numberIn(rows, row, name))]),
  ) as unknown as Measures;
}

/** Looks a number up in rows of `measureNames`. */
export function numberIn(rows: Float64Array, module: number, column: MeasureName): number {
  return rows[module * measureNames.length + measureNames.indexOf(column)]!;
}
