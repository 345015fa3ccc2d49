// Tensors of which a process saved only its own shard: DeepSpeed ZeRO-3 leaves the others empty, FSDP flattens its shard.
import { someNames } from './errors';
import { type TensorInfo } from './safetensors';

/** How to gather before saving: https://github.com/huggingface/peft/issues/2500. */
export const GATHER =
  'save it again with stage3_gather_16bit_weights_on_model_save set to true, or convert the training checkpoint with zero_to_fp32.py';

export function isEmpty({ shape }: TensorInfo): boolean {
  return shape.includes(0);
}

/**
 * @param tensors that should be matrices
 * @param whose completes the phrase "2 of …"
 * @returns null if none is empty or flat
 */
export function ungathered(tensors: readonly TensorInfo[], whose: string): { what: string; next: string } | null {
  // Older versions of DeepSpeed leave one element: https://github.com/deepspeedai/DeepSpeed/issues/1394.
  const empty = tensors.filter((tensor) => isEmpty(tensor) || (tensor.shape.length === 1 && tensor.shape[0] === 1));
  if (empty.length > 0) {
    const names = someNames(empty.map(({ name }) => name));
    return {
      what: `${empty.length} of ${whose} are empty (${names}), as DeepSpeed ZeRO-3 leaves them if the parameters were not gathered before saving`,
      next: GATHER,
    };
  }
  const flat = tensors.filter(({ shape }) => shape.length < 2);
  if (flat.length > 0) {
    const names = someNames(flat.map(({ name }) => name));
    return {
      what: `${flat.length} of ${whose} have one dimension (${names}), as FSDP leaves its shards`,
      next: 'save it again with the full state dict (FSDP.summon_full_params, or state_dict_type FULL_STATE_DICT)',
    };
  }
  return null;
}
