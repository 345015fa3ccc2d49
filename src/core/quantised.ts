// Packed weights: known by the tensors themselves, since a configuration may say "quantised" of exact weights (merged adapters keep
// the entry) and a model may pack only weights that an adapter does not touch (the experts of gpt-oss).
import { type Checkpoint } from './checkpoint';
import { isFloatDtype } from './dtype';
import { SafeLoraError, someNames } from './errors';
import { fusedModules, partsOf } from './fused';
import { unquantisedName } from './model-names';
import { sourceOf, type TensorInfo } from './safetensors';

/** What quantisers store beside a weight, after the name of its module. */
const BESIDE = [
  // bitsandbytes
  'weight.absmax', 'weight.quant_map', 'weight.nested_absmax', 'weight.quant_state.bitsandbytes__nf4',
  'weight.quant_state.bitsandbytes__fp4', 'SCB', 'weight.SCB',
  // compressed-tensors, FP8, ModelOpt
  'weight_scale', 'weight_scale_inv', 'weight_scale_2', 'weight_zero_point',
]; // prettier-ignore

/** What quantisers store instead of it. */
const INSTEAD = [
  // GPTQ and AWQ, compressed-tensors, HQQ, AQLM, QuIP#, VPTQ, SpQR, ExLlamaV2 and V3
  'qweight', 'weight_packed', 'W_q', 'codes', 'Qidxs', 'indices', 'dense_weights', 'q_weight', 'trellis',
  // quanto in 8 and in fewer bits, torchao (its names of 2026 and 2025)
  'weight._data', 'weight._data._data', '_weight_qdata', 'weight:qdata',
]; // prettier-ignore

/** True for the name of a tensor that packed weights have, but for those of stacked experts. */
export function showsPacking(name: string): boolean {
  return [...BESIDE, ...INSTEAD].some((part) => name.endsWith(`.${part}`));
}

/** Finds what shows that weights are packed; most checkpoints hold nothing of the kind, which is looked at once. */
export class Packing {
  /** Of `INSTEAD`, those that occur. */
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
   * The tensor that shows a module's weight to be packed, by itself or in a fused weight or in parts.
   * @param weight the module's own, where there is one
   * @returns null where nothing shows it
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
    `${path}: the model is quantised at ${someNames(modules)} (${sourceOf(evidence)} holds ${evidence.name}, ${evidence.dtype}), so the exact weights are lost; ${advice}.`,
  );
}
