// Ways to replace the B of a selected module, by the name that tasks, reports and provenance use.
import { decode, encode, type FloatDtype } from './dtype';
import { largestOf, transpose } from './matrix';

/** An engine's inputs for replacing an update's B. */
export interface ReplacementProducts {
  rank: number;
  /** (V·Vᵀ·B)ᵀ, row-major [r, out], each row times its scale */
  u: Float32Array;
  /** ‖V‖_F, above 0 */
  alignmentNorm: number;
  /** A power of two for each column of B, [r] */
  scales: Float64Array;
}

/** @returns the new B in double, row-major [out, r] */
type Replace = (products: ReplacementProducts) => Float64Array;

const replacements = {
  /**
   * C·B with C = V·Vᵀ/‖V‖_F (Safe LoRA, arXiv 2405.16833, §3). It keeps V's directions, each shrunk by its singular value squared over
   * ‖V‖_F.
   */
  'safe-lora': ({ rank, u, alignmentNorm, scales }) => {
    const b = transpose(new Float64Array(u), u.length / rank);
    // One after the other, since their product may overflow a double.
    for (let i = 0; i < b.length; i++) b[i] = b[i]! / scales[i % rank]! / alignmentNorm;
    return b;
  },
} as const satisfies Record<string, Replace>;

export type ReplacementName = keyof typeof replacements;

/** The paper's. */
export const DEFAULT_REPLACEMENT: ReplacementName = 'safe-lora';

export function isReplacement(value: unknown): value is ReplacementName {
  return typeof value === 'string' && Object.hasOwn(replacements, value);
}

/** A new B in the dtype and layout of the stored one. */
export interface ProjectedB {
  bytes: Uint8Array;
  /** ‖rounded − exact‖_F / ‖exact‖_F of the rounding to the stored dtype. */
  roundingLoss: number;
  /** An element lies beyond the dtype's range; `bytes` must not be saved. */
  overflow: boolean;
}

/** A new B, or the cached part of it: everything but its bytes, which can be recomputed. */
export type KnownProjection = Omit<ProjectedB, 'bytes'> & { bytes: Uint8Array | null };

/** Replaces a module's B, and rounds it to the stored dtype. */
export function replaceB(name: ReplacementName, products: ReplacementProducts, dtype: FloatDtype): ProjectedB {
  const exact = replacements[name](products);
  const bytes = encode(exact, dtype);
  const rounded = decode(bytes, dtype);
  let lost = 0;
  let total = 0;
  for (let i = 0; i < exact.length; i++) {
    lost += (rounded[i]! - exact[i]!) ** 2;
    total += exact[i]! ** 2;
  }
  const overflow = !Number.isFinite(largestOf(rounded));
  return { bytes, overflow, roundingLoss: total === 0 || overflow ? 0 : Math.sqrt(lost / total) };
}
