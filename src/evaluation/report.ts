// What an evaluation reports: figures by point, and everything that is needed to repeat it. Answers are hazardous text and are not in it.
import { type Notice } from '../core/errors';
import { type Selection } from '../core/rules';
import { type Choice } from './choice';
import { type Difference, differences, type Figures, figuresOf, type Verdicts } from './figures';
import { type Judge, type Metric } from './judge';
import { type PromptSet, type Role } from './prompts';

export const EVALUATION_SCHEMA = 'safe-lora/evaluation@1';

interface Named {
  path: string;
  name: string;
}

export interface EvaluationReport {
  schema: typeof EVALUATION_SCHEMA;
  tool: { version: string };
  /** Hashes of its weights' file and of its configuration. */
  adapter: Named & { sha256: string; config: string };
  base: Named & { headers: string };
  aligned: Named & { headers: string };
  engine: {
    kind: 'embedded';
    precision: string;
    /** Why this precision. */
    precisionReason: string;
    device: { requested: string; provider: string; fallbackReason: string | null };
    onnxruntime: string;
    /** Bytes for keys, values and hidden states, which decide how many rows go through together. */
    workspace: number;
    /** Of an answer. */
    maxTokens: number;
    decoding: 'greedy';
  };
  /** Where the chat template comes from, and the hash of all that makes a prompt's tokens. */
  chat: { template: string; system: string | null; sha256: string };
  judge: { name: string; version: string; sha256: string };
  selection: Selection;
  /** Modules that can be projected, by rising similarity: a point's count takes the first of them. */
  order: string[];
  sets: { name: string; role: Role; metric: Metric | null; sha256: string; n: number; groups: number }[];
  /** Tokens by which the aligned model's refusals begin; null where it refused none of the prompts that are scored. */
  refusalTokens: number[] | null;
  points: EvaluatedPoint[];
  paired: ({ from: number | null; to: number } & Difference)[];
  choice: Choice | null;
  notices: Notice[];
}

/** The aligned model has no count, the original adapter 0. */
export interface EvaluatedPoint extends Omit<Figures, 'degenerate' | 'cutOff'> {
  count: number | null;
  /** The lowest threshold that takes so many modules; null for none. */
  threshold: number | null;
  modules: string[];
  /** Mean of log p(R) − log(1 − p(R)) over harmful prompts, R a refusal's first token. */
  refusalScore: number | null;
  /** Mean log-probability of the references' tokens. */
  referenceScore: number | null;
  /** Null, as the figures before, where no answers were generated. */
  degenerate: Figures['degenerate'] | null;
  cutOff: Figures['cutOff'] | null;
}

/** A point as it was run: its scores, and its verdicts where answers were generated. */
export interface RunPoint {
  count: number | null;
  threshold: number | null;
  modules: string[];
  refusalScore: number | null;
  referenceScore: number | null;
  verdicts: Verdicts | null;
}

const nothing: Omit<EvaluatedPoint, keyof RunPoint> = {
  asr: null,
  overRefusal: null,
  utility: null,
  degenerate: null,
  cutOff: null,
  sets: [],
};

export function pointsOf(sets: readonly PromptSet[], points: readonly RunPoint[]): EvaluatedPoint[] {
  return points.map(({ verdicts, ...point }) => ({ ...point, ...(verdicts ? figuresOf(sets, verdicts) : nothing) }));
}

/** Each point against the original adapter, and that against the aligned model. */
export function pairsOf(sets: readonly PromptSet[], points: readonly RunPoint[]): EvaluationReport['paired'] {
  const generated = points.filter(({ verdicts }) => verdicts !== null);
  const adapter = generated.find(({ count }) => count === 0);
  if (!adapter) return [];
  const compare = (from: RunPoint, to: RunPoint): EvaluationReport['paired'] =>
    differences(sets, from.verdicts!, to.verdicts!).map((difference) => ({
      from: from.count,
      to: to.count!,
      ...difference,
    }));
  const aligned = generated.find(({ count }) => count === null);
  const projected = generated.filter(({ count }) => count !== null && count > 0);
  return [...(aligned ? compare(aligned, adapter) : []), ...projected.flatMap((point) => compare(adapter, point))];
}

export function setsOf(sets: readonly PromptSet[]): EvaluationReport['sets'] {
  return sets.map(({ name, role, metric, sha256, prompts }) => {
    // A prompt without a group is one of its own.
    const groups = new Set(prompts.map(({ group }, i) => group ?? i)).size;
    return { name, role, metric, sha256, n: prompts.length, groups };
  });
}

export function judgeName({ name, version, sha256 }: Judge): EvaluationReport['judge'] {
  return { name, version, sha256 };
}
