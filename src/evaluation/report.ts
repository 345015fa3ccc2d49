// The report of an evaluation: figures by point, and everything needed to repeat it. It omits the answers, which are hazardous text.
import { type Notice } from '../core/errors';
import { type Selection } from '../core/rules';
import { choose, type Choice, type Demand } from './choice';
import { correct, type Correction, correctedAnswers } from './corrections';
import { type Difference, differences, type Figures, figuresOf, type JudgedSet, type Verdicts } from './figures';
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
  /** Hashes of its weights file and its configuration. */
  adapter: Named & { sha256: string; config: string };
  base: Named & { headers: string };
  aligned: Named & { headers: string };
  engine: {
    kind: 'embedded';
    precision: string;
    /** Why this precision was chosen. */
    precisionReason: string;
    device: { requested: string; provider: string; fallbackReason: string | null };
    onnxruntime: string;
    /** Bytes for keys, values and hidden states, which determine the rows of a batch. */
    workspace: number;
    /** Of an answer. */
    maxTokens: number;
    decoding: 'greedy';
  };
  /** The source of the chat template, and the hash of everything that defines a prompt's tokens. */
  chat: { template: string; system: string | null; sha256: string };
  judge: { name: string; version: string; sha256: string };
  selection: Selection;
  /** Modules that can be projected, by ascending similarity: a point's count selects the first of them. */
  order: string[];
  sets: { name: string; role: Role; metric: Metric | null; sha256: string; n: number; groups: number }[];
  /** First tokens of the aligned model's refusals; null if it refused none of the scored prompts. */
  refusalTokens: number[] | null;
  points: EvaluatedPoint[];
  paired: ({ from: number | null; to: number } & Difference)[];
  choice: Choice | null;
  /** Figures after corrections by hand; the figures above are the judge's. Null without corrections. */
  corrected: Corrected | null;
  notices: Notice[];
}

/** The figures of a report. */
export type Results = Pick<EvaluationReport, 'points' | 'paired' | 'choice'>;

export interface Corrected extends Results {
  corrections: Correction[];
  /** Corrected answers of all points. */
  answers: number;
}

/** Demands as given and as read. */
export interface Demands {
  text: string;
  demands: readonly Demand[];
}

/** Null for the aligned model, 0 for the original adapter. */
export interface EvaluatedPoint extends Omit<Figures, 'degenerate' | 'cutOff'> {
  count: number | null;
  /** The lowest threshold that selects so many modules; null for none. */
  threshold: number | null;
  modules: string[];
  /** Mean of log p(R) − log(1 − p(R)) over harmful prompts, R a refusal's first token. */
  refusalScore: number | null;
  /** Mean log-probability of the references' tokens. */
  referenceScore: number | null;
  /** Null, like the figures above, if no answers were generated. */
  degenerate: Figures['degenerate'] | null;
  cutOff: Figures['cutOff'] | null;
}

/** A point's results: its scores, and its verdicts if answers were generated. */
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

/** @param demands null if nothing is to be chosen */
export function resultsOf(sets: readonly JudgedSet[], points: readonly RunPoint[], demands: Demands | null): Results {
  return { points: pointsOf(sets, points), paired: pairsOf(sets, points), choice: choiceOf(sets, points, demands) };
}

/** Null without corrections. */
export function correctedResults(
  sets: readonly JudgedSet[],
  points: readonly RunPoint[],
  demands: Demands | null,
  corrections: readonly Correction[],
): Corrected | null {
  if (corrections.length === 0) return null;
  const found = correct(points, corrections);
  const answers = found.reduce((sum, { verdicts }) => sum + (verdicts ? correctedAnswers(verdicts) : 0), 0);
  return { corrections: [...corrections], answers, ...resultsOf(sets, found, demands) };
}

function choiceOf(
  sets: readonly JudgedSet[],
  points: readonly RunPoint[],
  demands: Demands | null,
): EvaluationReport['choice'] {
  if (!demands) return null;
  const candidates = points.flatMap(({ count, verdicts }) => (count !== null && verdicts ? [{ count, verdicts }] : []));
  return candidates.length === 0 ? null : choose(demands.text, demands.demands, sets, candidates);
}

function pointsOf(sets: readonly JudgedSet[], points: readonly RunPoint[]): EvaluatedPoint[] {
  return points.map(({ verdicts, ...point }) => ({ ...point, ...(verdicts ? figuresOf(sets, verdicts) : nothing) }));
}

/** Compares each point with the original adapter, and that with the aligned model. */
function pairsOf(sets: readonly JudgedSet[], points: readonly RunPoint[]): EvaluationReport['paired'] {
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
    // A prompt without a group is its own group.
    const groups = new Set(prompts.map(({ group }, i) => group ?? i)).size;
    return { name, role, metric, sha256, n: prompts.length, groups };
  });
}

export function judgeName({ name, version, sha256 }: Judge): EvaluationReport['judge'] {
  return { name, version, sha256 };
}
