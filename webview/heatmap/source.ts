// The interface between a heatmap and its owner: the contents of cells, and the handlers of pointing and clicking.
import { type Range, type Scale } from '../shared/measures';
import { type OpenLayer, type ModulePosition } from './layout';

/** The shown measure: its name and definition, its colours from end to end, and its number format. */
export interface Shown {
  name: string;
  definition: string;
  scale: Scale;
  range: Range;
  /** The meaning of its low and its high end. */
  ends: readonly [string, string];
  /** Values marked on the scale. */
  levels?: readonly Level[];
  text: (value: number) => string;
}

export interface Level {
  value: number;
  label: string;
}

export interface Marks {
  selected: boolean;
  projected: boolean;
  nearNull: boolean;
}

/** `some`: some of a cell's experts are selected. */
export type Key = keyof Marks | 'some' | 'pending';

/** A heatmap's data, texts and actions; modules are identified by index. */
export interface HeatmapSource {
  readonly modules: readonly ModulePosition[];
  readonly shown: Shown;
  /** Help for the keyboard. */
  readonly help: string;
  /** The marks in its legend. */
  readonly keys: readonly Key[];
  /** NaN if missing; for a cell with experts, the value of its representative. */
  value(modules: readonly number[]): number;
  marks(module: number): Marks;
  /** A cell as text. */
  say(modules: readonly number[]): string;
  /** The pointer or the focus moved to a cell, or left it. */
  point(modules: readonly number[], anchor: DOMRect): void;
  leave(): void;
  /** A click, Space or Enter on a module. */
  act(module: number): void;
  /** Requests a layer's experts, or all layers again: answered by `show`. */
  open(layer: OpenLayer | undefined): void;
}
