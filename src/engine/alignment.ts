// V = W_aligned − W_base of one module, made from the two stored weights a block of rows at a time and kept as far as memory allows.
import { closeSync, openSync, readSync } from 'node:fs';
import { Tensor } from 'onnxruntime-node';
import { bytesPerElement, decode, type FloatDtype } from '../core/dtype';
import { fileError } from '../core/errors';
import { truncated } from '../core/files';
import { type TensorInfo } from '../core/safetensors';
import { inputType } from './graphs';
import { type ModuleTask } from './protocol';
import { type Sessions } from './sessions';

/** Elements that are decoded in one run: all that comes between the bytes and V stays in the processor's own cache. */
const DECODED_ELEMENTS = 2 ** 18;

/** Elements of V that are multiplied in one run: enough for the products' speed, and still in the shared cache. */
const BLOCK_ELEMENTS = 2 ** 20;

/** Bytes: Electron's allocator refuses a larger array (MaxDirectMapped in Chromium's partition_alloc_constants.h). */
const LARGEST_V = 2 ** 31 - 2 ** 21;

/** Stored rows from `begin` up to `end`. */
export interface Rows {
  begin: number;
  end: number;
}

/** Memory that serves one module after the other. */
export class Buffers {
  readonly base = new ArrayBuffer(DECODED_ELEMENTS * 8);
  readonly aligned = new ArrayBuffer(DECODED_ELEMENTS * 8);
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
  /** Bytes of both weights read so far. */
  bytesRead = 0;
  /** ΣV² over the rows that have been made. */
  sumOfSquares = 0;
  readonly blocks: readonly Rows[];
  private readonly rowLength: number;
  private readonly v: Float32Array;
  /** How many rows from the first on stay in memory once they are made. */
  private readonly keptRows: number;
  private madeRows = 0;
  private readonly descriptors = new Map<string, number>();

  /** @param memory bytes that V may take */
  constructor(
    private readonly task: ModuleTask,
    private readonly sessions: Sessions,
    private readonly buffers: Buffers,
    memory: number,
  ) {
    const [rows, rowLength] = task.base.shape as [number, number];
    this.rowLength = rowLength;
    this.blocks = split({ begin: 0, end: rows }, Math.floor(BLOCK_ELEMENTS / rowLength));
    const blockRows = this.blocks[0]!.end;
    const elements = Math.max(BLOCK_ELEMENTS, Math.min(memory / Float32Array.BYTES_PER_ELEMENT, buffers.largest));
    const room = Math.floor(elements / rowLength);
    // Beyond the rows that are kept, one block is made over the other.
    this.keptRows = task.transposed ? 0 : room >= rows ? rows : Math.max(0, room - blockRows);
    this.v = buffers.take(Math.min(rows, this.keptRows + blockRows) * rowLength, elements);
  }

  /** A block of V, [rows, row length]. It holds until the next is asked for. */
  async block({ begin, end }: Rows): Promise<Tensor> {
    const kept = end <= this.keptRows;
    const from = kept ? begin : this.keptRows;
    const v = this.v.subarray(from * this.rowLength, (from + end - begin) * this.rowLength);
    if (!kept || end > this.madeRows) await this.make({ begin, end }, v);
    return this.tensor(v);
  }

  /** The first tensor of the two that holds a value which is not finite. */
  findNonFinite(): TensorInfo | undefined {
    return [this.task.base, this.task.aligned].find((tensor) => {
      const rowBytes = tensor.length / tensor.shape[0]!;
      const bytes = new Uint8Array(rowBytes);
      for (let row = 0; row < tensor.shape[0]!; row++) {
        this.read(tensor, row * rowBytes, bytes);
        if (!decode(bytes, tensor.dtype as FloatDtype).every(Number.isFinite)) return true;
      }
      return false;
    });
  }

  close(): void {
    for (const descriptor of this.descriptors.values()) closeSync(descriptor);
  }

  private async make({ begin, end }: Rows, v: Float32Array): Promise<void> {
    const session = await this.sessions.difference(this.task.base.dtype as FloatDtype, this.task.aligned.dtype as FloatDtype); // prettier-ignore
    for (const rows of split({ begin, end }, Math.floor(DECODED_ELEMENTS / this.rowLength))) {
      const part = v.subarray((rows.begin - begin) * this.rowLength, (rows.end - begin) * this.rowLength);
      const { squares } = await session.run(
        { base: this.stored('base', rows), aligned: this.stored('aligned', rows) },
        { v: this.tensor(part), squares: null },
      );
      if (rows.end <= this.madeRows) continue;
      for (const square of squares!.data as Float32Array) this.sumOfSquares += square;
      this.madeRows = rows.end;
    }
  }

  private tensor(v: Float32Array): Tensor {
    return new Tensor('float32', v, [v.length / this.rowLength, this.rowLength]);
  }

  /** Rows of a weight as they are stored. They hold until the next are read. */
  private stored(side: 'base' | 'aligned', { begin, end }: Rows): Tensor {
    const tensor = this.task[side];
    const dtype = tensor.dtype as FloatDtype;
    const shape = [end - begin, this.rowLength];
    const elements = (end - begin) * this.rowLength;
    const rowBytes = this.rowLength * bytesPerElement(dtype);
    const buffer =
      this.buffers[side].byteLength < (end - begin) * rowBytes
        ? new ArrayBuffer((end - begin) * rowBytes)
        : this.buffers[side];
    const bytes = new Uint8Array(buffer, 0, (end - begin) * rowBytes);
    this.read(tensor, begin * rowBytes, bytes);
    this.bytesRead += bytes.length;
    switch (inputType[dtype]) {
      case 'double':
        return new Tensor('float64', new Float64Array(buffer, 0, elements), shape);
      case 'float':
        return new Tensor('float32', new Float32Array(buffer, 0, elements), shape);
      default:
        return new Tensor('uint16', new Uint16Array(buffer, 0, elements), shape);
    }
  }

  private read(tensor: TensorInfo, from: number, bytes: Uint8Array): void {
    let descriptor = this.descriptors.get(tensor.path);
    if (descriptor === undefined) {
      descriptor = openForReading(tensor.path);
      this.descriptors.set(tensor.path, descriptor);
    }
    readExactly(descriptor, bytes, tensor.offset + from, tensor.path);
  }
}

/** The whole of a small tensor, A or B. */
export function readWhole(tensor: TensorInfo): Uint8Array {
  const descriptor = openForReading(tensor.path);
  try {
    const bytes = new Uint8Array(tensor.length);
    readExactly(descriptor, bytes, tensor.offset, tensor.path);
    return bytes;
  } finally {
    closeSync(descriptor);
  }
}

/** Into parts of so many rows, of at least one. */
function split({ begin, end }: Rows, rows: number): Rows[] {
  const size = Math.max(1, rows);
  return Array.from({ length: Math.ceil((end - begin) / size) }, (_, i) => ({
    begin: begin + i * size,
    end: Math.min(begin + (i + 1) * size, end),
  }));
}

function openForReading(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw fileError(path, error);
  }
}

function readExactly(descriptor: number, bytes: Uint8Array, offset: number, path: string): void {
  for (let done = 0; done < bytes.length;) {
    let count: number;
    try {
      count = readSync(descriptor, bytes, done, bytes.length - done, offset + done);
    } catch (error) {
      throw fileError(path, error);
    }
    if (count === 0) throw truncated(path, offset + bytes.length, offset + done);
    done += count;
  }
}
