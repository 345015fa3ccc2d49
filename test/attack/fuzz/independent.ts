// What files hold and what the numbers must be, by code that shares nothing with the readers and the engine under test.
import { type MeasuredModule } from '../../../src/core/report';
import { type TensorInfo } from '../../../src/core/safetensors';
import {
  byDefinition,
  type Definition,
  type Matrix,
  norm,
  subtract,
  toMatrix,
  transpose,
} from '../../fixtures/float64';
import { type TensorSpec } from '../../fixtures/make';

export interface Contents {
  header: string;
  data: Buffer;
  metadata: Record<string, string> | undefined;
  tensors: Map<string, TensorSpec>;
}

/** A safetensors file by JSON.parse. @throws where it is none */
export function readFile(file: Buffer): Contents {
  const end = 8 + Number(file.readBigUInt64LE());
  const header = file.toString('utf8', 8, end);
  const data = file.subarray(end);
  const { __metadata__: metadata, ...entries } = JSON.parse(header) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  > & { __metadata__?: Record<string, string> };
  const tensors = Object.entries(entries).map(
    ([name, { dtype, shape, data_offsets: offsets }]): [string, TensorSpec] => [
      name,
      { dtype, shape, bytes: data.subarray(...offsets) },
    ],
  );
  return { header, data, metadata: metadata, tensors: new Map(tensors) };
}

/** The value of each element, in double. */
export function valuesOf({ dtype, bytes }: TensorSpec): number[] {
  const size = { F64: 8, F32: 4, F16: 2, BF16: 2 }[dtype]!;
  return Array.from({ length: bytes.length / size }, (_, i) => {
    const at = i * size;
    if (dtype === 'F64') return bytes.readDoubleLE(at);
    if (dtype === 'F32') return bytes.readFloatLE(at);
    const bits = bytes.readUInt16LE(at);
    if (dtype === 'BF16') return Buffer.from([0, 0, bits & 255, bits >> 8]).readFloatLE();
    const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
  });
}

/** Finds what a tensor really holds. */
export type Truth = (tensor: TensorInfo) => TensorSpec;

/**
 * Holds a module's numbers and its projection against the definition.
 * @throws WrongNumber
 */
export function checkModule(module: MeasuredModule, truth: Truth): void {
  const { weights, measurement: m, projected, rank, scale } = module;
  if (!weights || !m) return;
  const [similarity, direction, gain] = [m.similarity, m.direction, m.gain];
  const inRange = (value: number | null, low: number, high: number): boolean =>
    value === null || (value >= low && value <= high);
  expect(inRange(similarity, 0, 1), module, 'similarity', similarity);
  expect(inRange(direction, -1, 1), module, 'direction', direction);
  expect(inRange(gain, 0, Number.MAX_VALUE), module, 'gain', gain);
  for (const [key, value] of Object.entries(m)) expect(value === null || Number.isFinite(value), module, key, value);
  const matrix = (tensor: TensorInfo): Matrix => {
    const spec = truth(tensor);
    return toMatrix(valuesOf(spec), spec.shape[1]!);
  };
  if (weights.base.within ?? weights.aligned.within) return;
  const difference = subtract(matrix(weights.aligned), matrix(weights.base));
  const v = weights.transposed ? transpose(difference) : difference;
  const [a, b] = [matrix(module.a), matrix(module.b)];
  if (norm(v) === 0 || norm(a) === 0 || norm(b) === 0) return;
  const expected = byDefinition(v, b, a);
  if (!isWellPosed(expected, v, b)) return;
  const near = (actual: number | null, wanted: number, tolerance: number): boolean =>
    actual !== null && Math.abs(actual - wanted) <= tolerance;
  expect(near(similarity, expected.similarity, 1e-4), module, 'similarity', similarity, expected.similarity);
  expect(
    near(direction, (scale < 0 ? -1 : 1) * expected.direction, 1e-4),
    module,
    'direction',
    direction,
    expected.direction,
  );
  expect(near(gain, expected.gain, 1e-4 * expected.gain), module, 'gain', gain, expected.gain);
  if (!projected?.bytes || projected.overflow) return;
  const { dtype } = truth(module.b);
  const actual = toMatrix(valuesOf({ dtype, shape: [], bytes: Buffer.from(projected.bytes) }), rank);
  const step = { F64: 1e-5, F32: 1e-5, F16: 2 ** -10, BF16: 2 ** -7 }[dtype]!;
  const least = dtype === 'F16' ? 2 ** -24 : 1e-38;
  const off = norm(subtract(actual, expected.projectedB));
  expect(
    off <= step * norm(expected.projectedB) + least * Math.sqrt(v.length * rank),
    module,
    'projection, which is off by',
    off,
    norm(expected.projectedB),
  );
}

/** False where single precision, in which V goes through the engine, cannot hold what the definition needs. */
function isWellPosed(expected: Definition, v: Matrix, b: Matrix): boolean {
  const { similarity, gain, alignmentNorm, updateNorm, projectedB } = expected;
  const finite = [similarity, gain, alignmentNorm, updateNorm, norm(projectedB), norm(b)].every(Number.isFinite);
  const large = Math.max(...v.flat().map(Math.abs));
  return (
    finite &&
    large < 1e9 &&
    large > 1e-9 &&
    gain > 1e-3 * alignmentNorm &&
    norm(projectedB) > 1e-3 * alignmentNorm * norm(b)
  );
}

export class WrongNumber extends Error {}

function expect(
  isRight: boolean,
  { name }: MeasuredModule,
  what: string,
  actual: unknown,
  expected?: number | boolean | string,
): void {
  if (isRight) return;
  const by = expected === undefined ? '' : `, by definition ${String(expected)}`;
  throw new WrongNumber(`${name}: the ${what} is ${String(actual)}${by}`);
}
