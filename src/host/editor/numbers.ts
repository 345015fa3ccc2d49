// Numbers in the form in which they travel to a page.
import { measureNames, type Measures } from '../../core/measure-names';

/** A row for each module, in the order of `measureNames`; NaN for what is not defined. */
export function numberRows(modules: readonly (Measures | null)[]): Float64Array {
  return Float64Array.from(modules.flatMap((module) => measureNames.map((column) => module?.[column] ?? NaN)));
}
