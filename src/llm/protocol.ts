// Messages between the host and a language model's process. Weights are never sent: the process reads them itself.
import { type TensorInfo } from '../core/safetensors';
import { type Failed } from '../engine/question-process';
import { type Provider } from '../engine/providers';
import { type Architecture } from './architecture';
import { type Precision } from './graph';

/** A LoRA update on one of the model's matrices. */
export interface BranchTask {
  /** Such as `model.layers.0.self_attn.q_proj`. */
  module: string;
  a: TensorInfo;
  b: TensorInfo;
  /** The bytes of B projected, in its dtype; null without a projection, which leaves B unchanged. */
  projected: Uint8Array | null;
  scale: number;
}

export interface ModelTask {
  /** Its name in errors. */
  path: string;
  architecture: Architecture;
  precision: Precision;
  /** By the parameters' names. */
  parameters: ReadonlyMap<string, TensorInfo>;
  branches: readonly BranchTask[];
  /** Tensors of the adapter that replace the model's own, by the parameter's name. */
  saved: ReadonlyMap<string, TensorInfo>;
  /** Maximum length of prompt and answer together. */
  positions: number;
  provider: Provider;
  /** Bytes for computing, in addition to the weights. */
  workspace: number;
}

/** For each module in the order of the branches. */
export const gates = { off: 0, trained: 1, projected: 2 } as const;

/** One prompt under one variant of the adapter. */
export interface Row {
  tokens: readonly number[];
  /** Its variant's number. */
  variant: number;
}

export interface GenerateTask {
  /** A value of `gates` for each module; all 0 is the aligned model. */
  variants: readonly Uint8Array[];
  rows: readonly Row[];
  /** Of an answer. */
  maxTokens: number;
  stopTokens: readonly number[];
}

export interface ScoreRow extends Row {
  /** Questions about the token after `position`; at least one. */
  questions: readonly { position: number; tokens: readonly number[] }[];
}

export interface ScoreTask {
  variants: readonly Uint8Array[];
  rows: readonly ScoreRow[];
}

/** Greedy decoding of a row. */
export interface Answer {
  /** The row's number in the task. */
  row: number;
  /** Without the stop token. */
  tokens: number[];
  /** No stop token ended it. */
  isCutOff: boolean;
}

export interface Scores {
  row: number;
  /** Natural logarithms of the probabilities, per question one for each of its tokens. */
  logProbabilities: number[][];
}

export type ToModel =
  { type: 'load'; task: ModelTask } | { type: 'generate'; task: GenerateTask } | { type: 'score'; task: ScoreTask };

/** Sent as rows finish. */
export type ToldByModel = { type: 'answers'; answers: Answer[] } | { type: 'scores'; scores: Scores[] };

export interface Done {
  type: 'done';
}

export type FromModel = ToldByModel | Done | Failed;
