// Numbers in the form in which they travel to a page.
import { type MeasureName, measureNames, type Measures } from '../core/measure-names';

/** A row for each module, in the order of `measureNames`; NaN for what is not defined. */
export function numberRows(modules: readonly (Measures | null)[]): Float64Array {
  return Float64Array.from(modules.flatMap((module) => measureNames.map((column) => module?.[column] ?? NaN)));
}

/** Looks a number up in rows of `measureNames`. */
export function numberIn(rows: Float64Array, module: number, column: MeasureName): number {
  return rows[module * measureNames.length + measureNames.indexOf(column)]!;
}
