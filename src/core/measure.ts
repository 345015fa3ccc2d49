// From one pass over V to the numbers of a module. Safe LoRA (arXiv 2405.16833) compares ΔW = B·A with C·ΔW, C = V·Vᵀ/‖V‖_F; every
// number here follows from T = Vᵀ·B, U = V·T and r×r Gram matrices in double, so that no [out, out] matrix is ever formed.
import { createHash } from 'node:crypto';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { dot } from './matrix';

/** Standard-normal columns sent through V beside B, to estimate the similarity of a random update. */
export const PROBES = 8;

/**
 * The engine's result for one adapter's update of a module: Gram matrices in double, [r, r], of B' and A' with B'·A' = scale·B·A. Scaling a
 * column of B against its row of A changes none of the numbers.
 */
export interface UpdateProducts {
  /** A·Aᵀ */
  aa: Float64Array;
  /** Bᵀ·B */
  bb: Float64Array;
  /** Tᵀ·T of T = Vᵀ·B */
  tt: Float64Array;
  /** Uᵀ·U of U = V·T */
  uu: Float64Array;
  /** Σ T∘Aᵀ, with the sign of the update's scale */
  ta: number;
  /** ΣV² */
  v2: number;
  /** A power of two. */
  scale: number;
}

/** The numbers of one module of one adapter; null if undefined. All but the norms are unitless. */
export interface Measurement {
  /** cos(ΔW, C·ΔW), in [0, 1] */
  similarity: number | null;
  /** The similarity of a random update of this module. */
  nullSimilarity: number | null;
  /** Standard error of `nullSimilarity` (jackknife over the probes). */
  nullSpread: number | null;
  /** cos(ΔW, V), in [−1, 1]; ΔW with the sign of its scale */
  direction: number | null;
  /** ‖C·ΔW‖_F / ‖ΔW‖_F */
  gain: number | null;
  /** ‖V‖_F */
  alignmentNorm: number;
  /** ‖B·A‖_F, without alpha / r */
  updateNorm: number;
  /** (ΣV²)² / Σ(VVᵀ)², an estimate of how many directions V has, in [1, min(out, in)] */
  participationRatio: number | null;
  /** ⟨ΔW, V⟩ without the size of alpha / r, for the direction over several modules */
  updateDotAlignment: number;
}

/** The null level of V, shared by every adapter on the module. */
export type NullLevel = Pick<Measurement, 'nullSimilarity' | 'nullSpread' | 'participationRatio'>;

/**
 * The probe columns of a module, each as a row: standard normal, by xoroshiro128+ seeded with the start of SHA-256 of its name,
 * through Box-Muller. The generator runs along the columns' first elements, then their second, and so on.
 * @param out elements of a column
 * @returns row-major [PROBES, out]
 */
export function probeRows(name: string, out: number): Float32Array {
  const random = xoroshiro128plus(createHash('sha256').update(name).digest().readInt32LE(0));
  const rows = new Float32Array(PROBES * out);
  for (let element = 0; element < out; element++) {
    for (let probe = 0; probe < PROBES; probe += 2) {
      const radius = Math.sqrt(-2 * Math.log(1 - uniformFloat64(random)));
      const angle = 2 * Math.PI * uniformFloat64(random);
      rows[probe * out + element] = radius * Math.cos(angle);
      rows[(probe + 1) * out + element] = radius * Math.sin(angle);
    }
  }
  return rows;
}

/**
 * Pools Σ‖Vᵀg‖² / √(Σ‖g‖² · Σ‖VVᵀg‖²) over the probes, whose expectation is √(participation ratio / out).
 * @param g [PROBES, out] probes, @param tg [PROBES, in] Vᵀg, @param ug [PROBES, out] VVᵀg, all row-major
 */
export function nullLevel(
  g: Float32Array,
  tg: Float32Array,
  ug: Float32Array,
  v2: number,
  shape: readonly [number, number],
): NullLevel {
  if (v2 === 0) return { nullSimilarity: null, nullSpread: null, participationRatio: null };
  const squares = [g, tg, ug].map(rowSquares);
  const total = squares.map((rows) => rows.reduce((sum, value) => sum + value, 0));
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

function rowSquares(matrix: Float32Array): number[] {
  const length = matrix.length / PROBES;
  return Array.from({ length: PROBES }, (_, row) => {
    let sum = 0;
    for (let i = row * length; i < (row + 1) * length; i++) sum += matrix[i]! ** 2;
    return sum;
  });
}

/** The numbers of one adapter's module, by ⟨P·A, Q·A⟩ = Σ (PᵀQ)∘(A·Aᵀ). */
export function measure({ aa, bb, tt, uu, ta, v2, scale }: UpdateProducts, level: NullLevel): Measurement {
  const [updateNorm, projectedNorm, alignmentNorm] = [dot(bb, aa), dot(uu, aa), v2].map((square) =>
    Math.sqrt(Math.max(square, 0)),
  ) as [number, number, number];
  const defined = updateNorm > 0 && alignmentNorm > 0;
  return {
    similarity: defined ? (projectedNorm > 0 ? clamp(dot(tt, aa) / (updateNorm * projectedNorm), 0, 1) : 0) : null,
    direction: defined ? clamp(ta / (updateNorm * alignmentNorm), -1, 1) : null,
    gain: defined ? projectedNorm / (alignmentNorm * updateNorm) : null,
    alignmentNorm,
    updateNorm: updateNorm / scale,
    updateDotAlignment: ta / scale,
    ...level,
  };
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
