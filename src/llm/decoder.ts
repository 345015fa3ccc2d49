// Runs a model's graph over batches of rows: prefill, then a token of every row at a time. Keys and values are kept in place, in buffers
// of the batch's size; a row that ended leaves the batch.
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { type Architecture } from './architecture';
import {
  type Answer,
  gates,
  type GenerateTask,
  type Row,
  type ScoreRow,
  type Scores,
  type ScoreTask,
} from './protocol';

/** Rows that decode together at most: more gain little, since the products are then bound by arithmetic. */
const MOST_ROWS = 64;

/** Tokens of one prefill at most, and at least where memory allows no more. */
const PREFILL_TOKENS = { most: 1024, least: 64 };

const FLOAT = 4;

export interface DecoderOptions {
  architecture: Architecture;
  branches: number;
  hasSaved: boolean;
  /** Bytes for keys, values and hidden states. */
  workspace: number;
}

/** What a run of the graph gives. */
interface Step {
  next: BigInt64Array;
  picked: Float32Array;
  logsum: Float32Array;
}

/** A row with its number in the task. */
interface Queued<T extends Row> {
  row: T;
  index: number;
}

/** Bytes of the hidden states that are alive at once, a token. */
export function tokenBytes({ hidden, intermediate, heads, keyValueHeads, headSize }: Architecture): number {
  return FLOAT * (6 * hidden + 4 * intermediate + 2 * (heads + 2 * keyValueHeads) * headSize);
}

/** Bytes of keys and values, a token. */
export function cacheBytes({ layers, keyValueHeads, headSize }: Architecture): number {
  return FLOAT * 2 * layers.length * keyValueHeads * headSize;
}

/** A logit that is no number: the weights hold NaN or an infinity, or the sums left the range of single precision. */
export class NotFinite extends Error {}

export class Decoder {
  constructor(
    private readonly session: InferenceSession,
    private readonly options: DecoderOptions,
  ) {}

  /** Greedy decoding. @param onAnswers is called as rows end */
  async generate(task: GenerateTask, onAnswers: (answers: Answer[]) => void): Promise<void> {
    const { rows, maxTokens, variants } = task;
    const stop = new Set(task.stopTokens);
    for (const part of this.batches(rows, maxTokens)) {
      const batch = new Batch(this.session, this.options, part, variants, maxTokens);
      const ended = (slot: number, isCutOff: boolean): Answer => {
        const { index } = part[batch.owners[slot]!]!;
        return { row: index, tokens: batch.answers[batch.owners[slot]!]!, isCutOff };
      };
      let next = await batch.prefill(this.prefillTokens);
      for (let count = 1; batch.size > 0; count++) {
        const answers: Answer[] = [];
        // From the last, since the batch closes up by moving its last row.
        for (let slot = batch.size - 1; slot >= 0; slot--) {
          const token = Number(next[slot]);
          const stopped = stop.has(token);
          if (!stopped) batch.answers[batch.owners[slot]!]!.push(token);
          if (!stopped && count < maxTokens) continue;
          answers.push(ended(slot, !stopped));
          batch.remove(slot, next);
        }
        if (answers.length > 0) onAnswers(answers);
        if (batch.size > 0) next = await batch.step(next);
      }
    }
  }

  /** Log-probabilities from prefill alone. */
  async score({ rows, variants }: ScoreTask, onScores: (scores: Scores[]) => void): Promise<void> {
    for (const part of this.batches(rows, 0)) {
      const batch = new Batch(this.session, this.options, part, variants, 0);
      onScores(await batch.score(part, this.prefillTokens));
    }
  }

  /** Rows of like length go together, the longest first: what does not fit into memory fails at once. */
  private batches<T extends Row>(rows: readonly T[], maxTokens: number): Queued<T>[][] {
    const queue = rows
      .map((row, index) => ({ row, index }))
      .sort((x, y) => y.row.tokens.length - x.row.tokens.length || x.index - y.index);
    const parts: Queued<T>[][] = [];
    for (let begin = 0; begin < queue.length;) {
      const length = queue[begin]!.row.tokens.length + maxTokens;
      const size = Math.max(1, Math.min(MOST_ROWS, Math.floor(this.cacheMemory / (length * this.cacheBytes))));
      parts.push(queue.slice(begin, begin + size));
      begin += size;
    }
    return parts;
  }

