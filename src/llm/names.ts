// Names of a graph's inputs and outputs, as the graph declares them and a run feeds them.
import { type Architecture } from './architecture';

/** Inputs of every graph. */
export const inputs = {
  /** Ids, [tokens] */
  tokens: 'tokens',
  /** [rows, positions] */
  positions: 'positions',
  /** Positions that the cache has room for, and new ones, [2] */
  parts: 'parts',
  /** Indices of the tokens whose next token is asked for, [answers] */
  asked: 'asked',
  /** Tokens whose log-probability is asked for, [answers, most of one] */
  picks: 'picks',
} as const;

/** The input that says whether each row has the adapter, [rows]. */
export const ADAPTED = 'adapted';

/** The input with the row of each answer, [answers]. */
export const OWNERS = 'owners';

/** The input with the tokens for the model's own embedding beside a saved one that may have more, [tokens]. */
export const OWN_TOKENS = 'own_tokens';

/** Outputs of every graph: the likeliest token, [answers], and log-probabilities of the picks. */
export const outputs = { next: 'next', picked: 'picked' } as const;

/** The input with a module's gates, [rows, 1, 2, 1]: 1 for B as it was trained, and 1 for B projected. */
export function gateName(module: number): string {
  return `gate:${module}`;
}

/** The module's number; null where the input is no gate. */
export function moduleOfGate(input: string): number | null {
  return input.startsWith('gate:') ? Number(input.slice('gate:'.length)) : null;
}

/** A shape begins with those of the tokens, [rows, positions], or with the number of answers. */
export type ShapedBy = 'tokens' | 'answers';

/** The input with a shape. */
export function shapeName(of: ShapedBy, more: readonly number[]): string {
  return ['shape', of, ...more].join(':');
}

/** The shape that an input is; null where it is none. */
export function shapeOf(input: string, tokens: readonly number[], answers: number): number[] | null {
  const [kind, of, ...more] = input.split(':');
  if (kind !== 'shape') return null;
  return [...(of === 'tokens' ? tokens : [answers]), ...more.map(Number)];
}

/** The input that keeps what a token must not attend to out of the scores: see `attentionMask`. @param window of the layers that it is for */
export function maskName(window: number | null): string {
  return window === null ? 'mask' : `mask:${window}`;
}

/** The window that a mask is for; undefined where the input is no mask. */
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

/** The input with those of the positions before, in the same order. */
export function pastName(output: string): string {
  return `past_${output}`;
}
