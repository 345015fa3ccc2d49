// How the memory of one engine process is shared between V and the matrices that go through it.
import { type Provider } from './providers';

/**
 * What a child holds before any weight: Node, onnxruntime and its arena's first blocks (measured: 90 MB), buffers for one block; on a
 * device its driver, too.
 */
const BASE_MEMORY = { cpu: 128 * 2 ** 20, device: 256 * 2 ** 20 };

/** Bytes that a column takes for each row of B and each column of A: T and U and what they are made from, in both precisions. */
const BYTES_PER_COLUMN = 24;

/** More columns than this gain nothing more from sharing a pass. */
const MOST_COLUMNS = 512;

/** Elements of V in one run on a device, of whose memory each takes up to 52 bytes for a while: 0.9 GB in all. */
export const LARGEST_BLOCK = 2 ** 24;

/** Bytes for all weights and matrices of a child that may use so many in all. */
export function workingMemory(childMemory: number, provider: Provider): number {
  return childMemory - (provider === 'cpu' ? BASE_MEMORY.cpu : BASE_MEMORY.device);
}

/** Bytes that so many columns take on a module of shape [out, in]. */
export function columnsMemory(columns: number, [out, width]: readonly [number, number]): number {
  return columns * (out + width) * BYTES_PER_COLUMN;
}

/**
 * How many columns may go through together: V keeps at least half.
 * @param memory bytes for all weights and matrices of a child
 */
export function mostColumns(memory: number, shape: readonly [number, number]): number {
  return Math.min(MOST_COLUMNS, Math.floor(memory / 2 / columnsMemory(1, shape)));
}
