// Rotary position embedding (arXiv 2104.09864): the angle by which each pair of a head's elements rotates per position.
import { isObject } from '../core/objects';

export interface Rope {
  /** Radians per position, one for each rotated pair of elements. */
  frequencies: Float64Array;
}

/** Refuses a configuration, in words that follow its file's name. */
export type Refuse = (reason: string) => Error;

type Settings = Readonly<Record<string, unknown>>;

/** Types checked against Transformers. */
export const ropeTypes = ['default', 'linear', 'llama3'] as const;

const DEFAULT_THETA = 10_000;

/**
 * @param size number of a head's rotated elements, even
 * @param isLocal for a layer with a sliding window, which has its own base in Gemma 3
 * @throws the error of `refuse` for an unknown type or a missing number
 */
export function readRope(config: Settings, size: number, isLocal: boolean, refuse: Refuse): Rope {
  const { settings, theta } = settingsOf(config, isLocal, refuse);
  const pairs = size / 2;
  const frequencies = Float64Array.from({ length: pairs }, (_, i) => theta ** (-i / pairs));
  const type = settings.rope_type ?? settings.type ?? 'default';
  switch (type) {
    case 'default':
      return { frequencies };
    case 'linear': {
      const factor = positive(settings, 'factor', refuse);
      return { frequencies: frequencies.map((frequency) => frequency / factor) };
    }
    case 'llama3':
      return { frequencies: frequencies.map(llama3(settings, refuse)) };
    default:
      throw refuse(`has the rope type ${JSON.stringify(type)}, which is not supported`);
  }
}

/** In `rope_parameters` since Transformers 5, per kind of layer if there are two; before that in `rope_scaling` and beside it. */
function settingsOf(config: Settings, isLocal: boolean, refuse: Refuse): { settings: Settings; theta: number } {
  const thetaOf = (holder: Settings, key: string, usual: number): number =>
    holder[key] === undefined || holder[key] === null ? usual : positive(holder, key, refuse);
  const parameters = config.rope_parameters;
  if (isObject(parameters)) {
    const own = parameters[isLocal ? 'sliding_attention' : 'full_attention'];
    const settings = isObject(own) ? own : parameters;
    return { settings, theta: thetaOf(settings, 'rope_theta', thetaOf(config, 'rope_theta', DEFAULT_THETA)) };
  }
  if (isLocal) return { settings: {}, theta: thetaOf(config, 'rope_local_base_freq', DEFAULT_THETA) };
  return {
    settings: isObject(config.rope_scaling) ? config.rope_scaling : {},
    theta: thetaOf(config, 'rope_theta', DEFAULT_THETA),
  };
}

/** Long waves are stretched, short ones stay, and those between are interpolated (Llama 3.1). */
function llama3(settings: Settings, refuse: Refuse): (frequency: number) => number {
  const number = (key: string): number => positive(settings, key, refuse);
  const factor = number('factor');
  const [low, high] = [number('low_freq_factor'), number('high_freq_factor')];
  const context = number('original_max_position_embeddings');
  return (frequency) => {
    const turns = (context * frequency) / (2 * Math.PI);
    if (turns > high) return frequency;
    if (turns < low) return frequency / factor;
    const share = (turns - low) / (high - low);
    return (1 - share) * (frequency / factor) + share * frequency;
  };
}

function positive(settings: Settings, key: string, refuse: Refuse): number {
  const value = settings[key];
  if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0)
    throw refuse(`has no usable ${key} for its rotary embedding`);
  return value;
}
