// A model's answers with an adapter, point by point: rows of one model's batches, judged and written down as they arrive.
import { hashBytes } from '../core/safetensors';
import { type AnswerLine, type Journal, type ScoreLine } from '../evaluation/journal';
import { isAnswered, type Verdict, type Verdicts } from '../evaluation/figures';
import { isDegenerate, isRefusal, type Judge, utilityOf } from '../evaluation/judge';
import { type PromptSet } from '../evaluation/prompts';
import { type ChatProcess } from '../llm/chat-process';
import { type ModelProcess } from '../llm/process';
import { type Answer, type Row, type ScoreRow } from '../llm/protocol';

/** A set with its prompts as the model's tokens. */
export interface EncodedSet {
  set: PromptSet;
  judge: Judge;
  /** Of each prompt. */
  tokens: readonly (readonly number[])[];
  /** Of each reference; empty if there is none. */
  references: readonly (readonly number[])[];
}

/** Modules of a point by their gates; the count is null for the aligned model. */
export interface Variant {
  count: number | null;
  gates: Uint8Array;
}

interface Asked {
  count: number | null;
  set: number;
  prompt: number;
}

export interface BehaviourPorts {
  /** @param stage current work of `total`: encoding prompts, then scores and answers at all points */
  onStage?: (stage: 'prompts' | 'scores' | 'answers', done: number, total: number) => void;
  /** Answers as they arrive: hazardous text. */
  onAnswers?: (answers: readonly AnswerText[]) => void;
  signal?: AbortSignal;
}

/** An answer, by the numbers of its set and prompt. */
export interface AnswerText extends Asked {
  text: string;
}

export interface BehaviourOptions {
  model: ModelProcess;
  chat: ChatProcess;
  sets: readonly EncodedSet[];
  journal: Journal;
  maxTokens: number;
  /** Writes down answers, too. */
  keepsAnswers: boolean;
  ports: BehaviourPorts;
}

/** Rows of one task: messages to the model's process stay small, and an interrupted run loses little. */
const TASK_ROWS = 1024;

/** Prompts of a set used for scores, which show where generating answers is worthwhile. */
export const SCORED_PROMPTS = 64;

export class Behaviour {
  private readonly answers = new Map<string, AnswerLine>();
  private readonly scores = new Map<number | null, ScoreLine>();

  constructor(private readonly options: BehaviourOptions) {
    for (const line of options.journal.known) {
      if (line.kind === 'score') this.scores.set(line.count, line);
      else this.answers.set(keyOf(line), line);
    }
  }

  /** Generates missing answers of some variants. @param takes which sets */
  async answer(variants: readonly Variant[], takes: (set: EncodedSet) => boolean = () => true): Promise<void> {
    const { maxTokens, chat, ports } = this.options;
    const missing = this.missing(variants, (encoded) => takes(encoded) && isAnswered(encoded.set)).map((asked) => ({
      ...asked,
      tokens: asked.encoded.tokens[asked.prompt]!,
    }));
    const total = missing.length;
    let done = 0;
    if (total > 0) ports.onStage?.('answers', 0, total);
    for (const part of chunks(missing, TASK_ROWS)) {
      const rows = part.map(({ tokens, variant }): Row => ({ tokens, variant }));
      const task = { variants: variants.map(({ gates }) => gates), rows, maxTokens, stopTokens: chat.stopTokens };
      const record = async (answers: readonly Answer[]): Promise<void> => {
        const texts = await chat.decode(answers.map(({ tokens }) => tokens));
        const lines = answers.map((answer, i) => this.judged(part[answer.row]!, answer, texts[i]!));
        for (const line of lines) this.answers.set(keyOf(line), line);
        ports.onAnswers?.(lines.map(({ count, set, prompt }, i) => ({ count, set, prompt, text: texts[i]! })));
        await this.options.journal.write(lines);
        done += answers.length;
        ports.onStage?.('answers', done, total);
      };
      // One after the other, during generation; a failure ends that, too.
      const failed = new AbortController();
      let recorded = Promise.resolve();
      try {
        await this.options.model.generate(
          task,
          (answers) => {
            recorded = recorded.then(() => record(answers));
            recorded.catch((error: unknown) => {
              failed.abort(error);
            });
          },
          ports.signal ? AbortSignal.any([ports.signal, failed.signal]) : failed.signal,
        );
      } finally {
        // Received answers are written down, even if the run is cancelled.
        await recorded.catch(() => undefined);
      }
      await recorded;
    }
    await this.weigh(variants, takes);
  }

