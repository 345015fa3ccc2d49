// What the page shows of an evaluation: figures by the number of projected modules, and on request the answers.
import { type Notice } from '../core/errors';
import { type Choice } from '../evaluation/choice';
import { type Judgement } from '../evaluation/corrections';
import { type ModelFigures } from '../evaluation/model-judge';
import { type EvaluatedPoint, type EvaluationReport } from '../evaluation/report';
import { type ErrorView } from './error-view';

/** A point with its figures, after corrections. */
export interface PointView extends Omit<EvaluatedPoint, 'modules'> {
  /** Answers whose judgement was corrected by hand. */
  corrected: number;
}

/** Why figures may not hold any more: what changed since they were measured. */
export type StaleReason = 'adapter' | 'models' | 'prompts' | 'template';

export interface BehaviourProgress {
  stage: 'measuring' | 'fetching' | 'loading' | 'prompts' | 'scores' | 'answers';
  /** Both 0 where unknown. */
  done: number;
  total: number;
  /** Null where unknown. */
  secondsLeft: number | null;
}

export interface BehaviourResults {
  points: PointView[];
  /** Modules that can be projected, by ascending similarity: a point's count takes the first of them. */
  order: string[];
  sets: Pick<EvaluationReport['sets'][number], 'name' | 'role' | 'metric' | 'n'>[];
  /** Null while running. */
  judge: { name: string; version: string } | null;
  engine: { precision: string; provider: string; maxTokens: number } | null;
  /** Answers of all points whose judgement was corrected by hand. */
  corrected: number;
  choice: Choice | null;
  modelJudge: ModelFigures | null;
  notices: Notice[];
}

export interface BehaviourView {
  /** `none`: never evaluated. */
  state: 'none' | 'running' | 'cancelled' | 'failed' | 'done';
  progress: BehaviourProgress | null;
  error: ErrorView | null;
  /** Empty where the figures hold. */
  stale: StaleReason[];
  /** While running, the results so far. */
  results: BehaviourResults | null;
  /** `gone`: an earlier window's, which kept the figures only. */
  answers: 'none' | 'gone' | 'hidden' | 'shown';
  /** A language model can be asked to judge. */
  canAskModel: boolean;
}

/** Null where a point has no such answer. */
export interface AnswerView {
  /** Null where this window did not receive the text. */
  text: string | null;
  sha256: string;
  judgement: Judgement;
  /** The judge's own judgement. */
  judged: Judgement;
  cutOff: boolean;
  /** By the set's metric. */
  utility: number | null;
}

export interface AnswerRow {
  set: number;
  prompt: number;
  question: string;
  reference: string | null;
  aligned: AnswerView | null;
  adapter: AnswerView | null;
  chosen: AnswerView | null;
}

/** All prompts' answers of three points: the aligned model, the original adapter, and a chosen one. */
export interface AnswersView {
  /** The chosen point's number of projected modules. */
  count: number;
  rows: AnswerRow[];
}
