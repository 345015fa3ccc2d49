// Rotary position embedding (arXiv 2104.09864): the angle by which each pair of a head's elements turns from one position to the next.
import { isObject } from '../core/objects';

export interface Rope {
  /** Radians a position, one for each pair of elements that is turned. */
  frequencies: Float64Array;
}

/** Refuses a configuration in words that go on from its file's name. */
export type Refuse = (reason: string) => Error;

type Settings = Readonly<Record<string, unknown>>;

/** That are known and checked against Transformers. */
export const ropeTypes = ['default', 'linear', 'llama3'] as const;

const DEFAULT_THETA = 10_000;

/**
 * @param size elements of a head that are turned, even
 * @param isLocal of a layer with a sliding window, for which Gemma 3 has a base of its own
 * @throws what `refuse` makes of a type that is not known, or of a number that is missing
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

/** By Transformers 5 in `rope_parameters`, of each kind of layer where there are two; before that in `rope_scaling` and beside it. */
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

/** Long waves are stretched, short ones stay, and those between go over from one to the other (Llama 3.1). */
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
