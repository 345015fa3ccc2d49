// Batches the rows of a model. Greedy decoding fills the slots of finished rows with the next ones, so that the products stay large until
// few rows are left; scores need one pass over each row.
import { type InferenceSession } from 'onnxruntime-node';
import { type Architecture } from './architecture';
import { Batch, type Queued } from './batch';
import { cacheBytes, KeyValueCache } from './cache';
import { Forward } from './forward';
import { PIECE, prefill, type Prompts, type Slots } from './prefill';
import { type Answer, type GenerateTask, type Row, type ScoreRow, type Scores, type ScoreTask } from './protocol';

/** Maximum rows that decode together: more gain nothing, and the products take twelve at a time. */
const MOST_ROWS = 48;

/** Tokens of one prefill: the maximum, the minimum if memory is short, and the number worth a run while others decode. */
const PREFILL_TOKENS = { most: 512, least: 64, worth: 128 };

const FLOAT = Float32Array.BYTES_PER_ELEMENT;

export interface DecoderOptions {
  architecture: Architecture;
  /** Bytes. */
  workspace: number;
}

/** Of the workspace: for keys and values, hidden states, and logits. */
const SHARES = { cache: 5 / 8, hidden: 1 / 4, logits: 1 / 8 };

/** Bytes of the hidden states and attention scores alive at once, per token of a row with that many. */
function tokenBytes({ hidden, intermediate, heads, keyValueHeads, headSize }: Architecture, width: number): number {
  return FLOAT * (6 * hidden + 4 * intermediate + 2 * (heads + 2 * keyValueHeads) * headSize + 2 * heads * width);
}

/** Bytes computed for one next token: logits and log-probabilities. */
function answerBytes({ vocabulary }: Architecture): number {
  return FLOAT * 2 * vocabulary;
}

export class Decoder {
  private readonly forward: Forward;
  /** Maximum positions with cached keys and values. */
  private readonly mostKept: number;
  /** Maximum next tokens of one run. */
  private readonly mostAnswers: number;

  constructor(
    session: InferenceSession,
    private readonly options: DecoderOptions,
  ) {
    const { architecture, workspace } = options;
    this.forward = new Forward(session, architecture);
    this.mostKept = Math.floor((workspace * SHARES.cache) / cacheBytes(architecture));
    this.mostAnswers = Math.max(1, Math.floor((workspace * SHARES.logits) / answerBytes(architecture)));
  }

  /**
   * Greedy decoding.
   * @param onAnswers is called as rows finish
   * @throws NotFinite
   */
  async generate(task: GenerateTask, onAnswers: (answers: Answer[]) => void): Promise<void> {
    const queue = longestFirst(task.rows);
    while (queue.length > 0) {
      const batch = this.emptyBatch(queue, task);
      while (batch.size > 0 || batch.takes(queue[0])) {
        const joining = this.takeJoining(queue, batch);
        if (joining.length > 0) await batch.join(joining);
        else await batch.step();
        const answers = batch.takeEnded();
        if (answers.length > 0) onAnswers(answers);
      }
    }
  }

  /**
   * Log-probabilities of the requested tokens.
   * @param onScores is called as rows finish
   * @throws NotFinite
   */
  async score({ rows, variants }: ScoreTask, onScores: (scores: Scores[]) => void): Promise<void> {
    const queue = longestFirst(rows).flatMap((queued) => this.pieces(queued));
    const found = rows.map((): number[][] => []);
    while (queue.length > 0) {
      const part = queue.splice(
        0,
        this.fitting(queue, (row) => row.questions.length),
      );
      const prompts = {
        rows: part.map(({ row }) => row.tokens),
        variants: part.map(({ row }) => variants[row.variant]!),
      };
      const questions = part.flatMap(({ row }, i) =>
        row.questions.map(({ position, tokens }) => ({ row: i, position, picks: tokens })),
      );
      const answers = await prefill(this.forward, prompts, questions, this.slotsFor(prompts));
      answers.forEach(({ picked }, i) => found[part[questions[i]!.row]!.index]!.push(picked));
      const done = [...new Set(part.map(({ index }) => index))].filter(
        (index) => found[index]!.length === rows[index]!.questions.length,
      );
      if (done.length > 0) onScores(done.map((row) => ({ row, logProbabilities: found[row]! })));
    }
  }

