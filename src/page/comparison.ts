// Every message between the host and the page of a comparison. The page says `ready` before the host sends.
import { type Position } from '../core/naming';
import { type Selection } from '../core/rules';
import { type ModelView } from './adapter';
import { type ComparisonStrings } from './comparison-strings';

export const sides = ['a', 'b'] as const;
export type Side = (typeof sides)[number];

export interface ComparedModuleView extends Position {
  name: string;
  /** Which of the two adapters have it. */
  has: Record<Side, boolean>;
}

export interface ComparedAdapterView {
  name: string;
  /** In the workspace. */
  path: string;
  /** `stale`: measured, and the adapter or a model has changed since. */
  state: 'uninspected' | 'inspected' | 'stale' | 'unreadable';
  /** What changed, of a stale one. */
  changed: 'adapter' | 'models' | null;
  problem: string | null;
  /** Null where there are no numbers, or none that hold. */
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
  /** A row of `measureNames.length` numbers for each module; NaN where one is not defined. */
  values: Float64Array;
}

export interface ComparisonView {
  modules: ComparedModuleView[];
  adapters: Record<Side, ComparedAdapterView>;
  /** Both were measured on the same two models. */
  sameModels: boolean;
}

export type ToComparison =
  /** `language`: as for the page of an adapter. */
  | { type: 'strings'; strings: ComparisonStrings; language: string }
  | { type: 'comparison'; comparison: ComparisonView };

export type FromComparison =
  | { type: 'ready' }
  /** Opens the adapter's own editor. */
  | { type: 'open'; side: Side }
  | { type: 'inspect'; side: Side };