  private get cacheMemory(): number {
    return this.options.workspace / 2;
  }

  private get cacheBytes(): number {
    return cacheBytes(this.options.architecture);
  }

  private get prefillTokens(): number {
    const fitting = Math.floor(this.options.workspace / 4 / tokenBytes(this.options.architecture));
    return Math.max(PREFILL_TOKENS.least, Math.min(PREFILL_TOKENS.most, fitting));
  }
}

/** Rows that go through together. */
class Batch {
  /** Rows that have not ended; they take the first slots. */
  size: number;
  /** Which row of the batch has each slot. */
  readonly owners: number[];
  readonly answers: number[][];
  /** Positions that have keys and values, by slot. */
  private readonly lengths: number[];
  /** Of each layer and part, [rows, heads, capacity, head size]. */
  private readonly caches = new Map<string, Float32Array>();
  private readonly capacity: number;
  /** Of one row in one cache. */
  private readonly rowElements: number;

  constructor(
    private readonly session: InferenceSession,
    private readonly options: DecoderOptions,
    private readonly rows: readonly Queued<Row>[],
    private readonly variants: readonly Uint8Array[],
    maxTokens: number,
  ) {
    this.size = rows.length;
    this.owners = rows.map((_, i) => i);
    this.answers = rows.map(() => []);
    this.lengths = rows.map(({ row }) => row.tokens.length);
    this.capacity = Math.max(...this.lengths) + maxTokens;
    const { layers, keyValueHeads, headSize } = options.architecture;
    this.rowElements = keyValueHeads * this.capacity * headSize;
    layers.forEach((_, layer) => {
      for (const part of ['key', 'value'])
        this.caches.set(`${layer}_${part}`, new Float32Array(rows.length * this.rowElements));
    });
  }

  /** @returns the first token of every row */
  async prefill(mostTokens: number): Promise<BigInt64Array> {
    const next = new BigInt64Array(this.size);
    for (const [begin, end] of this.parts(mostTokens)) {
      const width = this.widthOf(begin, end);
      const last = this.lengths.slice(begin, end).map((length, i) => i * width + length - 1);
      const step = await this.run(begin, end, this.prompts(begin, end, width), width, width, last);
      next.set(step.next, begin);
    }
    return next;
  }

  async score(rows: readonly Queued<ScoreRow>[], mostTokens: number): Promise<Scores[]> {
    const scores: Scores[] = [];
    for (const [begin, end] of this.parts(mostTokens)) {
      const width = this.widthOf(begin, end);
      const asked = rows
        .slice(begin, end)
        .flatMap(({ row }, i) => row.questions.map(({ position, tokens }) => ({ at: i * width + position, tokens })));
      const picks = Math.max(...asked.map(({ tokens }) => tokens.length));
      const prompts = this.prompts(begin, end, width);
      const slots = asked.map(({ at }) => at);
      const step = await this.run(
        begin,
        end,
        prompts,
        width,
        width,
        slots,
        asked.map(({ tokens }) => tokens),
      );
      let answer = 0;
      for (const { row, index } of rows.slice(begin, end)) {
        const logProbabilities = row.questions.map(({ tokens }) => {
          const from = answer * picks;
          const sum = step.logsum[answer++]!;
          return tokens.map((_, i) => step.picked[from + i]! - sum);
        });
        scores.push({ row: index, logProbabilities });
      }
    }
    return scores;
  }

  /** Takes a token of every row. @returns the next ones */
  async step(tokens: BigInt64Array): Promise<BigInt64Array> {
    const { size } = this;
    for (let slot = 0; slot < size; slot++) this.lengths[slot]!++;
    const slots = Array.from({ length: size }, (_, i) => i);
    const step = await this.run(0, size, tokens.slice(0, size), 1, Math.max(...this.lengths.slice(0, size)), slots);
    return step.next;
  }

  /** A row has ended: the last one takes its slot, here and among the tokens. */
  remove(slot: number, tokens: BigInt64Array): void {
    const last = --this.size;
    if (slot !== last) {
      for (const cache of this.caches.values())
        cache.copyWithin(slot * this.rowElements, last * this.rowElements, (last + 1) * this.rowElements);
      this.owners[slot] = this.owners[last]!;
      this.lengths[slot] = this.lengths[last]!;
      tokens[slot] = tokens[last]!;
    }
  }

