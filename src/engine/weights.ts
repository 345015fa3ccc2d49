// Reads the two stored weights of a module by rows, into buffers that are reused for the next module.
import { closeSync, openSync, readSync } from 'node:fs';
import { Tensor } from 'onnxruntime-node';
import { bytesPerElement, decode, type FloatDtype } from '../core/dtype';
import { fileError } from '../core/errors';
import { truncated } from '../core/files';
import { sourceOf, type TensorInfo } from '../core/safetensors';
import { type Source, sourceFor, storedInput } from './graphs';
import { type ModuleTask } from './protocol';
import { type Provider } from './providers';

const SUBTRACTED_ELEMENTS = 2 ** 18;

/** Stored rows from `begin` up to `end`. */
export interface Rows {
  begin: number;
  end: number;
}

/** Splits into parts of that many rows, of at least one. */
export function split({ begin, end }: Rows, rows: number): Rows[] {
  const size = Math.max(1, rows);
  return Array.from({ length: Math.ceil((end - begin) / size) }, (_, i) => ({
    begin: begin + i * size,
    end: Math.min(begin + (i + 1) * size, end),
  }));
}

type Side = 'base' | 'aligned';

/** Memory for rows of both weights; grows to the largest requested block. */
export class ReadBuffers {
  private readonly buffers: Record<Side, ArrayBuffer> = { base: new ArrayBuffer(0), aligned: new ArrayBuffer(0) };

  take(side: Side, bytes: number): ArrayBuffer {
    if (this.buffers[side].byteLength < bytes) this.buffers[side] = new ArrayBuffer(bytes);
    return this.buffers[side];
  }
}

export class StoredWeights {
  /** Bytes of both weights read so far. */
  bytesRead = 0;
  readonly rows: number;
  readonly rowLength: number;
  readonly transposed: boolean;
  /** How the provider's graphs take them. */
  readonly source: Source;
  /** Of an element of both. */
  readonly elementBytes: number;
  private readonly tensors: Record<Side, TensorInfo>;
  private readonly descriptors = new Map<string, number>();

  constructor(
    { base, aligned, transposed }: ModuleTask,
    private readonly provider: Provider,
    private readonly buffers: ReadBuffers,
  ) {
    const [rows, rowLength] = base.shape as [number, number];
    this.rows = rows;
    this.rowLength = rowLength;
    this.transposed = transposed;
    this.tensors = { base, aligned };
    this.source = sourceFor(provider, base.dtype as FloatDtype, aligned.dtype as FloatDtype);
    this.elementBytes = bytesPerElement(base.dtype as FloatDtype) + bytesPerElement(aligned.dtype as FloatDtype);
  }

  /** The inputs of a graph that computes these rows of V, valid until the next read. */
  feeds(rows: Rows): Record<string, Tensor> {
    if (this.source === 'v') return { v: this.difference(rows) };
    return { base: this.stored('base', rows), aligned: this.stored('aligned', rows) };
  }

  /** The first of the two tensors with a non-finite value. */
  findNonFinite(): TensorInfo | undefined {
    return Object.values(this.tensors).find((tensor) => {
      const rowBytes = tensor.length / tensor.shape[0]!;
      const bytes = new Uint8Array(rowBytes);
      for (let row = 0; row < tensor.shape[0]!; row++) {
        this.readBytes(tensor, row * rowBytes, bytes);
        if (!decode(bytes, tensor.dtype as FloatDtype).every(Number.isFinite)) return true;
      }
      return false;
    });
  }

  close(): void {
    for (const descriptor of this.descriptors.values()) closeSync(descriptor);
  }

  private stored(side: Side, rows: Rows): Tensor {
    const dtype = this.tensors[side].dtype as FloatDtype;
    const { buffer, byteLength } = this.read(side, rows);
    const { type, elementShape } = storedInput(this.provider, dtype);
    const shape = [rows.end - rows.begin, this.rowLength, ...elementShape];
    switch (type) {
      case 'double':
        return new Tensor('float64', new Float64Array(buffer, 0, byteLength / 8), shape);
      case 'float':
        return new Tensor('float32', new Float32Array(buffer, 0, byteLength / 4), shape);
      case 'uint8':
        return new Tensor('uint8', new Uint8Array(buffer, 0, byteLength), shape);
      default:
        return new Tensor('uint16', new Uint16Array(buffer, 0, byteLength / 2), shape);
    }
  }

  /** V's rows, subtracted in double. A few at a time, since doubles take four times the memory of the stored values. */
  private difference({ begin, end }: Rows): Tensor {
    const v = new Float32Array((end - begin) * this.rowLength);
    for (const rows of split({ begin, end }, Math.floor(SUBTRACTED_ELEMENTS / this.rowLength))) {
      const [base, aligned] = (['base', 'aligned'] as const).map((side) =>
        decode(this.read(side, rows), this.tensors[side].dtype as FloatDtype),
      ) as [Float64Array, Float64Array];
      const at = (rows.begin - begin) * this.rowLength;
      for (let i = 0; i < base.length; i++) v[at + i] = aligned[i]! - base[i]!;
    }
    return new Tensor('float32', v, [end - begin, this.rowLength]);
  }

  private read(side: Side, { begin, end }: Rows): Uint8Array<ArrayBuffer> {
    const tensor = this.tensors[side];
    const rowBytes = this.rowLength * bytesPerElement(tensor.dtype as FloatDtype);
    const bytes = new Uint8Array(this.buffers.take(side, (end - begin) * rowBytes), 0, (end - begin) * rowBytes);
    this.readBytes(tensor, begin * rowBytes, bytes);
    this.bytesRead += bytes.length;
    return bytes;
  }

  private readBytes(tensor: TensorInfo, from: number, bytes: Uint8Array): void {
    let descriptor = this.descriptors.get(tensor.path);
    if (descriptor === undefined) {
      descriptor = openForReading(tensor);
      this.descriptors.set(tensor.path, descriptor);
    }
    readExactly(descriptor, bytes, tensor.offset + from, sourceOf(tensor));
  }
}

/** A whole small tensor, A or B. */
export function readWhole(tensor: TensorInfo): Uint8Array {
  const descriptor = openForReading(tensor);
  try {
    const bytes = new Uint8Array(tensor.length);
    readExactly(descriptor, bytes, tensor.offset, sourceOf(tensor));
    return bytes;
  } finally {
    closeSync(descriptor);
  }
}

function openForReading(tensor: TensorInfo): number {
  try {
    return openSync(tensor.path, 'r');
  } catch (error) {
    throw fileError(sourceOf(tensor), error);
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