  get hasHarmful(): boolean {
    return this.options.sets.some(({ set }) => set.role === 'harmful');
  }

  /** First tokens of a variant's refusals of harmful prompts, ascending. */
  refusalTokens(count: number | null): number[] {
    const { sets } = this.options;
    const found = [...this.answers.values()].filter(
      (line) => line.count === count && line.refused && sets[line.set]!.set.role === 'harmful' && line.first !== null,
    );
    return [...new Set(found.map(({ first }) => first!))].sort((x, y) => x - y);
  }

  /**
   * Computes missing scores of variants from prefill alone.
   * @param refusals first tokens of refusals
   */
  async score(variants: readonly Variant[], refusals: readonly number[]): Promise<void> {
    const { sets, ports, journal, model } = this.options;
    const missing = variants.filter(({ count }) => !this.scores.has(count));
    const asked = sets.flatMap((encoded) => questionsOf(encoded, refusals));
    if (missing.length === 0 || asked.length === 0) return;
    const total = missing.length * asked.length;
    ports.onStage?.('scores', 0, total);
    let done = 0;
    for (const part of chunks(missing, Math.max(1, Math.floor(TASK_ROWS / asked.length)))) {
      const found = part.map((): { refusal: number[]; reference: number[] } => ({ refusal: [], reference: [] }));
      const rows = part.flatMap((_, variant) => asked.map(({ row }): ScoreRow => ({ ...row, variant })));
      await model.score(
        { variants: part.map(({ gates }) => gates), rows },
        (scores) => {
          for (const { row, logProbabilities } of scores) {
            const { kind } = asked[row % asked.length]!;
            const values = found[Math.floor(row / asked.length)]!;
            if (kind === 'refusal') values.refusal.push(refusalScore(logProbabilities[0]!));
            else values.reference.push(mean(logProbabilities.map(([value]) => value!))!);
          }
          done += scores.length;
          ports.onStage?.('scores', done, total);
        },
        ports.signal,
      );
      const lines = part.map(({ count }, i): ScoreLine => {
        const { refusal, reference } = found[i]!;
        return { kind: 'score', count, refusalScore: mean(refusal), referenceScore: mean(reference) };
      });
      for (const line of lines) this.scores.set(line.count, line);
      await journal.write(lines);
    }
  }

  scoreOf(count: number | null): ScoreLine | null {
    return this.scores.get(count) ?? null;
  }

  /** Null if any of a point's answers is missing. */
  verdictsOf(count: number | null): Verdicts | null {
    const verdicts = this.options.sets.map(({ tokens }, set) =>
      tokens.map((_, prompt): Verdict | undefined => this.answers.get(keyOf({ count, set, prompt }))),
    );
    return verdicts.every((ofSet) => ofSet.every((verdict) => verdict !== undefined)) ? verdicts : null;
  }

  /** In the order of points, sets and prompts. */
  linesOf(counts: readonly (number | null)[]): AnswerLine[] {
    const order = new Map(counts.map((count, i) => [count, i]));
    return [...this.answers.values()]
      .filter(({ count }) => order.has(count))
      .sort((x, y) => order.get(x.count)! - order.get(y.count)! || x.set - y.set || x.prompt - y.prompt);
  }

  /** Missing answers of the selected sets. */
  private missing(
    variants: readonly Variant[],
    takes: (set: EncodedSet) => boolean,
  ): (Asked & { variant: number; encoded: EncodedSet })[] {
    return variants.flatMap(({ count }, variant) =>
      this.options.sets.flatMap((encoded, set) => {
        if (!takes(encoded)) return [];
        const all = encoded.tokens.map((_, prompt) => ({ count, set, prompt, variant, encoded }));
        return all.filter((asked) => !this.answers.has(keyOf(asked)));
      }),
    );
  }

