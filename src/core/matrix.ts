// Small dense matrices in double, row-major.

/** Σ of the products of elements at the same position. */
export function dot(left: Float32Array | Float64Array, right: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < left.length; i++) sum += left[i]! * right[i]!;
  return sum;
}

/** Rows per block: the elements of a column are too far apart in memory for all rows to stay in the cache. */
const TRANSPOSED_ROWS = 32;

/** From row-major [n, columns] to row-major [columns, n]. */
export function transpose(matrix: Float64Array, columns: number): Float64Array {
  const n = matrix.length / columns;
  const result = new Float64Array(matrix.length);
  for (let begin = 0; begin < n; begin += TRANSPOSED_ROWS) {
    const end = Math.min(begin + TRANSPOSED_ROWS, n);
    for (let column = 0; column < columns; column++) {
      for (let row = begin; row < end; row++) result[column * n + row] = matrix[row * columns + column]!;
    }
  }
  return result;
}

/** The largest |value|; NaN where one is NaN. */
export function largestOf(values: Float64Array): number {
  let largest = 0;
  for (const value of values) largest = Math.max(largest, Math.abs(value));
  return largest;
}
