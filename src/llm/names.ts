// Names of a graph's inputs and outputs, shared by the graph and its runs.
import { type Architecture } from './architecture';

/** Inputs of every graph. */
export const inputs = {
  /** Ids, [tokens] */
  tokens: 'tokens',
  /** [rows, positions] */
  positions: 'positions',
  /** Capacity of the cache in positions, and new ones, [2] */
  parts: 'parts',
  /** Indices of the tokens whose next token is requested, [answers] */
  asked: 'asked',
  /** Tokens whose log-probability is requested, [answers, maximum of one] */
  picks: 'picks',
} as const;

/** The input that tells whether each row has the adapter, [rows]. */
export const ADAPTED = 'adapted';

/** The input with the row of each answer, [answers]. */
export const OWNERS = 'owners';

/** The input with the tokens for the model's own embedding if a saved one may have more, [tokens]. */
export const OWN_TOKENS = 'own_tokens';

/** Outputs of every graph: the most likely token, [answers], and log-probabilities of the picks. */
export const outputs = { next: 'next', picked: 'picked' } as const;

/** The input with a module's gates, [rows, 1, 2, 1]: 1 for B as trained, and 1 for B projected. */
export function gateName(module: number): string {
  return `gate:${module}`;
}

/** The module's number; null for other inputs. */
export function moduleOfGate(input: string): number | null {
  return input.startsWith('gate:') ? Number(input.slice('gate:'.length)) : null;
}

/** A shape begins with the tokens' shape, [rows, positions], or with the number of answers. */
export type ShapedBy = 'tokens' | 'answers';

/** The input with a shape. */
export function shapeName(of: ShapedBy, more: readonly number[]): string {
  return ['shape', of, ...more].join(':');
}

/** The shape of an input; null for other inputs. */
export function shapeOf(input: string, tokens: readonly number[], answers: number): number[] | null {
  const [kind, of, ...more] = input.split(':');
  if (kind !== 'shape') return null;
  return [...(of === 'tokens' ? tokens : [answers]), ...more.map(Number)];
}

/** The input with the attention mask: see `attentionMask`. @param window of the layers that use it */
export function maskName(window: number | null): string {
  return window === null ? 'mask' : `mask:${window}`;
}

/** The window of a mask; undefined for other inputs. */
export function windowOfMask(input: string): number | null | undefined {
  if (input === maskName(null)) return null;
  return input.startsWith('mask:') ? Number(input.slice('mask:'.length)) : undefined;
}

/** The outputs with a layer's keys and values of the new positions, [rows, heads, positions, head size]. */
export function keyValueNames(layer: number): [key: string, value: string] {
  return [`key_${layer}`, `value_${layer}`];
}

export function allKeyValueNames({ layers }: Architecture): string[] {
  return layers.flatMap((_, layer) => keyValueNames(layer));
}

/** The input with those of earlier positions, in the same order. */
export function pastName(output: string): string {
  return `past_${output}`;
}
