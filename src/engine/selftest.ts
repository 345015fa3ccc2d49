// Proves the engine on this machine: a known module through the real way, against the definition computed in double.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decode, encode } from '../core/dtype';
import { probeRows, PROBES } from '../core/measure';
import { type TensorInfo } from '../core/safetensors';
import { type Engine } from './pool';
import { valueOf } from './protocol';

const SIZE = 256;

export interface SelfTest {
  /** |similarity − the definition in double| */
  similarityError: number;
  /** Of the first module, the engine's start included. */
  firstMilliseconds: number;
  /** Of a module once the engine runs. */
  milliseconds: number;
}

export async function selfTest(engine: Engine): Promise<SelfTest> {
  const folder = await mkdtemp(join(tmpdir(), 'safe-lora-doctor-'));
  try {
    const path = join(folder, 'weights');
    const rows = (name: string, count: number): Float64Array =>
      Float64Array.from(probeRows(name, (count * SIZE) / PROBES));
    const stored = [rows('base', SIZE), rows('aligned', SIZE), rows('a', PROBES), rows('b', PROBES)].map((values) =>
      encode(values, 'BF16'),
    );
    await writeFile(path, Buffer.concat(stored));
    let offset = 0;
    const [base, aligned, a, b] = stored.map((bytes, index): TensorInfo => {
      const shape = index < 2 ? [SIZE, SIZE] : index === 2 ? [PROBES, SIZE] : [SIZE, PROBES];
      offset += bytes.length;
      return { path, name: 'self-test', dtype: 'BF16', shape, offset: offset - bytes.length, length: bytes.length };
    }) as [TensorInfo, TensorInfo, TensorInfo, TensorInfo];
    const compute = async (): Promise<{ similarity: number; milliseconds: number }> => {
      const started = performance.now();
      const result = await engine.compute({
        name: 'self-test',
        shape: [SIZE, SIZE],
        base,
        aligned,
        transposed: false,
        updates: [{ a, b }],
      });
      return {
        similarity: valueOf(result.updates[0]!).measurement.similarity ?? NaN,
        milliseconds: performance.now() - started,
      };
    };
    const first = await compute();
    const second = await compute();
    const [w0, w1, aValues, bValues] = stored.map((bytes) => decode(bytes, 'BF16')) as [
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    const expected = similarityByDefinition(
      w1.map((value, i) => value - w0[i]!),
      aValues,
      bValues,
    );
    return {
      similarityError: Math.abs(first.similarity - expected),
      firstMilliseconds: first.milliseconds,
      milliseconds: second.milliseconds,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** cos(ΔW, V·Vᵀ·ΔW) with every matrix formed. */
function similarityByDefinition(v: Float64Array, a: Float64Array, b: Float64Array): number {
  const update = product(b, a, SIZE, PROBES, SIZE);
  const transposed = v.map((_, i) => v[(i % SIZE) * SIZE + Math.floor(i / SIZE)]!);
  const projected = product(v, product(transposed, update, SIZE, SIZE, SIZE), SIZE, SIZE, SIZE);
  const inner = (x: Float64Array, y: Float64Array): number => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
  return inner(update, projected) / Math.sqrt(inner(update, update) * inner(projected, projected));
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
