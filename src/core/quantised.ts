// Detects packed weights by the tensors themselves: a configuration may say "quantised" although the weights are exact (merged adapters
// keep the entry), and a model may pack only weights that an adapter does not touch (the experts of gpt-oss).
import { type Checkpoint } from './checkpoint';
import { isFloatDtype } from './dtype';
import { SafeLoraError, someNames } from './errors';
import { fusedModules, partsOf } from './fused';
import { unquantisedName } from './model-names';
import { sourceOf, type TensorInfo } from './safetensors';

/** Tensors that quantisers store beside a weight, by the name after its module's. */
const BESIDE = [
  // bitsandbytes
  'weight.absmax', 'weight.quant_map', 'weight.nested_absmax', 'weight.quant_state.bitsandbytes__nf4',
  'weight.quant_state.bitsandbytes__fp4', 'SCB', 'weight.SCB',
  // compressed-tensors, FP8, ModelOpt
  'weight_scale', 'weight_scale_inv', 'weight_scale_2', 'weight_zero_point',
]; // prettier-ignore

/** Tensors that quantisers store instead of a weight. */
const INSTEAD = [
  // GPTQ and AWQ, compressed-tensors, HQQ, AQLM, QuIP#, VPTQ, SpQR, ExLlamaV2 and V3
  'qweight', 'weight_packed', 'W_q', 'codes', 'Qidxs', 'indices', 'dense_weights', 'q_weight', 'trellis',
  // quanto in 8 and in fewer bits, torchao (its names of 2026 and 2025)
  'weight._data', 'weight._data._data', '_weight_qdata', 'weight:qdata',
]; // prettier-ignore

/** True for the name of a packed weight's tensor, except for stacked experts. */
export function showsPacking(name: string): boolean {
  return [...BESIDE, ...INSTEAD].some((part) => name.endsWith(`.${part}`));
}

/** Finds evidence of packed weights; most checkpoints have none, which is checked once. */
export class Packing {
  /** The suffixes of `INSTEAD` that occur. */
  private readonly instead: readonly string[];
  private readonly hasPackedWeights: boolean;

  constructor(
    private readonly checkpoint: Checkpoint,
    private readonly find: (name: string) => TensorInfo | undefined,
  ) {
    const tensors = [...checkpoint.tensors.values()];
    this.instead = INSTEAD.filter((part) => tensors.some(({ name }) => name.endsWith(`.${part}`)));
    this.hasPackedWeights = tensors.some(({ name, dtype }) => name.endsWith('.weight') && !isFloatDtype(dtype));
  }

  /**
   * The tensor that proves a module's weight to be packed, by itself, in a fused weight or in parts.
   * @param weight the module's own, if any
   * @returns null if there is none
   */
  evidence(module: string, weight: TensorInfo | undefined): TensorInfo | null {
    if (weight) {
      const stored = weight.within ?? weight;
      if (!isFloatDtype(stored.dtype)) return stored;
      const owner = stored.name.replace(/\.weight$/, '');
      const beside = BESIDE.map((name) => this.checkpoint.tensors.get(`${owner}.${name}`));
      return beside.find((tensor) => tensor !== undefined) ?? null;
    }
    if (!this.hasPackedWeights && this.instead.length === 0) return null;
    for (const owner of [module, ...fusedModules(module), ...partsOf(module)]) {
      const stored = this.hasPackedWeights ? this.find(`${owner}.weight`) : undefined;
      if (stored && !isFloatDtype(stored.dtype)) return stored;
      for (const name of this.instead) {
        const found = this.find(`${owner}.${name}`);
        if (found) return found;
      }
    }
    return null;
  }
}

/** Rounded weights have no exact difference to another checkpoint's. */
export function quantised({ path, name }: Checkpoint, modules: readonly string[], evidence: TensorInfo): SafeLoraError {
  const original = unquantisedName(name);
  const advice = original === null ? 'give the checkpoint that it was made from' : `give the unquantised ${original}`;
  return new SafeLoraError(
    'quantised',
    `${path}: the model is quantised at ${someNames(modules)} (${sourceOf(evidence)} contains ${evidence.name}, ${evidence.dtype}), so the exact weights are lost; ${advice}.`,
  );
}
