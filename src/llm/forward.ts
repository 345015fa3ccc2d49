// One run of a model's graph over some rows.
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { type Architecture } from './architecture';
import { cacheNames, type KeyValueCache, noPast } from './cache';
import { ADAPTED, moduleOfGate, shapeOf } from './graph';
import { gates } from './protocol';

/** What goes through. */
export interface Input {
  /** [rows, width], filled up at the end */
  tokens: BigInt64Array;
  width: number;
  /** Positions of each row that went through before; they are in the cache. */
  before: readonly number[];
  /** Positions of each row after it. */
  after: readonly number[];
  /** Of each row its variant's gates. */
  variants: readonly Uint8Array[];
  /** Places in `tokens` whose next token is asked for. */
  places: readonly number[];
  /** Of each of them the tokens whose log-probability is wanted. */
  picks?: readonly (readonly number[])[];
}

export interface Output {
  /** The likeliest token of each place. */
  next: BigInt64Array;
  /** Natural logarithms, [places, most picks of one] */
  picked: Float32Array;
  /** Keys and values of the new positions, by name. */
  fresh: Record<string, Tensor>;
}

/** A logit that is no number: the weights hold NaN or an infinity, or the sums left the range of single precision. */
export class NotFinite extends Error {}

export class Forward {
  constructor(
    private readonly session: InferenceSession,
    private readonly architecture: Architecture,
  ) {}

  /**
   * @param past keys and values of the positions before; `keeps` where there are none and the new ones are wanted, `forgets` where not
   * @throws NotFinite
   */
  async run(input: Input, past: KeyValueCache | 'keeps' | 'forgets'): Promise<Output> {
    const { tokens, width, before, after, places } = input;
    const { architecture } = this;
    const rows = before.length;
    const positions = BigInt64Array.from(tokens, (_, i) => BigInt(before[Math.floor(i / width)]! + (i % width)));
    const wanted = padded(input.picks ?? places.map(() => [0]));
    const feeds: Record<string, Tensor> = {
      tokens: new Tensor('int64', tokens, [tokens.length]),
      positions: new Tensor('int64', positions, [rows, width]),
      last: new Tensor(
        'int32',
        Int32Array.from(after, (length) => length - 1),
        [rows],
      ),
      total: new Tensor('int32', Int32Array.of(Math.max(...after)), []),
      rows: new Tensor('int64', BigInt64Array.from(places, BigInt), [places.length]),
      picks: new Tensor('int64', wanted.tokens, [places.length, wanted.width]),
      ...(typeof past === 'string' ? noPast(architecture, rows) : past.feeds(rows)),
    };
    for (const name of this.session.inputNames) feeds[name] ??= this.feed(name, input);
    const fetches = ['next', 'picked', ...(past === 'forgets' ? [] : cacheNames(architecture))];
    const { next, picked, ...fresh } = await this.session.run(feeds, fetches);
    const logProbabilities = picked!.data as Float32Array;
    if (!logProbabilities.every(Number.isFinite)) throw new NotFinite();
    return { next: next!.data as BigInt64Array, picked: logProbabilities, fresh };
  }

  /** What only some graphs take. */
  private feed(name: string, { tokens, width, variants, places }: Input): Tensor {
    const rows = variants.length;
    const shape = shapeOf(name, [tokens.length / width, width], places.length);
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
    const owners = BigInt64Array.from(places, (place) => BigInt(Math.floor(place / width)));
    return new Tensor('int64', owners, [owners.length]);
  }
}

/** Prompts as [rows, width], filled up at the end. */
export function padded(rows: readonly (readonly number[])[]): Pick<Input, 'tokens' | 'width'> {
  const width = Math.max(...rows.map(({ length }) => length));
  const tokens = new BigInt64Array(rows.length * width);
  rows.forEach((row, i) => row.forEach((token, k) => (tokens[i * width + k] = BigInt(token))));
  return { tokens, width };
}