  /** Slots for prompts that are prefilled in pieces; a single prompt without memory for a slot runs at once. */
  private slotsFor({ rows }: Prompts): Slots | null {
    const { architecture } = this.options;
    const longest = Math.max(...rows.map(({ length }) => length));
    if (longest <= PIECE || rows.length * longest > this.mostKept) return null;
    return { cache: new KeyValueCache(architecture, rows.length, longest), begin: 0 };
  }

  /** Repeats a row as often as its questions' answers need, each time with some of them. */
  private pieces({ row, index }: Queued<ScoreRow>): Queued<ScoreRow>[] {
    const { mostAnswers } = this;
    return Array.from({ length: Math.ceil(row.questions.length / mostAnswers) }, (_, i) => ({
      row: { ...row, questions: row.questions.slice(i * mostAnswers, (i + 1) * mostAnswers) },
      index,
    }));
  }

  /** Its slots are as long as the first row requires. */
  private emptyBatch(queue: readonly Queued[], { variants, maxTokens, stopTokens }: GenerateTask): Batch {
    const { architecture } = this.options;
    const capacity = queue[0]!.row.tokens.length + maxTokens;
    const fitting = Math.floor(this.mostKept / capacity);
    const slots = Math.max(1, Math.min(MOST_ROWS, this.mostAnswers, queue.length, fitting));
    return new Batch(this.forward, architecture, { slots, capacity, variants, maxTokens, stopTokens });
  }

  /** Takes the rows that join now from the queue; none if waiting for more free slots is better. */
  private takeJoining(queue: Queued[], batch: Batch): Queued[] {
    const waiting = queue.slice(0, batch.free);
    const other = waiting.findIndex((queued) => !batch.takes(queued));
    const count = this.fitting(other < 0 ? waiting : waiting.slice(0, other), () => 1);
    if (count === 0) return [];
    const tokens = count * queue[0]!.row.tokens.length;
    const isWorth = batch.free >= batch.size || tokens >= PREFILL_TOKENS.worth || !batch.takes(queue[count]);
    return isWorth ? queue.splice(0, count) : [];
  }

  /** Maximum tokens of one run, unless a single row has more. @param width tokens of the longest row */
  private mostTokens(width: number): number {
    const { architecture, workspace } = this.options;
    const fitting = Math.floor((workspace * SHARES.hidden) / tokenBytes(architecture, width));
    return Math.max(PREFILL_TOKENS.least, Math.min(PREFILL_TOKENS.most, fitting));
  }

  /** How many of the queue's first rows fit in one run. */
  private fitting<T extends Row>(queue: readonly Queued<T>[], answersOf: (row: T) => number): number {
    const width = queue[0]?.row.tokens.length ?? 0;
    const mostTokens = this.mostTokens(width);
    let answers = 0;
    let count = 0;
    for (const { row } of queue) {
      answers += answersOf(row);
      const fits =
        (count + 1) * Math.min(width, PIECE) <= mostTokens &&
        (width <= PIECE || (count + 1) * width <= this.mostKept) &&
        answers <= this.mostAnswers;
      if (count > 0 && !fits) break;
      count++;
    }
    return count;
  }
}

/** Rows that exceed the memory fail at once; rows of similar length run together. */
function longestFirst<T extends Row>(rows: readonly T[]): Queued<T>[] {
  return rows
    .map((row, index) => ({ row, index }))
    .sort((x, y) => y.row.tokens.length - x.row.tokens.length || x.index - y.index);
}
