// One module through onnxruntime: read the two weights by range, run the graph, turn its outputs into numbers and a projected B.
import { closeSync, openSync, readSync } from 'node:fs';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { decode, type FloatDtype } from '../core/dtype';
import { fileError, SafeLoraError } from '../core/errors';
import { truncated } from '../core/files';
import { measure, nullLevel, probeColumns, PROBES } from '../core/measure';
import { roundProjection } from '../core/patch';
import { type TensorInfo } from '../core/safetensors';
import { buildGraph, type GraphKey, type GraphPart, inputType } from './graphs';
import { type ModuleResult, type ModuleTask, type Update } from './protocol';

/** What a child holds before any weight: Node, onnxruntime and its arena's first blocks (measured: 90 MB). */
const BASE_MEMORY = 100 * 2 ** 20;

interface PreparedUpdate {
  rank: number;
  a: Float64Array;
  b: Float64Array;
  /** Power of two by which B is multiplied on its way through single precision. */
  scale: number;
}

interface Products {
  /** Vᵀ·X, [in, columns] */
  t: Float32Array;
  /** V·Vᵀ·X, [out, columns] */
  u: Float32Array;
  v2: number;
}

/** Runs modules one after the other; sessions and read buffers are kept for the next. */
export class ModuleEngine {
  private readonly sessions = new Map<string, Promise<InferenceSession>>();
  private readonly buffers = { base: new ArrayBuffer(0), aligned: new ArrayBuffer(0) };

  /** @param memory bytes that this process may use */
  constructor(
    private readonly factory: typeof InferenceSession,
    private readonly memory: number,
  ) {}

  async compute(task: ModuleTask): Promise<ModuleResult> {
    const updates = task.updates.map(prepareUpdate);
    const probes = probeColumns(task.name, task.shape[0]);
    const columns = updates.reduce((sum, update) => sum + update.rank, PROBES);
    const x = joinColumns(updates, probes, task.shape[0], columns);
    const reader = new WeightReader(task, this.buffers);
    try {
      const products = await this.multiply(task, reader, x, columns);
      refuseNonFinite(task, reader, products);
      const part = (matrix: ArrayLike<number>, from: number, count: number, scale = 1): Float64Array =>
        takeColumns(matrix, columns, from, count, scale);
      const level = nullLevel(
        probes,
        part(products.t, columns - PROBES, PROBES),
        part(products.u, columns - PROBES, PROBES),
        products.v2,
        task.shape,
      );
      let from = 0;
      const results = updates.map((update, index) => {
        const t = part(products.t, from, update.rank, 1 / update.scale);
        const u = part(products.u, from, update.rank, 1 / update.scale);
        from += update.rank;
        const measurement = measure({ ...update, t, u, v2: products.v2 }, level);
        const dtype = task.updates[index]!.b.dtype as FloatDtype;
        return {
          measurement,
          projected: measurement.similarity === null ? null : roundProjection(u, measurement.alignmentNorm, dtype),
        };
      });
      return { updates: results, bytesRead: reader.bytesRead };
    } finally {
      reader.close();
    }
  }

  private async multiply(task: ModuleTask, reader: WeightReader, x: Float32Array, columns: number): Promise<Products> {
    const [out, width] = task.shape;
    const blocks = rowBlocks(task);
    reader.keepWhole = this.fitsWhole(task, columns);
    let v2 = 0;
    const run = async (
      part: GraphPart,
      [begin, end]: readonly [number, number],
      inputs: Record<string, Tensor>,
    ): Promise<Record<string, Tensor>> => {
      const results = await (await this.session(task, part)).run({ ...reader.read(begin, end), ...inputs });
      for (const square of (results.squares?.data ?? []) as Float32Array) v2 += square;
      return results;
    };
    const matrix = (data: Float32Array, from: number, to: number): Tensor =>
      new Tensor('float32', data.subarray(from * columns, to * columns), [to - from, columns]);
    const zeros = (rows: number): Tensor => matrix(new Float32Array(rows * columns), 0, rows);

    if (task.transposed) {
      const t = new Float32Array(width * columns);
      let sum = zeros(out);
      for (const block of blocks) {
        const made = await run('both', block, { x: matrix(x, 0, out), sum });
        t.set(made.t!.data as Float32Array, block[0] * columns);
        sum = made.u!;
      }
      return { t, u: sum.data as Float32Array, v2 };
    }
    let sum = zeros(width);
    for (const block of blocks) sum = (await run('gather', block, { x: matrix(x, ...block), sum })).t!;
    const u = new Float32Array(out * columns);
    for (const block of blocks) u.set((await run('apply', block, { t: sum })).u!.data as Float32Array, block[0] * columns); // prettier-ignore
    return { t: sum.data as Float32Array, u, v2 };
  }

