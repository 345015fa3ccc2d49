// Attention masks, as numbers that are added to the scores.
import { Tensor } from 'onnxruntime-node';
import { type Architecture } from './architecture';

/** Added to a score to set its share to 0. */
const NEVER = -1e30;

interface Span extends Pick<Architecture, 'heads' | 'keyValueHeads'> {
  /** Cached positions of each row. */
  before: readonly number[];
  /** New positions. */
  width: number;
  /** Capacity of the cache in positions. */
  capacity: number;
  /** Positions that a token attends to, including its own; null for all before it. */
  window: number | null;
}

/**
 * @returns [rows, 1, share · width, capacity + width]: the positions repeated for each head that shares keys and values, each with the
 * cached and the new positions
 */
export function attentionMask({ before, width, capacity, window, heads, keyValueHeads }: Span): Tensor {
  const share = heads / keyValueHeads;
  const columns = capacity + width;
  const block = width * columns;
  const values = new Float32Array(before.length * share * block).fill(NEVER);
  const reach = window ?? Infinity;
  before.forEach((length, row) => {
    const begin = row * share * block;
    for (let i = 0; i < width; i++) {
      const line = begin + i * columns;
      const first = Math.max(0, length + i - reach + 1);
      values.fill(0, line + Math.min(first, length), line + length);
      values.fill(0, line + capacity + Math.max(0, first - length), line + capacity + i + 1);
    }
    for (let i = 1; i < share; i++) values.copyWithin(begin + i * block, begin, begin + block);
  });
  return new Tensor('float32', values, [before.length, 1, share * width, columns]);
}
