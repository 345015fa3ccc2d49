// Rounds weights to 8 or 4 bits in blocks along their rows, for onnxruntime's MatMulNBits and GatherBlockQuantized.

export type Bits = 8 | 4;

/** Elements that share a scale. */
export const BLOCK = 32;

export interface Quantised {
  /** [rows, blocks, bytes of a block]; elements are stored plus 2^(bits − 1). */
  values: Uint8Array;
  /** [rows · blocks] */
  scales: Float32Array;
}

/**
 * Rounds to the nearest multiple of each block's scale, symmetric around 0.
 * @param weight row-major, [rows, width]
 */
export function quantise(weight: Float32Array, rows: number, width: number, bits: Bits): Quantised {
  const blocks = Math.ceil(width / BLOCK);
  const zero = 2 ** (bits - 1);
  const values = new Uint8Array((rows * blocks * BLOCK * bits) / 8);
  const scales = new Float32Array(rows * blocks);
  const steps = new Uint8Array(BLOCK);
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < blocks; block++) {
      const begin = row * width + block * BLOCK;
      const count = Math.min(BLOCK, width - block * BLOCK);
      const extreme = largest(weight, begin, count);
      // 4 bits use the lowest of the 16 values, too: the largest element maps to −8, whatever its sign.
      const scale = extreme === 0 ? 1 : bits === 4 ? -extreme / zero : Math.abs(extreme) / (zero - 1);
      const at = row * blocks + block;
      scales[at] = scale;
      steps.fill(zero);
      for (let i = 0; i < count; i++) {
        const step = Math.round(weight[begin + i]! / scale);
        steps[i] = Math.max(-zero, Math.min(zero - 1, step)) + zero;
      }
      if (bits === 8) values.set(steps, at * BLOCK);
      else for (let i = 0; i < BLOCK; i += 2) values[(at * BLOCK + i) / 2] = steps[i]! | (steps[i + 1]! << 4);
    }
  }
  return { values, scales };
}

/** The element of the largest size, with its sign. */
function largest(weight: Float32Array, begin: number, count: number): number {
  let found = 0;
  for (let i = begin; i < begin + count; i++) if (Math.abs(weight[i]!) > Math.abs(found)) found = weight[i]!;
  return found;
}
