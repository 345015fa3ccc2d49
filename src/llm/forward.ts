// One run of a model's graph on some rows.
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { type Architecture } from './architecture';
import { KeyValueCache } from './cache';
import { attentionMask } from './mask';
import {
  ADAPTED,
  allKeyValueNames,
  inputs,
  moduleOfGate,
  outputs,
  OWN_TOKENS,
  OWNERS,
  shapeOf,
  windowOfMask,
} from './names';
import { gates } from './protocol';

/** The inputs. */
export interface Input {
  /** [rows, width], padded at the end */
  tokens: BigInt64Array;
  width: number;
  /** Cached positions of each row. */
  before: readonly number[];
  /** The gates of each row's variant. */
  variants: readonly Uint8Array[];
  /** Indices in `tokens` whose next token is requested. */
  asked: readonly number[];
  /** For each of them the tokens whose log-probability is requested. */
  picks?: readonly (readonly number[])[];
}

export interface Output {
  /** The most likely next tokens. */
  next: BigInt64Array;
  /** Natural logarithms, [asked, most picks of one] */
  picked: Float32Array;
  /** Keys and values of the new positions, by name; empty if not requested. */
  fresh: Record<string, Tensor>;
}

/** A logit is NaN: the weights contain NaN or an infinity, or the sums left the range of single precision. */
export class NotFinite extends Error {}

export class Forward {
  constructor(
    private readonly session: InferenceSession,
    private readonly architecture: Architecture,
  ) {}

  /**
   * @param cache keys and values of earlier positions; null if there are none
   * @param goesOn requests keys and values of the new positions
   * @throws NotFinite
   */
  async run(input: Input, cache: KeyValueCache | null, goesOn: boolean): Promise<Output> {
    const { tokens, width, before, asked } = input;
    const { architecture } = this;
    const rows = before.length;
    // Some devices refuse empty tensors: no token attends to this one position.
    const past = cache ?? new KeyValueCache(architecture, rows, 1);
    const positions = BigInt64Array.from(tokens, (_, i) => BigInt(before[Math.floor(i / width)]! + (i % width)));
    const wanted = padded(input.picks ?? asked.map(() => [0]));
    const feeds: Record<string, Tensor> = {
      [inputs.tokens]: new Tensor('int64', tokens, [tokens.length]),
      [inputs.positions]: new Tensor('int64', positions, [rows, width]),
      [inputs.parts]: new Tensor('int64', BigInt64Array.of(BigInt(past.capacity), BigInt(width)), [2]),
      [inputs.asked]: new Tensor('int64', BigInt64Array.from(asked, BigInt), [asked.length]),
      [inputs.picks]: new Tensor('int64', wanted.tokens, [asked.length, wanted.width]),
      ...past.feeds(rows),
    };
    for (const name of this.session.inputNames) feeds[name] ??= this.feed(name, input, past.capacity);
    const fetches = [...Object.values(outputs), ...(goesOn ? allKeyValueNames(architecture) : [])];
    const { next, picked, ...fresh } = await this.session.run(feeds, fetches);
    const logProbabilities = picked!.data as Float32Array;
    if (!logProbabilities.every(Number.isFinite)) throw new NotFinite();
    return { next: next!.data as BigInt64Array, picked: logProbabilities, fresh };
  }

  /** Inputs of only some graphs. */
  private feed(name: string, { tokens, width, before, variants, asked }: Input, capacity: number): Tensor {
    const rows = variants.length;
    const window = windowOfMask(name);
    if (window !== undefined) return attentionMask({ before, width, capacity, window, ...this.architecture });
    const shape = shapeOf(name, [tokens.length / width, width], asked.length);
    if (shape) return new Tensor('int64', BigInt64Array.from(shape, BigInt), [shape.length]);
    const module = moduleOfGate(name);
    if (module !== null) {
      const values = new Float32Array(2 * rows);
      variants.forEach((variant, row) => {
        if (variant[module] === gates.trained) values[2 * row] = 1;
        if (variant[module] === gates.projected) values[2 * row + 1] = 1;
      });
      return new Tensor('float32', values, [rows, 1, 2, 1]);
    }
    if (name === ADAPTED) {
      const values = Float32Array.from(variants, (variant) => (variant.some((gate) => gate !== gates.off) ? 1 : 0));
      return new Tensor('float32', values, [rows]);
    }
    if (name === OWN_TOKENS) {
      // Only rows with the adapter have others, and they ignore this input.
      const most = BigInt(this.architecture.vocabulary - 1);
      const own = tokens.map((token) => (token > most ? 0n : token));
      return new Tensor('int64', own, [own.length]);
    }
    if (name !== OWNERS) throw new Error(`the graph takes ${name}, which is not known`);
    const owners = BigInt64Array.from(asked, (index) => BigInt(Math.floor(index / width)));
    return new Tensor('int64', owners, [owners.length]);
  }
}

/** Rows of tokens as [rows, width], padded at the end with token 0. @param width defaults to the longest row's */
export function padded(
  rows: readonly (readonly number[])[],
  width = Math.max(...rows.map(({ length }) => length)),
): Pick<Input, 'tokens' | 'width'> {
  const tokens = new BigInt64Array(rows.length * width);
  rows.forEach((row, i) => row.forEach((token, k) => (tokens[i * width + k] = BigInt(token))));
  return { tokens, width };
}
