// Divides the memory of an engine process between V and the matrices multiplied by it.
import { type Provider } from './providers';

/**
 * A child's memory before any weight: Node, onnxruntime and its arena's first blocks (measured: 90 MB), buffers for one block; on a device
 * its driver, too.
 */
const BASE_MEMORY = { cpu: 128 * 2 ** 20, device: 256 * 2 ** 20 };

/** Bytes of a column per row of B and per column of A: T, U and their inputs, in both precisions. */
const BYTES_PER_COLUMN = 24;

/** Sharing a pass among more columns than this gains nothing. */
const MOST_COLUMNS = 512;

/** Elements of V in one run on a device, which briefly needs up to 52 bytes for each: 0.9 GB in total. */
export const LARGEST_BLOCK = 2 ** 24;

/** Bytes for weights and matrices of a child, out of its total. */
export function workingMemory(childMemory: number, provider: Provider): number {
  return childMemory - (provider === 'cpu' ? BASE_MEMORY.cpu : BASE_MEMORY.device);
}

/** Bytes of that many columns on a module of shape [out, in]. */
export function columnsMemory(columns: number, [out, width]: readonly [number, number]): number {
  return columns * (out + width) * BYTES_PER_COLUMN;
}

/**
 * Maximum columns in one pass: V keeps at least half of the memory.
 * @param memory bytes for all weights and matrices of a child
 */
export function mostColumns(memory: number, shape: readonly [number, number]): number {
  return Math.min(MOST_COLUMNS, Math.floor(memory / 2 / columnsMemory(1, shape)));
}
