// One module through onnxruntime: V from the two weights, its products with every adapter's B, and from these numbers and projected Bs.
// All matrices but V hold one row for each column that goes through V, so that an adapter's part is a run of whole rows.
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { decode, type FloatDtype } from '../core/dtype';
import { SafeLoraError } from '../core/errors';
import { dot, largestOf, transpose } from '../core/matrix';
import { measure, type Measurement, type NullLevel, nullLevel, probeRows, PROBES } from '../core/measure';
import { roundProjection } from '../core/patch';
import { type TensorInfo } from '../core/safetensors';
import { AlignmentMatrix, Buffers, readWhole, type Rows } from './alignment';
import { columnsMemory, workingMemory } from './memory';
import { type ModuleResult, type ModuleTask, type Reply, type Update, type UpdateResult } from './protocol';
import { Sessions } from './sessions';

interface PreparedUpdate {
  rank: number;
  /** [r, in] */
  a: Float64Array;
  /** Bᵀ·scale, [r, out] */
  b: Float64Array;
  /** Power of two that brings B near 1, for its way through single precision. */
  scale: number;
  /** B as it is stored. */
  stored: TensorInfo;
}

interface Products {
  /** (Vᵀ·X)ᵀ, [columns, in] */
  t: Float32Array;
  /** (V·Vᵀ·X)ᵀ, [columns, out] */
  u: Float32Array;
}

/** Runs modules one after the other; sessions and buffers are kept for the next. */
export class ModuleEngine {
  private readonly sessions: Sessions;
  private readonly buffers: Buffers;
  /** The most that any module's columns took: V leaves it free from then on, since it does not give back what it took. */
  private columnsMemory = 0;

  /** @param memory bytes that this process may use */
  constructor(
    factory: typeof InferenceSession,
    private readonly memory: number,
  ) {
    this.sessions = new Sessions(factory);
    this.buffers = new Buffers(workingMemory(memory));
  }

  async compute(task: ModuleTask): Promise<ModuleResult> {
    const prepared: Reply<PreparedUpdate>[] = [];
    for (const update of task.updates) prepared.push(await attempt(() => prepareUpdate(update)));
    const updates = prepared.flatMap((reply) => (reply.ok ? [reply.value] : []));
    if (updates.length === 0) {
      return { updates: prepared.filter((reply) => !reply.ok), bytesRead: 0 };
    }
    const [out, width] = task.shape;
    const probes = probeRows(task.name, out);
    const columns = updates.reduce((sum, { rank }) => sum + rank, PROBES);
    const x = joinRows(updates, probes, columns * out);
    this.columnsMemory = Math.max(this.columnsMemory, columnsMemory(columns, task.shape));
    const memory = workingMemory(this.memory) - this.columnsMemory;
    const alignment = new AlignmentMatrix(task, this.sessions, this.buffers, memory);
    try {
      const { t, u } = await this.multiply(task, alignment, x, columns);
      const v2 = alignment.sumOfSquares;
      const probed = columns - PROBES;
      const level = nullLevel(probes, t.subarray(probed * width), u.subarray(probed * out), v2, task.shape);
      if (!Number.isFinite(v2) || !areFinite(level)) throw whyNotFinite(task, alignment);
      let row = 0;
      const results: Reply<UpdateResult>[] = [];
      for (const reply of prepared) {
        if (!reply.ok) {
          results.push(reply);
          continue;
        }
        const update = reply.value;
        const part = (matrix: Float32Array, length: number): Float32Array =>
          matrix.subarray(row * length, (row + update.rank) * length);
        const products = { t: part(t, width), u: part(u, out) };
        results.push(
          await attempt(async () => {
            const result = await this.result(update, products, v2, level);
            if (areFinite(result.measurement)) return result;
            throw products.u.every(Number.isFinite) ? tooLarge(update.stored) : whyNotFinite(task, alignment);
          }),
        );
        row += update.rank;
      }
      return { updates: results, bytesRead: alignment.bytesRead };
    } finally {
      alignment.close();
    }
  }

  /** @param products of this update */
  private async result(
    { a, b, rank, scale, stored }: PreparedUpdate,
    { t, u }: Products,
    v2: number,
    level: NullLevel,
  ): Promise<UpdateResult> {
    const measurement = measure(
      {
        aa: await this.gram(a, rank),
        bb: await this.gram(b, rank),
        tt: await this.gram(t, rank),
        uu: await this.gram(u, rank),
        ta: dot(t, a),
        v2,
        scale,
      },
      level,
    );
    if (measurement.similarity === null) return { measurement, projected: null };
    const divisor = measurement.alignmentNorm * scale;
    return { measurement, projected: roundProjection(u, rank, divisor, stored.dtype as FloatDtype) };
  }

  /** M·Mᵀ, [rows, rows], in double. */
  private async gram(matrix: Float32Array | Float64Array, rows: number): Promise<Float64Array> {
    const shape = [rows, matrix.length / rows];
    const [session, x] =
      matrix instanceof Float64Array
        ? [await this.sessions.gram('double'), new Tensor('float64', matrix, shape)]
        : [await this.sessions.gram('float'), new Tensor('float32', matrix, shape)];
    return (await session.run({ x })).product!.data as Float64Array;
  }

