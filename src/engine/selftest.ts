// Tests a provider on this machine: small modules through the real code, compared with the definition in double, and a larger timed one.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decode, encode, type FloatDtype, floatDtypes } from '../core/dtype';
import { SafeLoraError } from '../core/errors';
import { probeRows, PROBES } from '../core/measure';
import { DEFAULT_REPLACEMENT } from '../core/replacement';
import { type TensorInfo } from '../core/safetensors';
import { type Engine } from './pool';
import { type ModuleTask, valueOf } from './protocol';

/** Rows and columns of the checked modules. */
const SMALL = 64;

/** Elements of V in one run, so that such a module is split into blocks. */
const SMALL_BLOCK = (SMALL * SMALL) / 4;

/** Rows and columns of the timed module: large enough to show a GPU's speed. */
export const TIMED = 2048;

export interface SelfTest {
  /** The largest |similarity − definition in double|, over all dtypes, both orientations, whole and in blocks. */
  similarityError: number;
  /** From the engine's start to its first result. */
  firstMilliseconds: number;
  /** Time of a TIMED × TIMED module once the engine runs. */
  milliseconds: number;
}

/**
 * @param start starts an engine of one process, which the caller ends
 * @param folder for its weights
 * @throws SafeLoraError where a module cannot be computed, or a non-finite weight is not detected
 */
export async function selfTest(
  start: (options: { largestBlock?: number }) => Engine,
  folder: string,
): Promise<SelfTest> {
  const started = performance.now();
  const whole = start({});
  let firstMilliseconds: number | undefined;
  let similarityError = 0;
  for (const { task, similarity } of await smallModules(folder, floatDtypes)) {
    const found = await similarityBy(whole, task);
    firstMilliseconds ??= performance.now() - started;
    similarityError = Math.max(similarityError, Math.abs(found - similarity));
  }
  await requireRefusal(whole, folder);
  const inBlocks = start({ largestBlock: SMALL_BLOCK });
  for (const { task, similarity } of await smallModules(folder, ['BF16'])) {
    similarityError = Math.max(similarityError, Math.abs((await similarityBy(inBlocks, task)) - similarity));
  }
  return { similarityError, firstMilliseconds: firstMilliseconds!, milliseconds: await time(whole, folder) };
}

/** WebGPU's rules let a device assume that no value is NaN or infinite. */
async function requireRefusal(engine: Engine, folder: string): Promise<void> {
  for (const value of [NaN, Infinity]) {
    const stored = smallWeights('BF16');
    stored[1]!.set(encode(Float64Array.of(value), 'BF16'), 2 * SMALL);
    const task = await store(join(folder, String(value)), 'BF16', stored, SMALL);
    const refused = await engine.compute(task).then(
      () => false,
      (error: unknown) => error instanceof SafeLoraError && error.code === 'non-finite',
    );
    if (!refused) throw notSeen(value);
  }
}

/** base, aligned [SMALL, SMALL], A [PROBES, SMALL] and B [SMALL, PROBES]. */
function smallWeights(dtype: FloatDtype): Uint8Array[] {
  const rows = (name: string, count: number): Float64Array =>
    Float64Array.from(probeRows(name, (count * SMALL) / PROBES));
  return [rows('base', SMALL), rows('aligned', SMALL), rows('a', PROBES), rows('b', PROBES)].map((values) =>
    encode(values, dtype),
  );
}

/** NaN if undefined. */
async function similarityBy(engine: Engine, task: ModuleTask): Promise<number> {
  const { updates } = await engine.compute(task);
  return valueOf(updates[0]!).measurement.similarity ?? NaN;
}

/** The fastest of several runs after the first, which compiles. */
async function time(engine: Engine, folder: string): Promise<number> {
  const bits = encode(Float64Array.from(probeRows('timed', TIMED / PROBES)), 'BF16');
  const filled = (rows: number): Buffer => Buffer.alloc(rows * TIMED * 2, bits);
  const path = join(folder, 'timed');
  const task = await store(
    path,
    'BF16',
    [filled(TIMED), filled(TIMED).fill(0, 0, TIMED * TIMED), filled(PROBES), filled(PROBES)],
    TIMED,
  );
  let fastest = Infinity;
  for (let run = 0; run < 4; run++) {
    const started = performance.now();
    await similarityBy(engine, task);
    if (run > 0) fastest = Math.min(fastest, performance.now() - started);
  }
  return fastest;
}

interface Known {
  task: ModuleTask;
  similarity: number;
}

async function smallModules(folder: string, dtypes: readonly FloatDtype[]): Promise<Known[]> {
  const known: Known[] = [];
  for (const dtype of dtypes) {
    const stored = smallWeights(dtype);
    const task = await store(join(folder, dtype), dtype, stored, SMALL);
    const [base, aligned, a, b] = stored.map((bytes) => decode(bytes, dtype)) as [
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    const v = aligned.map((value, i) => value - base[i]!);
    known.push({ task, similarity: similarityByDefinition(v, a, b) });
    known.push({ task: { ...task, transposed: true }, similarity: similarityByDefinition(transposed(v), a, b) });
  }
  return known;
}

/** @param stored base, aligned [size, size], A [r, size] and B [size, r], r = PROBES */
async function store(
  path: string,
  dtype: FloatDtype,
  stored: readonly Uint8Array[],
  size: number,
): Promise<ModuleTask> {
  await writeFile(path, Buffer.concat(stored));
  let offset = 0;
  const [base, aligned, a, b] = stored.map((bytes, index): TensorInfo => {
    const shape = index < 2 ? [size, size] : index === 2 ? [PROBES, size] : [size, PROBES];
    offset += bytes.length;
    return { path, name: 'self-test', dtype, shape, offset: offset - bytes.length, length: bytes.length };
  }) as [TensorInfo, TensorInfo, TensorInfo, TensorInfo];
  return {
    name: 'self-test',
    shape: [size, size],
    base,
    aligned,
    transposed: false,
    updates: [{ a, b }],
    replacement: DEFAULT_REPLACEMENT,
  };
}

/** cos(ΔW, V·Vᵀ·ΔW) with full matrices. */
function similarityByDefinition(v: Float64Array, a: Float64Array, b: Float64Array): number {
  const update = product(b, a, SMALL, PROBES, SMALL);
  const projected = product(v, product(transposed(v), update, SMALL, SMALL, SMALL), SMALL, SMALL, SMALL);
  const inner = (x: Float64Array, y: Float64Array): number => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
  return inner(update, projected) / Math.sqrt(inner(update, update) * inner(projected, projected));
}

function transposed(square: Float64Array): Float64Array {
  return square.map((_, i) => square[(i % SMALL) * SMALL + Math.floor(i / SMALL)]!);
}

function product(left: Float64Array, right: Float64Array, rows: number, inner: number, columns: number): Float64Array {
  const result = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    for (let k = 0; k < inner; k++) {
      const factor = left[i * inner + k]!;
      for (let j = 0; j < columns; j++) result[i * columns + j]! += factor * right[k * columns + j]!;
    }
  }
  return result;
}

function notSeen(value: number): SafeLoraError {
  return new SafeLoraError('engine-failed', `${value} in a weight is not seen`);
}