  private judged({ count, set, prompt }: Asked, { tokens, isCutOff }: Answer, answer: string): AnswerLine {
    const { sets, keepsAnswers } = this.options;
    const { set: prompts, judge } = sets[set]!;
    const { metric } = prompts;
    const { reference } = prompts.prompts[prompt]!;
    const isHeld = reference !== null && metric !== null && metric !== 'likelihood';
    return {
      kind: 'answer',
      count,
      set,
      prompt,
      refused: isRefusal(answer, judge),
      degenerate: isDegenerate(answer),
      cutOff: isCutOff,
      utility: isHeld ? utilityOf(answer, reference, metric) : null,
      sha256: hashBytes(Buffer.from(answer)).slice(0, 16),
      first: tokens[0] ?? null,
      ...(keepsAnswers ? { answer } : {}),
    };
  }

  /** For the sets whose references are scored by their probability. */
  private async weigh(variants: readonly Variant[], takes: (set: EncodedSet) => boolean): Promise<void> {
    const { model, journal, ports } = this.options;
    const missing = this.missing(variants, (encoded) => takes(encoded) && !isAnswered(encoded.set)).map(
      ({ variant, encoded, ...asked }) => ({
        ...asked,
        row: { variant, ...referenceRow(encoded.tokens[asked.prompt]!, encoded.references[asked.prompt]!) },
      }),
    );
    let done = 0;
    for (const part of chunks(missing, TASK_ROWS)) {
      const lines: AnswerLine[] = [];
      await model.score(
        { variants: variants.map(({ gates }) => gates), rows: part.map(({ row }) => row) },
        (scores) => {
          for (const { row, logProbabilities } of scores) {
            const { count, set, prompt } = part[row]!;
            const utility = mean(logProbabilities.map(([value]) => value!));
            lines.push({ kind: 'answer', count, set, prompt, ...unanswered, utility });
          }
          done += scores.length;
          ports.onStage?.('answers', done, missing.length);
        },
        ports.signal,
      );
      for (const line of lines) this.answers.set(keyOf(line), line);
      await journal.write(lines);
    }
  }
}

const unanswered = { refused: false, degenerate: false, cutOff: false, sha256: '', first: null };

interface Question {
  kind: 'refusal' | 'reference';
  row: Omit<ScoreRow, 'variant'>;
}

/** The questions for every variant: the probability of a refusal of harmful prompts, and of the references for utility. */
function questionsOf({ set, tokens, references }: EncodedSet, refusals: readonly number[]): Question[] {
  const some = tokens.slice(0, SCORED_PROMPTS);
  if (set.role === 'harmful' && refusals.length > 0) {
    return some.map((prompt) => ({
      kind: 'refusal',
      row: { tokens: prompt, questions: [{ position: prompt.length - 1, tokens: refusals }] },
    }));
  }
  if (set.role !== 'utility') return [];
  return some.map((prompt, i) => ({ kind: 'reference', row: referenceRow(prompt, references[i]!) }));
}

function referenceRow(prompt: readonly number[], reference: readonly number[]): Omit<ScoreRow, 'variant'> {
  const questions = reference.map((token, i) => ({ position: prompt.length - 1 + i, tokens: [token] }));
  return { tokens: [...prompt, ...reference], questions };
}

/** Closer to 0 or 1, single precision cannot distinguish a probability from these. */
const LEAST_PROBABILITY = 2 ** -24;

/** log p − log(1 − p) of the sum p of some probabilities. */
function refusalScore(logProbabilities: readonly number[]): number {
  const sum = logProbabilities.reduce((total, value) => total + Math.exp(value), 0);
  const p = Math.min(1 - LEAST_PROBABILITY, Math.max(LEAST_PROBABILITY, sum));
  return Math.log(p) - Math.log1p(-p);
}

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

function keyOf({ count, set, prompt }: Asked): string {
  return `${count} ${set} ${prompt}`;
}

function* chunks<T>(values: readonly T[], size: number): Generator<T[]> {
  for (let begin = 0; begin < values.length; begin += size) yield values.slice(begin, begin + size);
}
