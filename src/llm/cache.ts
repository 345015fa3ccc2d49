// Keys and values of the rows that decode together, updated in place: the graph returns only those of new positions, which are appended
// here.
import { Tensor } from 'onnxruntime-node';
import { type Architecture } from './architecture';
import { allKeyValueNames, pastName } from './names';

/** Bytes of keys and values per token. */
export function cacheBytes({ layers, keyValueHeads, headSize }: Architecture): number {
  return Float32Array.BYTES_PER_ELEMENT * 2 * layers.length * keyValueHeads * headSize;
}

export class KeyValueCache {
  /** By name, [rows, heads, capacity, head size]. */
  private readonly parts = new Map<string, Float32Array>();
  /** Of one row in one part. */
  private readonly rowElements: number;

  /** @param capacity maximum positions of a row */
  constructor(
    private readonly architecture: Architecture,
    rows: number,
    readonly capacity: number,
  ) {
    const { keyValueHeads, headSize } = architecture;
    this.rowElements = keyValueHeads * capacity * headSize;
    for (const name of allKeyValueNames(architecture)) this.parts.set(name, new Float32Array(rows * this.rowElements));
  }

  /** The first rows' keys and values as the graph's inputs. */
  feeds(rows: number): Record<string, Tensor> {
    const { keyValueHeads, headSize } = this.architecture;
    const dims = [rows, keyValueHeads, this.capacity, headSize];
    return Object.fromEntries(
      [...this.parts].map(([name, values]) => [
        pastName(name),
        new Tensor('float32', values.subarray(0, rows * this.rowElements), dims),
      ]),
    );
  }

  /** The first positions of some rows. */
  copy(begin: number, rows: number, positions: number): KeyValueCache {
    const { keyValueHeads, headSize } = this.architecture;
    const copy = new KeyValueCache(this.architecture, rows, positions);
    const [from, to] = [this.capacity * headSize, positions * headSize];
    for (const [name, values] of this.parts) {
      const target = copy.parts.get(name)!;
      for (let head = 0; head < rows * keyValueHeads; head++) {
        const source = (begin * keyValueHeads + head) * from;
        target.set(values.subarray(source, source + to), head * to);
      }
    }
    return copy;
  }

  /**
   * Stores a run's outputs.
   * @param begin the first row that they belong to
   * @param from start of each row's new positions
   * @param to their end; anything beyond is padding
   */
  append(outputs: Record<string, Tensor>, begin: number, from: readonly number[], to: readonly number[]): void {
    const { keyValueHeads: heads, headSize } = this.architecture;
    for (const [name, values] of this.parts) {
      const { data, dims } = outputs[name]!;
      const fresh = data as Float32Array;
      const width = dims[2]!;
      for (let row = 0; row < from.length; row++) {
        const size = (to[row]! - from[row]!) * headSize;
        for (let head = 0; head < heads; head++) {
          const source = (row * heads + head) * width * headSize;
          const target = (((begin + row) * heads + head) * this.capacity + from[row]!) * headSize;
          values.set(fresh.subarray(source, source + size), target);
        }
      }
    }
  }

  /** Moves a row to another's slot. */
  move(from: number, to: number): void {
    const size = this.rowElements;
    for (const values of this.parts.values()) values.copyWithin(to * size, from * size, (from + 1) * size);
  }
}
