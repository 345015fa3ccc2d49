// A decoder-only model's architecture, from its config.json: accepts only what was checked against Transformers, and names what it refuses.
import { SafeLoraError } from '../core/errors';
import { readRope, type Refuse, type Rope, ropeTypes } from './rope';

/** Values of `model_type`. SmolLM, Yi, DeepSeek's llama models and others are `llama`, too. */
export const families = ['llama', 'mistral', 'qwen2', 'qwen3', 'gemma2', 'gemma3_text', 'phi3'] as const;
export type Family = (typeof families)[number];

export type Activation = 'silu' | 'gelu' | 'gelu-tanh';

export interface Layer {
  /** Positions that a token attends to, including its own; null for all before it. */
  window: number | null;
  rope: Rope;
}

export interface Architecture {
  family: Family;
  layers: readonly Layer[];
  hidden: number;
  intermediate: number;
  heads: number;
  keyValueHeads: number;
  headSize: number;
  vocabulary: number;
  /** The model's maximum sequence length. */
  positions: number;
  epsilon: number;
  activation: Activation;
  /** The head shares the embedding's matrix. */
  isTied: boolean;
  /** q, k and v share one matrix, and so do gate and up. */
  isFused: boolean;
  biases: { queryKeyValue: boolean; output: boolean; mlp: boolean };
  /** Queries and keys are normalised per head. */
  hasQueryKeyNorm: boolean;
  /** The outputs of attention and MLP are normalised before they are added, too. */
  hasSandwichNorm: boolean;
  /** Norm weights are stored minus one. */
  normOffset: 0 | 1;
  embeddingScale: number;
  attentionScale: number;
  /** 0 if there is none. */
  attentionSoftcap: number;
  logitSoftcap: number;
}

type Config = Readonly<Record<string, unknown>>;

/** More than any model has; bounds allocations. */
const MOST = { layers: 1024, width: 2 ** 20, vocabulary: 2 ** 22 };

/** onnxruntime's rotary embedding on the CPU rotates this many pairs at once. */
const ROTARY_STEP = 8;

/**
 * @param path of the model in errors
 * @throws SafeLoraError for a model that is not one of `families`, or that differs from what was checked
 */
export function readArchitecture(config: Config, path: string): Architecture {
  const refuse: Refuse = (reason) => unsupportedModel(path, reason);
  const family = families.find((known) => known === config.model_type);
  if (!family) throw refuse(`has the model_type ${JSON.stringify(config.model_type ?? null)}, which is not supported`);
  const whole = (key: string, most: number, usual?: number): number => {
    const value = config[key] ?? usual;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1 || value > most)
      throw refuse(`has no usable ${key}`);
    return value;
  };
  const isGemma = family === 'gemma2' || family === 'gemma3_text';
  const hidden = whole('hidden_size', MOST.width);
  const heads = whole('num_attention_heads', MOST.width);
  const keyValueHeads = whole('num_key_value_heads', MOST.width, heads);
  if (heads % keyValueHeads !== 0) throw refuse(`has ${heads} heads for ${keyValueHeads} of keys and values`);
  const headSize = whole('head_dim', MOST.width, isGemma ? 256 : family === 'qwen3' ? 128 : hidden / heads);
  refusePartialRotation(config, headSize, refuse);
  const bias = config.attention_bias === true;
  return {
    family,
    layers: readLayers(config, family, whole('num_hidden_layers', MOST.layers), headSize, refuse),
    hidden,
    intermediate: whole('intermediate_size', MOST.width),
    heads,
    keyValueHeads,
    headSize,
    vocabulary: whole('vocab_size', MOST.vocabulary),
    positions: whole('max_position_embeddings', Number.MAX_SAFE_INTEGER, 2048),
    epsilon: real(config, 'rms_norm_eps', refuse) ?? (family === 'phi3' ? 1e-5 : 1e-6),
    activation: activationOf(config, isGemma, refuse),
    isTied: typeof config.tie_word_embeddings === 'boolean' ? config.tie_word_embeddings : isGemma,
    isFused: family === 'phi3',
    biases: {
      queryKeyValue: family === 'qwen2' || (bias && family !== 'mistral' && family !== 'phi3'),
      output: bias && !['mistral', 'phi3', 'qwen2'].includes(family),
      mlp: config.mlp_bias === true && family === 'llama',
    },
    hasQueryKeyNorm: family === 'qwen3' || family === 'gemma3_text',
    hasSandwichNorm: isGemma,
    normOffset: isGemma ? 1 : 0,
    embeddingScale: isGemma ? Math.sqrt(hidden) : 1,
    attentionScale: (isGemma ? (real(config, 'query_pre_attn_scalar', refuse) ?? 256) : headSize) ** -0.5,
    attentionSoftcap: isGemma ? softcap(config, 'attn_logit_softcapping', family, 50, refuse) : 0,
    logitSoftcap: isGemma ? softcap(config, 'final_logit_softcapping', family, 30, refuse) : 0,
  };
}

