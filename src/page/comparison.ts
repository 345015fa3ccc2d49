// Messages between the host and a comparison's page. The page sends `ready` before the host sends.
import { type Position } from '../core/naming';
import { type Selection } from '../core/rules';
import { type ModelView } from './adapter';
import { type BehaviourResults, type StaleReason } from './behaviour';
import { type ComparisonStrings } from './comparison-strings';

export const sides = ['a', 'b'] as const;
export type Side = (typeof sides)[number];

export interface ComparedModuleView extends Position {
  name: string;
  /** Which of the two adapters has it. */
  has: Record<Side, boolean>;
}

export interface ComparedAdapterView {
  name: string;
  /** Relative to the workspace. */
  path: string;
  /** `stale`: measured, but the adapter or a model has changed since. */
  state: 'uninspected' | 'inspected' | 'stale' | 'unreadable';
  /** What changed, if stale. */
  changed: 'adapter' | 'models' | null;
  problem: string | null;
  /** Null if there are no valid numbers. */
  finding: {
    base: ModelView;
    aligned: ModelView;
    selection: Selection;
    modules: number;
    /** The cosine over all modules together. */
    direction: number | null;
    /** Indices of modules. */
    selected: number[];
    projected: number[];
  } | null;
  /** How the model behaves with it; null if that was not measured. */
  behaviour: { results: BehaviourResults; stale: StaleReason[] } | null;
  /** A row of `measureNames.length` numbers for each module; NaN if undefined. */
  values: Float64Array;
}

export interface ComparisonView {
  modules: ComparedModuleView[];
  adapters: Record<Side, ComparedAdapterView>;
  /** Both were measured with the same two models. */
  sameModels: boolean;
  /** Both were evaluated on the same prompts, by the same judge, with answers of the same length. */
  samePrompts: boolean;
}

export type ToComparison =
  /** `language`: as for an adapter's page. */
  | { type: 'strings'; strings: ComparisonStrings; language: string }
  | { type: 'comparison'; comparison: ComparisonView };

export type FromComparison =
  | { type: 'ready' }
  /** Opens the adapter's own editor. */
  | { type: 'open'; side: Side }
  | { type: 'inspect'; side: Side };