  /** Whether the raw bytes of both weights may stay in memory between the two passes over them. */
  private fitsWhole({ base, aligned, shape, transposed }: ModuleTask, columns: number): boolean {
    const fixed = BASE_MEMORY + (shape[0] + shape[1]) * columns * 16 + BLOCK_ELEMENTS * 32;
    return !transposed && base.length + aligned.length <= this.memory - fixed;
  }

  private session(task: ModuleTask, part: GraphPart): Promise<InferenceSession> {
    const key: GraphKey = {
      base: task.base.dtype as FloatDtype,
      aligned: task.aligned.dtype as FloatDtype,
      part,
    };
    const id = JSON.stringify(key);
    let session = this.sessions.get(id);
    if (!session) {
      session = this.factory.create(buildGraph(key), {
        executionProviders: ['cpu'],
        // One thread a child: several children use the cores better, and sums come out in the same order everywhere.
        intraOpNumThreads: 1,
        interOpNumThreads: 1,
        enableMemPattern: false,
        logSeverityLevel: 3,
      });
      this.sessions.set(id, session);
    }
    return session;
  }
}

/**
 * Elements of a block of rows: its decoded values stay in the processor's cache, and blocks of all shapes take about the same memory,
 * so that onnxruntime's arena does not grow.
 */
const BLOCK_ELEMENTS = 2 ** 20;

function rowBlocks({ base }: ModuleTask): [number, number][] {
  const [rows, rowLength] = base.shape as [number, number];
  const size = Math.max(1, Math.floor(BLOCK_ELEMENTS / rowLength));
  return Array.from({ length: Math.ceil(rows / size) }, (_, i) => [i * size, Math.min((i + 1) * size, rows)]);
}

function prepareUpdate({ a, b }: Update): PreparedUpdate {
  const values = (tensor: TensorInfo): Float64Array => {
    const decoded = decode(readWhole(tensor), tensor.dtype as FloatDtype);
    if (!decoded.every(Number.isFinite)) throw nonFinite(tensor);
    return decoded;
  };
  const bValues = values(b);
  const largest = bValues.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  return {
    rank: a.shape[0]!,
    a: values(a),
    b: bValues,
    scale: largest === 0 ? 1 : 2 ** -Math.floor(Math.log2(largest)),
  };
}

/** [B₁·scale | B₂·scale … | G], row-major [rows, columns]. */
function joinColumns(
  updates: readonly PreparedUpdate[],
  probes: Float32Array,
  rows: number,
  columns: number,
): Float32Array {
  const x = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    let at = row * columns;
    for (const { b, rank, scale } of updates) for (let i = 0; i < rank; i++) x[at++] = b[row * rank + i]! * scale;
    x.set(probes.subarray(row * PROBES, (row + 1) * PROBES), at);
  }
  return x;
}

function takeColumns(
  matrix: ArrayLike<number>,
  columns: number,
  from: number,
  count: number,
  scale: number,
): Float64Array {
  const taken = new Float64Array((matrix.length / columns) * count);
  for (let row = 0, at = 0; row * columns < matrix.length; row++) {
    for (let i = 0; i < count; i++) taken[at++] = matrix[row * columns + from + i]! * scale;
  }
  return taken;
}

/** Looks for the culprit only once a sum shows that there is one. */
function refuseNonFinite(task: ModuleTask, reader: WeightReader, { t, u, v2 }: Products): void {
  if (Number.isFinite(v2) && t.every(Number.isFinite) && u.every(Number.isFinite)) return;
  for (const tensor of [task.base, task.aligned]) {
    if (reader.someRow(tensor, (row) => !row.every(Number.isFinite))) throw nonFinite(tensor);
  }
  throw new SafeLoraError(
    'overflow',
    `${task.aligned.path}: the difference between ${task.aligned.name} and the base weight is too large for single precision; check that both models are what they should be.`,
  );
}