function readLayers(config: Config, family: Family, count: number, headSize: number, refuse: Refuse): Layer[] {
  const window = windowOf(config, family, refuse);
  const ropes = [false, true].map((isLocal) =>
    readRope(config, headSize, isLocal && family === 'gemma3_text', refuse),
  ) as [Rope, Rope];
  const slides = slidingLayers(config, family, count, refuse);
  return slides.map((isSliding) => {
    const isLocal = isSliding && window !== null;
    return { window: isLocal ? window : null, rope: ropes[isSliding && family === 'gemma3_text' ? 1 : 0] };
  });
}

function windowOf(config: Config, family: Family, refuse: Refuse): number | null {
  if (family === 'llama') return null;
  if ((family === 'qwen2' || family === 'qwen3') && config.use_sliding_window !== true) return null;
  const usual = { mistral: 4096, gemma2: 4096, gemma3_text: 4096, qwen2: 4096, qwen3: 4096, phi3: null }[family];
  const value = config.sliding_window === undefined ? usual : config.sliding_window;
  if (value === null) return null;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1)
    throw refuse('has no usable sliding_window');
  return value;
}

function slidingLayers(config: Config, family: Family, count: number, refuse: Refuse): boolean[] {
  const named = config.layer_types;
  if (named !== undefined && named !== null) {
    const isKnown = (type: unknown): boolean => type === 'sliding_attention' || type === 'full_attention';
    if (!Array.isArray(named) || named.length !== count || !named.every(isKnown))
      throw refuse('has layer_types other than sliding_attention and full_attention, or not one a layer');
    return named.map((type) => type === 'sliding_attention');
  }
  const number = (key: string, usual: number): number => real(config, key, refuse) ?? usual;
  const isSliding = {
    llama: () => false,
    mistral: () => true,
    phi3: () => true,
    qwen2: (layer: number) => layer >= number('max_window_layers', 28),
    qwen3: (layer: number) => layer >= number('max_window_layers', 28),
    gemma2: (layer: number) => layer % 2 === 0,
    gemma3_text: (layer: number) => (layer + 1) % number('sliding_window_pattern', 6) !== 0,
  }[family];
  return Array.from({ length: count }, (_, layer) => isSliding(layer));
}

function refusePartialRotation(config: Config, headSize: number, refuse: Refuse): void {
  const parameters = config.rope_parameters as Config | null | undefined;
  const factor = config.partial_rotary_factor ?? parameters?.partial_rotary_factor ?? 1;
  if (factor !== 1)
    throw refuse(
      `rotates only a part of each head (partial_rotary_factor ${JSON.stringify(factor)}), which is not supported`,
    );
  if (headSize % (2 * ROTARY_STEP) !== 0) throw refuse(`has heads of ${headSize} elements, not a multiple of 16`);
}

const activations: Readonly<Record<string, Activation>> = {
  silu: 'silu',
  swish: 'silu',
  gelu: 'gelu',
  gelu_pytorch_tanh: 'gelu-tanh',
  gelu_new: 'gelu-tanh',
};

function activationOf(config: Config, isGemma: boolean, refuse: Refuse): Activation {
  const name = (isGemma ? config.hidden_activation : config.hidden_act) ?? (isGemma ? 'gelu_pytorch_tanh' : 'silu');
  const found = typeof name === 'string' && Object.hasOwn(activations, name) ? activations[name] : undefined;
  if (!found) throw refuse(`has the activation ${JSON.stringify(name)}, which is not supported`);
  return found;
}

/** Default if the configuration omits it: Gemma 2 has it, Gemma 3 does not. */
function softcap(config: Config, key: string, family: Family, gemma2: number, refuse: Refuse): number {
  if (config[key] === null) return 0;
  return real(config, key, refuse) ?? (family === 'gemma2' ? gemma2 : 0);
}

function real(config: Config, key: string, refuse: Refuse): number | null {
  const value = config[key] ?? null;
  if (value === null) return null;
  if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0) throw refuse(`has no usable ${key}`);
  return value;
}

/** @param reason follows the model's path */
export function unsupportedModel(path: string, reason: string): SafeLoraError {
  return new SafeLoraError(
    'unsupported-model',
    `${path}: ${reason}. This tool runs models of the types ${families.join(', ')} with the rope types ${ropeTypes.join(', ')}; to evaluate this one, write the projected adapter with safe-lora project and load it into a server that runs the model, such as vLLM.`,
  );
}