  /** Of slots, so many that their tokens are few enough. Rows are sorted, so that little is padding. */
  private *parts(mostTokens: number): Generator<[begin: number, end: number]> {
    for (let begin = 0; begin < this.size;) {
      const end = Math.min(this.size, begin + Math.max(1, Math.floor(mostTokens / this.lengths[begin]!)));
      yield [begin, end];
      begin = end;
    }
  }

  private widthOf(begin: number, end: number): number {
    return Math.max(...this.lengths.slice(begin, end));
  }

  /** Padded at the end, [rows, width]. */
  private prompts(begin: number, end: number, width: number): BigInt64Array {
    const tokens = new BigInt64Array((end - begin) * width);
    for (let slot = begin; slot < end; slot++)
      this.rows[slot]!.row.tokens.forEach((token, i) => (tokens[(slot - begin) * width + i] = BigInt(token)));
    return tokens;
  }

  /**
   * @param tokens [slots, width]
   * @param total positions of the longest row
   * @param answers slots in `tokens` whose next token is asked for
   * @param picks of each of them the tokens whose logits are wanted
   * @throws NotFinite
   */
  private async run(
    begin: number,
    end: number,
    tokens: BigInt64Array,
    width: number,
    total: number,
    answers: readonly number[],
    picks: readonly (readonly number[])[] = answers.map(() => [0]),
  ): Promise<Step> {
    const rows = end - begin;
    const feeds: Record<string, Tensor> = {
      tokens: new Tensor('int64', tokens, [rows, width]),
      last: new Tensor(
        'int32',
        Int32Array.from(this.lengths.slice(begin, end), (length) => length - 1),
        [rows],
      ),
      total: new Tensor('int32', Int32Array.of(total), []),
      rows: new Tensor('int64', BigInt64Array.from(answers, BigInt), [answers.length]),
      picks: picksTensor(picks),
    };
    if (this.options.branches > 0) feeds.gates = this.gatesOf(begin, end);
    if (this.options.hasSaved) feeds.adapted = this.adaptedOf(begin, end);
    const fetches: Record<string, Tensor | null> = { next: null, picked: null, logsum: null };
    const { keyValueHeads, headSize } = this.options.architecture;
    for (const [name, cache] of this.caches) {
      const values = cache.subarray(begin * this.rowElements, end * this.rowElements);
      const tensor = new Tensor('float32', values, [rows, keyValueHeads, this.capacity, headSize]);
      feeds[`past_${name}`] = tensor;
      fetches[`present_${name}`] = tensor;
    }
    const { next, picked, logsum } = await this.session.run(feeds, fetches);
    const sums = logsum!.data as Float32Array;
    if (!sums.every(Number.isFinite)) throw new NotFinite();
    return { next: next!.data as BigInt64Array, picked: picked!.data as Float32Array, logsum: sums };
  }

  /** [modules, rows, 1, 2, 1] */
  private gatesOf(begin: number, end: number): Tensor {
    const rows = end - begin;
    const { branches } = this.options;
    const values = new Float32Array(branches * rows * 2);
    for (let row = 0; row < rows; row++) {
      const variant = this.variantAt(begin + row);
      for (let module = 0; module < branches; module++) {
        const gate = variant[module]!;
        if (gate !== gates.off) values[(module * rows + row) * 2 + (gate === gates.trained ? 0 : 1)] = 1;
      }
    }
    return new Tensor('float32', values, [branches, rows, 1, 2, 1]);
  }

  /** Whether each row has the adapter, [rows]. */
  private adaptedOf(begin: number, end: number): Tensor {
    const values = Float32Array.from({ length: end - begin }, (_, row) =>
      this.variantAt(begin + row).some((gate) => gate !== gates.off) ? 1 : 0,
    );
    return new Tensor('float32', values, [values.length]);
  }

  private variantAt(slot: number): Uint8Array {
    return this.variants[this.rows[this.owners[slot]!]!.row.variant]!;
  }
}

/** [answers, most tokens of one], filled up with token 0. */
function picksTensor(picks: readonly (readonly number[])[]): Tensor {
  const most = Math.max(...picks.map((tokens) => tokens.length));
  const values = new BigInt64Array(picks.length * most);
  picks.forEach((tokens, i) => tokens.forEach((token, k) => (values[i * most + k] = BigInt(token))));
  return new Tensor('int64', values, [picks.length, most]);
}
