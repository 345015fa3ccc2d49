// Inputs and outputs of the products with V. All matrices have one row per column multiplied, so that an adapter's part is a run of whole
// rows.
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
   * @param memory bytes that weights and V may take in the process
   */
  multiply(weights: StoredWeights, x: Float32Array, columns: number, memory: number): Promise<Products>;
}

/** Extracts columns of a row-major matrix with that many columns. */
export function takeColumns(matrix: Float32Array, columns: number, { begin, end }: Rows): Float32Array {
  const taken = new Float32Array((matrix.length / columns) * (end - begin));
  for (let row = 0, at = 0; at < taken.length; row++, at += end - begin) {
    taken.set(matrix.subarray(row * columns + begin, row * columns + end), at);
  }
  return taken;
}

/** Copies a matrix of some columns to its position in a wider one. */
export function putColumns(matrix: Float32Array, columns: number, { begin, end }: Rows, part: Float32Array): void {
  for (let row = 0, at = 0; at < part.length; row++, at += end - begin) {
    matrix.set(part.subarray(at, at + end - begin), row * columns + begin);
  }
}
