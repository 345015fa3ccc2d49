// The tensors of a decoder-only model, with names and shapes as in Transformers.
import { type Checkpoint } from '../core/checkpoint';
import { isFloatDtype } from '../core/dtype';
import { SafeLoraError, shown, someNames } from '../core/errors';
import { Packing, quantised } from '../core/quantised';
import { sourceOf, type TensorInfo } from '../core/safetensors';
import { type Architecture, unsupportedModel } from './architecture';

/** Prefix of every name but the head's. */
export const PREFIX = 'model.';
export const EMBEDDING = `${PREFIX}embed_tokens.weight`;
export const HEAD = 'lm_head.weight';

/** Stored by early versions beside the weights; recomputed here. */
const COMPUTED = /\.rotary_emb\.inv_freq$|\.masked_bias$/;

export function layerPrefix(layer: number): string {
  return `${PREFIX}layers.${layer}.`;
}

/** Matrices of a layer by their module's name, each [out, in]. */
export function linears(a: Architecture): Record<string, readonly [out: number, width: number]> {
  const [query, keyValue] = [a.heads * a.headSize, a.keyValueHeads * a.headSize];
  const attention: Record<string, readonly [number, number]> = a.isFused
    ? { 'self_attn.qkv_proj': [query + 2 * keyValue, a.hidden] }
    : {
        'self_attn.q_proj': [query, a.hidden],
        'self_attn.k_proj': [keyValue, a.hidden],
        'self_attn.v_proj': [keyValue, a.hidden],
      };
  const mlp: Record<string, readonly [number, number]> = a.isFused
    ? { 'mlp.gate_up_proj': [2 * a.intermediate, a.hidden] }
    : { 'mlp.gate_proj': [a.intermediate, a.hidden], 'mlp.up_proj': [a.intermediate, a.hidden] };
  return {
    ...attention,
    'self_attn.o_proj': [a.hidden, query],
    ...mlp,
    'mlp.down_proj': [a.hidden, a.intermediate],
  };
}

/** True if a matrix of a layer has a bias. */
export function hasBias({ biases }: Architecture, module: string): boolean {
  if (module.startsWith('mlp.')) return biases.mlp;
  return module === 'self_attn.o_proj' ? biases.output : biases.queryKeyValue;
}

/** Norms of a layer, with their sizes. */
function norms(a: Architecture): Record<string, number> {
  return {
    input_layernorm: a.hidden,
    post_attention_layernorm: a.hidden,
    ...(a.hasSandwichNorm ? { pre_feedforward_layernorm: a.hidden, post_feedforward_layernorm: a.hidden } : {}),
    ...(a.hasQueryKeyNorm ? { 'self_attn.q_norm': a.headSize, 'self_attn.k_norm': a.headSize } : {}),
  };
}

/** Every parameter's shape, by its name. */
export function parameterShapes(a: Architecture): Map<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>([[EMBEDDING, [a.vocabulary, a.hidden]]]);
  a.layers.forEach((_, layer) => {
    const prefix = layerPrefix(layer);
    for (const [module, shape] of Object.entries(linears(a))) {
      shapes.set(`${prefix}${module}.weight`, shape);
      if (hasBias(a, module)) shapes.set(`${prefix}${module}.bias`, [shape[0]]);
    }
    for (const [norm, size] of Object.entries(norms(a))) shapes.set(`${prefix}${norm}.weight`, [size]);
  });
  shapes.set(`${PREFIX}norm.weight`, [a.hidden]);
  if (!a.isTied) shapes.set(HEAD, [a.vocabulary, a.hidden]);
  return shapes;
}

/** A model's number of parameters. */
export function parameterCount(a: Architecture): number {
  return [...parameterShapes(a).values()].reduce((sum, shape) => sum + shape.reduce((size, n) => size * n, 1), 0);
}

/**
 * A checkpoint's tensors by the names of the parameters.
 * @throws SafeLoraError if one is missing, has another shape or is packed, or the checkpoint has unknown tensors
 */
export function findParameters(checkpoint: Checkpoint, a: Architecture): Map<string, TensorInfo> {
  const { tensors, path } = checkpoint;
  const shapes = parameterShapes(a);
  // A model that was saved without its head has no prefix.
  const prefix = tensors.has(EMBEDDING) ? '' : PREFIX;
  const storedName = (name: string): string => (name.startsWith(prefix) ? name.slice(prefix.length) : name);
  const find = (name: string): TensorInfo | undefined => tensors.get(storedName(name));
  const packing = new Packing(checkpoint, find);
  const packed = [...shapes.keys()]
    .filter((name) => name.endsWith('.weight'))
    .map((name) => ({ name, by: packing.evidence(name.replace(/\.weight$/, ''), find(name)) }))
    .filter(({ by }) => by !== null);
  if (packed.length > 0)
    throw quantised(
      checkpoint,
      packed.map(({ name }) => name),
      packed[0]!.by!,
    );
  const missing = [...shapes.keys()].filter((name) => !find(name));
  if (missing.length > 0) throw missingParameters(path, missing);
  const found = new Map([...shapes.keys()].map((name) => [name, find(name)!]));
  for (const [name, tensor] of found) {
    const shape = shapes.get(name)!;
    if (!isFloatDtype(tensor.dtype) || String(tensor.shape) !== String(shape)) throw otherShape(tensor, shape);
  }
  refuseMore(checkpoint, a, new Set([...shapes.keys()].map(storedName)), prefix);
  return found;
}

/** An unknown tensor in a layer means another model. */
function refuseMore({ tensors, path }: Checkpoint, a: Architecture, known: ReadonlySet<string>, prefix: string): void {
  const isOurs = (name: string): boolean => {
    const layer = /^layers\.(\d+)\./.exec(prefix === '' ? name.slice(PREFIX.length) : name)?.[1];
    return layer !== undefined && Number(layer) < a.layers.length;
  };
  const more = [...tensors.keys()].filter((name) => !known.has(name) && isOurs(name) && !COMPUTED.test(name));
  if (more.length > 0)
    throw unsupportedModel(path, `contains ${someNames(more)}, which models of its type do not have`);
}

function missingParameters(path: string, names: readonly string[]): SafeLoraError {
  return new SafeLoraError(
    'model-missing-target',
    `${path}: contains no ${someNames(names)}, which its config.json asks for; download the whole model again.`,
  );
}

function otherShape(tensor: TensorInfo, shape: readonly number[]): SafeLoraError {
  return new SafeLoraError(
    'model-shape',
    `${sourceOf(tensor)}: ${shown(tensor.name)} is ${tensor.dtype} [${tensor.shape.join(', ')}], where the model's config.json asks for floating point [${shape.join(', ')}]; download the whole model again.`,
  );
}