  private async multiply(
    { shape: [out, width], transposed }: ModuleTask,
    alignment: AlignmentMatrix,
    x: Float32Array,
    columns: number,
  ): Promise<Products> {
    const [addOverRows, alongRows] = [await this.sessions.addOverRows(), await this.sessions.alongRows()];
    const tensor = (data: Float32Array): Tensor => new Tensor('float32', data, [columns, data.length / columns]);
    const zeros = (length: number): Float32Array => new Float32Array(columns * length);
    /** Adds X·V of a block to a sum, in the other of two buffers. */
    const add = async (
      part: Float32Array,
      v: Tensor,
      [sum, other]: readonly [Float32Array, Float32Array],
    ): Promise<[Float32Array, Float32Array]> => {
      await addOverRows.run({ x: tensor(part), v, sum: tensor(sum) }, { product: tensor(other) });
      return [other, sum];
    };
    const along = async (matrix: Float32Array, v: Tensor): Promise<Float32Array> =>
      (await alongRows.run({ x: tensor(matrix), v })).product!.data as Float32Array;

    if (transposed) {
      const t = zeros(width);
      let u: [Float32Array, Float32Array] = [zeros(out), zeros(out)];
      for (const rows of alignment.blocks) {
        const v = await alignment.block(rows);
        const part = await along(x, v);
        putColumns(t, width, rows, part);
        u = await add(part, v, u);
      }
      return { t, u: u[0] };
    }
    let t: [Float32Array, Float32Array] = [zeros(width), zeros(width)];
    for (const rows of alignment.blocks) t = await add(takeColumns(x, out, rows), await alignment.block(rows), t);
    const u = zeros(out);
    for (const rows of alignment.blocks) putColumns(u, out, rows, await along(t[0], await alignment.block(rows)));
    return { t: t[0], u };
  }
}

/** A failure that its user can act on is an answer; any other is thrown. */
async function attempt<T>(action: () => T | Promise<T>): Promise<Reply<T>> {
  try {
    return { ok: true, value: await action() };
  } catch (error) {
    if (!(error instanceof SafeLoraError)) throw error;
    return { ok: false, error: { code: error.code, message: error.message } };
  }
}

function prepareUpdate({ a, b }: Update): PreparedUpdate {
  const values = (tensor: TensorInfo): { decoded: Float64Array; largest: number } => {
    const decoded = decode(readWhole(tensor), tensor.dtype as FloatDtype);
    const largest = largestOf(decoded);
    if (!Number.isFinite(largest)) throw nonFinite(tensor);
    return { decoded, largest };
  };
  const rank = a.shape[0]!;
  const { decoded, largest } = values(b);
  const scale = largest === 0 ? 1 : 2 ** -Math.floor(Math.log2(largest));
  for (let i = 0; i < decoded.length; i++) decoded[i]! *= scale;
  return { rank, a: values(a).decoded, b: transpose(decoded, rank), scale, stored: b };
}

/** [B₁·scale₁ | B₂·scale₂ … | G]ᵀ */
function joinRows(updates: readonly PreparedUpdate[], probes: Float32Array, length: number): Float32Array {
  const x = new Float32Array(length);
  let at = 0;
  for (const part of [...updates.map(({ b }) => b), probes]) {
    x.set(part, at);
    at += part.length;
  }
  return x;
}

/** Columns of a row-major matrix of so many columns, as a matrix of their own. */
function takeColumns(matrix: Float32Array, columns: number, { begin, end }: Rows): Float32Array {
  const taken = new Float32Array((matrix.length / columns) * (end - begin));
  for (let row = 0, at = 0; at < taken.length; row++, at += end - begin) {
    taken.set(matrix.subarray(row * columns + begin, row * columns + end), at);
  }
  return taken;
}

function putColumns(matrix: Float32Array, columns: number, { begin, end }: Rows, part: Float32Array): void {
  for (let row = 0, at = 0; at < part.length; row++, at += end - begin) {
    matrix.set(part.subarray(at, at + end - begin), row * columns + begin);
  }
}

function areFinite(numbers: NullLevel | Measurement): boolean {
  return Object.values(numbers).every((value: number | null) => value === null || Number.isFinite(value));
}

/** Looks for the culprit only once a result shows that there is one. */
function whyNotFinite({ aligned }: ModuleTask, alignment: AlignmentMatrix): SafeLoraError {
  const tensor = alignment.findNonFinite();
  if (tensor) return nonFinite(tensor);
  return new SafeLoraError(
    'overflow',
    `${aligned.path}: the difference between ${aligned.name} and the base weight is too large for single precision; check that both models are what they should be.`,
  );
}

function tooLarge(b: TensorInfo): SafeLoraError {
  return new SafeLoraError(
    'overflow',
    `${b.path}: the update that ${b.name} belongs to is too large for double precision; check how it was trained.`,
  );
}

function nonFinite(tensor: TensorInfo): SafeLoraError {
  return new SafeLoraError(
    'non-finite',
    `${tensor.path}: ${tensor.name} holds NaN or infinity; download or train it again.`,
  );
}
