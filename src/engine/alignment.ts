// V = W_aligned − W_base of one module in memory: computed from the two stored weights in blocks of rows, and kept as memory allows.
import { Tensor } from 'onnxruntime-node';
import { type Sessions } from './sessions';
import { type Rows, split, type StoredWeights } from './weights';

/** Elements decoded in one run, so that everything between the bytes and V stays in the processor's own cache. */
const DECODED_ELEMENTS = 2 ** 18;

/** Elements of V multiplied in one run: enough for the products' speed, and still within the shared cache. */
const BLOCK_ELEMENTS = 2 ** 20;

/** Bytes: Electron's allocator refuses a larger array (MaxDirectMapped in Chromium's partition_alloc_constants.h). */
const LARGEST_V = 2 ** 31 - 2 ** 21;

/** Memory for V, reused for one module after the other. */
export class AlignmentBuffer {
  /** Takes memory only for what was written: growing by reallocation would briefly need twice as much. */
  private v: Float32Array;
  /** Elements from the first on that were handed out, and take memory from then on. */
  private touched = 0;

  /** @param memory maximum bytes of V */
  constructor(memory: number) {
    const bytes = Math.min(memory, LARGEST_V);
    this.v = new Float32Array(Math.max(BLOCK_ELEMENTS, Math.floor(bytes / Float32Array.BYTES_PER_ELEMENT)));
  }

  /** Maximum elements of V. */
  get largest(): number {
    return this.v.length;
  }

  /** @param most maximum elements of V from now on */
  take(elements: number, most: number): Float32Array {
    // A single row may be longer than the buffer.
    if (elements > this.v.length) return new Float32Array(elements);
    if (this.touched > most) {
      this.v = new Float32Array(this.v.length);
      this.touched = 0;
    }
    this.touched = Math.max(this.touched, elements);
    return this.v;
  }
}

export class AlignmentMatrix {
  /** ΣV² over the rows computed so far. */
  sumOfSquares = 0;
  readonly blocks: readonly Rows[];
  private readonly rowLength: number;
  private readonly v: Float32Array;
  /** Number of rows from the first on that stay in memory. */
  private readonly keptRows: number;
  private madeRows = 0;

  /** @param memory maximum bytes of V */
  constructor(
    private readonly weights: StoredWeights,
    private readonly sessions: Sessions,
    buffer: AlignmentBuffer,
    memory: number,
  ) {
    const { rows, rowLength } = weights;
    this.rowLength = rowLength;
    this.blocks = split({ begin: 0, end: rows }, Math.floor(BLOCK_ELEMENTS / rowLength));
    const blockRows = this.blocks[0]!.end;
    const elements = Math.max(BLOCK_ELEMENTS, Math.min(memory / Float32Array.BYTES_PER_ELEMENT, buffer.largest));
    const room = Math.floor(elements / rowLength);
    // Beyond the kept rows, each block overwrites the last.
    this.keptRows = weights.transposed ? 0 : room >= rows ? rows : Math.max(0, room - blockRows);
    this.v = buffer.take(Math.min(rows, this.keptRows + blockRows) * rowLength, elements);
  }

  /** A block of V, [rows, row length], valid until the next call. */
  async block({ begin, end }: Rows): Promise<Tensor> {
    const kept = end <= this.keptRows;
    const from = kept ? begin : this.keptRows;
    const v = this.v.subarray(from * this.rowLength, (from + end - begin) * this.rowLength);
    if (!kept || end > this.madeRows) await this.make({ begin, end }, v);
    return this.tensor(v);
  }

  private async make({ begin, end }: Rows, v: Float32Array): Promise<void> {
    const session = await this.sessions.step(this.weights.source, 'difference');
    for (const rows of split({ begin, end }, Math.floor(DECODED_ELEMENTS / this.rowLength))) {
      const part = v.subarray((rows.begin - begin) * this.rowLength, (rows.end - begin) * this.rowLength);
      const { squares } = await session.run(this.weights.feeds(rows), { v: this.tensor(part), squares: null });
      if (rows.end <= this.madeRows) continue;
      for (const square of squares!.data as Float32Array) this.sumOfSquares += square;
      this.madeRows = rows.end;
    }
  }

  private tensor(v: Float32Array): Tensor {
    return new Tensor('float32', v, [v.length / this.rowLength, this.rowLength]);
  }
}
