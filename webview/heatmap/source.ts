// What a heatmap asks of whoever shows one: what its cells hold, and what happens where they are pointed at.
import { type Range, type Scale } from '../shared/measures';
import { type OpenLayer, type ModulePosition } from './layout';

/** What the cells show: its name and definition, its colours from end to end, and its figures. */
export interface Shown {
  name: string;
  definition: string;
  scale: Scale;
  range: Range;
  /** What its low and its high end mean. */
  ends: readonly [string, string];
  /** Values that are marked on the scale. */
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

/** What a heatmap draws, says and does; modules are named by their index. */
export interface HeatmapSource {
  readonly modules: readonly ModulePosition[];
  readonly shown: Shown;
  /** What the keyboard does. */
  readonly help: string;
  /** The marks that its legend explains. */
  readonly keys: readonly Key[];
  /** NaN where there is none; of the experts of a cell that of the one which stands for all. */
  value(modules: readonly number[]): number;
  marks(module: number): Marks;
  /** A cell as text. */
  say(modules: readonly number[]): string;
  /** The pointer or the focus is on a cell, or has left it. */
  point(modules: readonly number[], anchor: DOMRect): void;
  leave(): void;
  /** A click, Space or Enter on a module. */
  act(module: number): void;
  /** A layer's experts are wanted, or all layers again: answered by `show`. */
  open(layer: OpenLayer | undefined): void;
}
