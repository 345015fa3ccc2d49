// V = W_aligned − W_base of one module in memory: made from the two stored weights a block of rows at a time, and kept as far as memory allows.
import { Tensor } from 'onnxruntime-node';
import { type Sessions } from './sessions';
import { type Rows, split, type StoredWeights } from './weights';

/** Elements that are decoded in one run: all that comes between the bytes and V stays in the processor's own cache. */
const DECODED_ELEMENTS = 2 ** 18;

/** Elements of V that are multiplied in one run: enough for the products' speed, and still in the shared cache. */
const BLOCK_ELEMENTS = 2 ** 20;

/** Bytes: Electron's allocator refuses a larger array (MaxDirectMapped in Chromium's partition_alloc_constants.h). */
const LARGEST_V = 2 ** 31 - 2 ** 21;

/** Memory for V that serves one module after the other. */
export class AlignmentBuffer {
  /** Takes room only where V was written so far: one that grew by being made anew would for a while be there twice. */
  private v: Float32Array;
  /** Elements from the first on that were given out: they take room from then on. */
  private touched = 0;

  /** @param memory bytes that V may take */
  constructor(memory: number) {
    const bytes = Math.min(memory, LARGEST_V);
    this.v = new Float32Array(Math.max(BLOCK_ELEMENTS, Math.floor(bytes / Float32Array.BYTES_PER_ELEMENT)));
  }

  /** Elements that V may have at most. */
  get largest(): number {
    return this.v.length;
  }

  /** @param most elements that V may take room for from now on */
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
  /** ΣV² over the rows that have been made. */
  sumOfSquares = 0;
  readonly blocks: readonly Rows[];
  private readonly rowLength: number;
  private readonly v: Float32Array;
  /** How many rows from the first on stay in memory once they are made. */
  private readonly keptRows: number;
  private madeRows = 0;

  /** @param memory bytes that V may take */
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
    // Beyond the rows that are kept, one block is made over the other.
    this.keptRows = weights.transposed ? 0 : room >= rows ? rows : Math.max(0, room - blockRows);
    this.v = buffer.take(Math.min(rows, this.keptRows + blockRows) * rowLength, elements);
  }

  /** A block of V, [rows, row length]. It holds until the next is asked for. */
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
