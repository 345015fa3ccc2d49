// Small dense matrices in double, row-major: what the Gram matrices of a module need.

/** M·Mᵀ of a row-major [k, n] matrix, [k, k]. */
export function gram(matrix: Float64Array, k: number): Float64Array {
  const n = matrix.length / k;
  const result = new Float64Array(k * k);
  const row = (i: number): Float64Array => matrix.subarray(i * n, (i + 1) * n);
  for (let i = 0; i < k; i++) {
    const left = row(i);
    let j = i;
    // Four sums at a time: one alone waits for each of its own additions.
    for (; j + 4 <= k; j += 4) {
      const [right0, right1, right2, right3] = [row(j), row(j + 1), row(j + 2), row(j + 3)];
      let [sum0, sum1, sum2, sum3] = [0, 0, 0, 0];
      for (let column = 0; column < n; column++) {
        const value = left[column]!;
        sum0 += value * right0[column]!;
        sum1 += value * right1[column]!;
        sum2 += value * right2[column]!;
        sum3 += value * right3[column]!;
      }
      result.set([sum0, sum1, sum2, sum3], i * k + j);
    }
    for (; j < k; j++) result[i * k + j] = dot(left, row(j));
    for (let below = i + 1; below < k; below++) result[below * k + i] = result[i * k + below]!;
  }
  return result;
}

export function dot(left: Float64Array, right: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < left.length; i++) sum += left[i]! * right[i]!;
  return sum;
}

/** So many rows at a time, since a column's elements lie too far apart in memory for all rows to be at hand in the cache. */
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
