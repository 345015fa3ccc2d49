// Numbers in the form in which they travel to a page.
import { type MeasureColumn, measureColumns } from './protocol';

/** A row for each module, in the order of `measureColumns`; NaN for what is not defined. */
export function numberRows(modules: readonly (Record<MeasureColumn, number | null> | null)[]): Float64Array {
  return Float64Array.from(modules.flatMap((module) => measureColumns.map((column) => module?.[column] ?? NaN)));
}