function nonFinite(tensor: TensorInfo): SafeLoraError {
  return new SafeLoraError(
    'non-finite',
    `${tensor.path}: ${tensor.name} holds NaN or infinity; download or train it again.`,
  );
}

/** The whole of a small tensor, A or B. */
function readWhole(tensor: TensorInfo): Uint8Array {
  return withDescriptor(tensor.path, (descriptor) => {
    const bytes = new Uint8Array(tensor.length);
    readExactly(descriptor, bytes, tensor.offset, tensor.path);
    return bytes;
  });
}

/** Rows of a module's two stored weights, read into buffers that are used again. */
class WeightReader {
  bytesRead = 0;
  /** The weights are read once and stay, for as long as the module is computed. */
  keepWhole = false;
  private readonly isRead = { base: false, aligned: false };
  private readonly descriptors = new Map<string, number>();

  constructor(
    private readonly task: ModuleTask,
    private readonly buffers: Record<'base' | 'aligned', ArrayBuffer>,
  ) {}

  /** The graph's inputs `base` and `aligned` for stored rows [begin, end). They hold until the next read. */
  read(begin: number, end: number): Record<'base' | 'aligned', Tensor> {
    return { base: this.rows('base', begin, end), aligned: this.rows('aligned', begin, end) };
  }

  /** Whether a predicate holds for any row of a weight, in double. */
  someRow(tensor: TensorInfo, predicate: (row: Float64Array) => boolean): boolean {
    const rowBytes = tensor.length / tensor.shape[0]!;
    const bytes = new Uint8Array(rowBytes);
    for (let row = 0; row < tensor.shape[0]!; row++) {
      readExactly(this.descriptor(tensor.path), bytes, tensor.offset + row * rowBytes, tensor.path);
      if (predicate(decode(bytes, tensor.dtype as FloatDtype))) return true;
    }
    return false;
  }

  close(): void {
    for (const descriptor of this.descriptors.values()) closeSync(descriptor);
  }

  private rows(side: 'base' | 'aligned', begin: number, end: number): Tensor {
    const tensor = this.task[side];
    const [rows, rowLength] = tensor.shape as [number, number];
    const rowBytes = tensor.length / rows;
    const [first, last] = this.keepWhole ? [0, rows] : [begin, end];
    if (!this.keepWhole || !this.isRead[side]) this.fill(side, first * rowBytes, (last - first) * rowBytes);
    this.isRead[side] = true;
    const buffer = this.buffers[side];
    const offset = (begin - first) * rowBytes;
    const elements = (end - begin) * rowLength;
    switch (inputType[tensor.dtype as FloatDtype]) {
      case 'double':
        return new Tensor('float64', new Float64Array(buffer, offset, elements), [end - begin, rowLength]);
      case 'float':
        return new Tensor('float32', new Float32Array(buffer, offset, elements), [end - begin, rowLength]);
      default:
        return new Tensor('uint16', new Uint16Array(buffer, offset, elements), [end - begin, rowLength]);
    }
  }

  /** Reads a part of a weight into its buffer, which grows to the largest. */
  private fill(side: 'base' | 'aligned', from: number, length: number): void {
    const tensor = this.task[side];
    if (this.buffers[side].byteLength < length) this.buffers[side] = new ArrayBuffer(length);
    const bytes = new Uint8Array(this.buffers[side], 0, length);
    readExactly(this.descriptor(tensor.path), bytes, tensor.offset + from, tensor.path);
    this.bytesRead += length;
  }

  private descriptor(path: string): number {
    let descriptor = this.descriptors.get(path);
    if (descriptor === undefined) {
      descriptor = openForReading(path);
      this.descriptors.set(path, descriptor);
    }
    return descriptor;
  }
}

function openForReading(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw fileError(path, error);
  }
}

function withDescriptor<T>(path: string, use: (descriptor: number) => T): T {
  const descriptor = openForReading(path);
  try {
    return use(descriptor);
  } finally {
    closeSync(descriptor);
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
