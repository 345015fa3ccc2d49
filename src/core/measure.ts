// From one pass over V to the numbers of a module. Safe LoRA (arXiv 2405.16833) compares ΔW = B·A with C·ΔW, C = V·Vᵀ/‖V‖_F; every
// number here follows from T = Vᵀ·B, U = V·T and r×r Gram matrices in double, so that no [out, out] matrix is ever formed.
import { createHash } from 'node:crypto';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';

/** Standard-normal columns that are sent through V beside B, to learn how a random update would lie. */
export const PROBES = 8;

/** What the engine computes for a module, row-major; B was multiplied by `bScale` on its way in. */
export interface RawProducts {
  /** [out, k]: B of one adapter */
  b: Float64Array;
  /** [r, in] */
  a: Float64Array;
  /** Vᵀ·B, [in, r] */
  t: Float64Array;
  /** V·Vᵀ·B, [out, r] */
  u: Float64Array;
  /** ΣV² */
  v2: number;
  rank: number;
}

/** What can be said of one module of one adapter; null where it is not defined. All but the norms are free of units. */
export interface Measurement {
  /** cos(ΔW, C·ΔW), in [0, 1] */
  similarity: number | null;
  /** The similarity that a random update of this module would have. */
  nullSimilarity: number | null;
  /** Standard error of `nullSimilarity` (jackknife over the probes). */
  nullSpread: number | null;
  /** cos(ΔW, V), in [−1, 1] */
  direction: number | null;
  /** ‖C·ΔW‖_F / ‖ΔW‖_F */
  gain: number | null;
  /** ‖V‖_F */
  alignmentNorm: number;
  /** ‖B·A‖_F, without alpha / r */
  updateNorm: number;
  /** (ΣV²)² / Σ(VVᵀ)², an estimate of how many directions V has, in [1, min(out, in)] */
  participationRatio: number | null;
  /** ⟨ΔW, V⟩, for the direction of several modules together */
  updateDotAlignment: number;
}

/** The null level of V, shared by every adapter on the module. */
export type NullLevel = Pick<Measurement, 'nullSimilarity' | 'nullSpread' | 'participationRatio'>;

/**
 * The probe columns of a module: standard normal, by xoroshiro128+ seeded with the start of SHA-256 of its name, through Box-Muller.
 * @returns row-major [rows, PROBES]
 */
export function probeColumns(name: string, rows: number): Float32Array {
  const random = xoroshiro128plus(createHash('sha256').update(name).digest().readInt32LE(0));
  const columns = new Float32Array(rows * PROBES);
  for (let i = 0; i < columns.length; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - uniformFloat64(random)));
    const angle = 2 * Math.PI * uniformFloat64(random);
    columns[i] = radius * Math.cos(angle);
    columns[i + 1] = radius * Math.sin(angle);
  }
  return columns;
}

/**
 * Pools Σ‖Vᵀg‖² / √(Σ‖g‖² · Σ‖VVᵀg‖²) over the probe columns, whose expectation is √(participation ratio / out).
 * @param g [out, PROBES] probes, @param tg [in, PROBES] Vᵀg, @param ug [out, PROBES] VVᵀg, all row-major
 */
export function nullLevel(
  g: ArrayLike<number>,
  tg: ArrayLike<number>,
  ug: ArrayLike<number>,
  v2: number,
  shape: readonly [number, number],
): NullLevel {
  if (v2 === 0) return { nullSimilarity: null, nullSpread: null, participationRatio: null };
  const squares = [g, tg, ug].map(columnSquares);
  const total = squares.map((columns) => columns.reduce((sum, value) => sum + value, 0));
  const ratio = ([g2, t2, u2]: readonly number[]): number => Math.min(1, t2! / Math.sqrt(g2! * u2!));
  const without = Array.from({ length: PROBES }, (_, i) => ratio(total.map((sum, k) => sum - squares[k]![i]!)));
  const mean = without.reduce((sum, value) => sum + value, 0) / PROBES;
  const variance = ((PROBES - 1) / PROBES) * without.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  // E‖VVᵀg‖² = Σ(VVᵀ)²
  const participation = v2 ** 2 / (total[2]! / PROBES);
  return {
    nullSimilarity: ratio(total),
    nullSpread: Math.sqrt(variance),
    participationRatio: Math.min(Math.max(participation, 1), Math.min(...shape)),
  };
}

function columnSquares(matrix: ArrayLike<number>): number[] {
  const sums = new Array<number>(PROBES).fill(0);
  for (let i = 0; i < matrix.length; i++) sums[i % PROBES]! += matrix[i]! ** 2;
  return sums;
}

/** The numbers of one adapter's module, by ⟨P·A, Q·A⟩ = Σ (PᵀQ)∘(A·Aᵀ). */
export function measure({ a, b, t, u, v2, rank }: RawProducts, level: NullLevel): Measurement {
  const gramA = rowGram(a, rank);
  const update2 = dot(columnGram(b, rank), gramA);
  const back2 = dot(columnGram(t, rank), gramA);
  const projected2 = dot(columnGram(u, rank), gramA);
  const updateDotAlignment = dotTransposed(t, a, rank);
  const [updateNorm, projectedNorm, alignmentNorm] = [update2, projected2, v2].map((square) =>
    Math.sqrt(Math.max(square, 0)),
  ) as [number, number, number];
  const defined = updateNorm > 0 && alignmentNorm > 0;
  return {
    similarity: defined ? (projectedNorm > 0 ? clamp(back2 / (updateNorm * projectedNorm), 0, 1) : 0) : null,
    direction: defined ? clamp(updateDotAlignment / (updateNorm * alignmentNorm), -1, 1) : null,
    gain: defined ? projectedNorm / (alignmentNorm * updateNorm) : null,
    alignmentNorm,
    updateNorm,
    updateDotAlignment,
    ...level,
  };
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}

/** MᵀM of a row-major [rows, k] matrix, [k, k]. */
function columnGram(matrix: Float64Array, k: number): Float64Array {
  const gram = new Float64Array(k * k);
  for (let row = 0; row < matrix.length; row += k) {
    for (let i = 0; i < k; i++) {
      const left = matrix[row + i]!;
      for (let j = i; j < k; j++) gram[i * k + j]! += left * matrix[row + j]!;
    }
  }
  return mirror(gram, k);
}

/** M·Mᵀ of a row-major [k, columns] matrix, [k, k]. */
function rowGram(matrix: Float64Array, k: number): Float64Array {
  const columns = matrix.length / k;
  const gram = new Float64Array(k * k);
  for (let i = 0; i < k; i++) {
    for (let j = i; j < k; j++) {
      let sum = 0;
      for (let column = 0; column < columns; column++)
        sum += matrix[i * columns + column]! * matrix[j * columns + column]!;
      gram[i * k + j] = sum;
    }
  }
  return mirror(gram, k);
}

function mirror(gram: Float64Array, k: number): Float64Array {
  for (let i = 0; i < k; i++) for (let j = 0; j < i; j++) gram[i * k + j] = gram[j * k + i]!;
  return gram;
}

function dot(left: Float64Array, right: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < left.length; i++) sum += left[i]! * right[i]!;
  return sum;
}

/** Σ T∘Aᵀ for T [in, r] and A [r, in]. */
function dotTransposed(t: Float64Array, a: Float64Array, rank: number): number {
  const width = a.length / rank;
  let sum = 0;
  for (let column = 0; column < width; column++) {
    for (let i = 0; i < rank; i++) sum += t[column * rank + i]! * a[i * width + column]!;
  }
  return sum;
}
