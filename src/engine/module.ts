// Runs one module through onnxruntime: multiplies V with every adapter's B, then computes the numbers and projected Bs.
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { decode, type FloatDtype } from '../core/dtype';
import { SafeLoraError } from '../core/errors';
import { dot, largestOf, transpose } from '../core/matrix';
import { measure, type Measurement, type NullLevel, nullLevel, probeRows, PROBES } from '../core/measure';
import { replaceB, type ReplacementName } from '../core/replacement';
import { sourceOf, type TensorInfo } from '../core/safetensors';
import { CpuMultiplier } from './cpu';
import { GpuMultiplier } from './gpu';
import { columnsMemory, workingMemory } from './memory';
import { type Multiplier } from './products';
import {
  failureOf,
  type ModuleResult,
  type ModuleTask,
  type Reply,
  type Start,
  type Update,
  type UpdateResult,
} from './protocol';
import { type Provider } from './providers';
import { Sessions } from './sessions';
import { ReadBuffers, readWhole, StoredWeights } from './weights';

interface PreparedUpdate {
  rank: number;
  /** [r, in], each row times `scale` over the scale of its column of B */
  a: Float64Array;
  /** Bᵀ, [r, out], each row times its scale */
  b: Float64Array;
  /** Powers of two that scale each column of B to near 1 for single precision: columns may differ widely in size. */
  scales: Float64Array;
  /** The scale of the largest column. */
  scale: number;
  /** Sign of the scale with which the running model adds B·A. */
  sign: 1 | -1;
  /** B as it is stored. */
  stored: TensorInfo;
}

/** Runs modules one after the other, reusing sessions and buffers. */
export class ModuleEngine {
  private readonly sessions: Sessions;
  private readonly multiplier: Multiplier;
  private readonly buffers = new ReadBuffers();
  private readonly provider: Provider;
  private readonly memory: number;
  /** Largest memory that any module's columns needed: it is never freed, so V leaves it unused from then on. */
  private columnsMemory = 0;

  constructor(factory: typeof InferenceSession, { provider, memory, largestBlock }: Start) {
    this.provider = provider;
    this.memory = workingMemory(memory, provider);
    this.sessions = new Sessions(factory, provider);
    this.multiplier =
      provider === 'cpu'
        ? new CpuMultiplier(this.sessions, this.memory)
        : new GpuMultiplier(this.sessions, largestBlock);
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
    const weights = new StoredWeights(task, this.provider, this.buffers);
    try {
      const { t, u, v2 } = await this.multiplier.multiply(weights, x, columns, this.memory - this.columnsMemory);
      const probed = columns - PROBES;
      const level = nullLevel(probes, t.subarray(probed * width), u.subarray(probed * out), v2, task.shape);
      if (!Number.isFinite(v2) || !areFinite(level)) throw whyNotFinite(task, weights);
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
            const result = await this.result(update, products, v2, level, task.replacement);
            if (areFinite(result.measurement)) return result;
            throw products.u.every(Number.isFinite) ? tooLarge(update.stored) : whyNotFinite(task, weights);
          }),
        );
        row += update.rank;
      }
      return { updates: results, bytesRead: weights.bytesRead };
    } finally {
      weights.close();
    }
  }

  /** @param products of this update */
  private async result(
    { a, b, rank, scale, scales, sign, stored }: PreparedUpdate,
    { t, u }: { t: Float32Array; u: Float32Array },
    v2: number,
    level: NullLevel,
    replacement: ReplacementName,
  ): Promise<UpdateResult> {
    const measurement = measure(
      {
        aa: await this.gram(a, rank),
        bb: await this.gram(b, rank),
        tt: await this.gram(t, rank),
        uu: await this.gram(u, rank),
        ta: sign * dot(t, a),
        v2,
        scale,
      },
      level,
    );
    if (measurement.similarity === null) return { measurement, projected: null };
    const { alignmentNorm } = measurement;
    const projected = replaceB(replacement, { rank, u, alignmentNorm, scales }, stored.dtype as FloatDtype);
    return { measurement, projected };
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
}

/** Returns failures that the user can act on; throws any other. */
async function attempt<T>(action: () => T | Promise<T>): Promise<Reply<T>> {
  try {
    return { ok: true, value: await action() };
  } catch (error) {
    if (!(error instanceof SafeLoraError)) throw error;
    return { ok: false, error: failureOf(error) };
  }
}

function prepareUpdate({ a, b, subtracted }: Update): PreparedUpdate {
  const values = (tensor: TensorInfo): Float64Array => {
    const decoded = decode(readWhole(tensor), tensor.dtype as FloatDtype);
    if (!Number.isFinite(largestOf(decoded))) throw nonFinite(tensor);
    return decoded;
  };
  const rank = a.shape[0]!;
  const rows = { a: values(a), b: transpose(values(b), rank) };
  const largest = Float64Array.from({ length: rank }, (_, row) => largestOf(rowOf(rows.b, rank, row)));
  const scale = scaleFor(largestOf(largest));
  const scales = largest.map((value) => (value === 0 ? scale : scaleFor(value)));
  scales.forEach((own, row) => {
    scaleRow(rowOf(rows.b, rank, row), own);
    scaleRow(rowOf(rows.a, rank, row), scale / own);
  });
  return { rank, ...rows, scales, scale, sign: subtracted === true ? -1 : 1, stored: b };
}

function rowOf(matrix: Float64Array, rows: number, row: number): Float64Array {
  const length = matrix.length / rows;
  return matrix.subarray(row * length, (row + 1) * length);
}

function scaleRow(row: Float64Array, factor: number): void {
  if (factor === 1) return;
  for (let i = 0; i < row.length; i++) row[i]! *= factor;
}

/** Of a double. */
const MAX_EXPONENT = 1023;

/** The power of two that scales a number to between 1 and 2, if there is one. */
function scaleFor(value: number): number {
  return value === 0 ? 1 : 2 ** Math.min(MAX_EXPONENT, -Math.floor(Math.log2(value)));
}

/** [B₁ | B₂ … | G]ᵀ, every B scaled. */
function joinRows(updates: readonly PreparedUpdate[], probes: Float32Array, length: number): Float32Array {
  const x = new Float32Array(length);
  let at = 0;
  for (const part of [...updates.map(({ b }) => b), probes]) {
    x.set(part, at);
    at += part.length;
  }
  return x;
}

function areFinite(numbers: NullLevel | Measurement): boolean {
  return Object.values(numbers).every((value: number | null) => value === null || Number.isFinite(value));
}

/** Searches for the cause only once a result shows that there is one. */
function whyNotFinite({ aligned }: ModuleTask, weights: StoredWeights): SafeLoraError {
  const tensor = weights.findNonFinite();
  if (tensor) return nonFinite(tensor);
  return new SafeLoraError(
    'overflow',
    `${sourceOf(aligned)}: the difference between ${aligned.name} and the base weight is too large for single precision; check that both models are what they should be.`,
  );
}

function tooLarge(b: TensorInfo): SafeLoraError {
  return new SafeLoraError(
    'overflow',
    `${sourceOf(b)}: the update that ${b.name} belongs to is too large for double precision; check how it was trained.`,
  );
}

function nonFinite(tensor: TensorInfo): SafeLoraError {
  return new SafeLoraError(
    'non-finite',
    `${sourceOf(tensor)}: ${tensor.name} contains NaN or infinity; download or train it again.`,
  );
}
