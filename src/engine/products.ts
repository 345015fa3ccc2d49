// What goes through a module's V, and what comes out. All matrices hold one row for each column that goes through, so that an adapter's
// part is a run of whole rows.
import { type Rows, type StoredWeights } from './weights';

export interface Products {
  /** (Vᵀ·X)ᵀ, [columns, in] */
  t: Float32Array;
  /** (V·Vᵀ·X)ᵀ, [columns, out] */
  u: Float32Array;
  /** ΣV² */
  v2: number;
}

/** Multiplies on one provider. */
export interface Multiplier {
  /**
   * @param x Xᵀ, [columns, out]
   * @param memory bytes of the process that weights and V may take
   */
  multiply(weights: StoredWeights, x: Float32Array, columns: number, memory: number): Promise<Products>;
}

/** Columns of a row-major matrix of so many columns, as a matrix of their own. */
export function takeColumns(matrix: Float32Array, columns: number, { begin, end }: Rows): Float32Array {
  const taken = new Float32Array((matrix.length / columns) * (end - begin));
  for (let row = 0, at = 0; at < taken.length; row++, at += end - begin) {
    taken.set(matrix.subarray(row * columns + begin, row * columns + end), at);
  }
  return taken;
}

/** Puts a matrix of some columns at its position in one of so many columns. */
export function putColumns(matrix: Float32Array, columns: number, { begin, end }: Rows, part: Float32Array): void {
  for (let row = 0, at = 0; at < part.length; row++, at += end - begin) {
    matrix.set(part.subarray(at, at + end - begin), row * columns + begin);
  }
}
