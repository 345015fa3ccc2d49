// The page's data and the user's selection; everything on screen derives from them.
import { type MeasureName, type Measures, unmeasured } from '../../src/core/measure-names';
import { DEFAULT_MODE, ruleOf, select, type Selectable, type Selection, selectionBy } from '../../src/core/rules';
import {
  type AppliedView,
  type DocumentView,
  type FailureView,
  type RunView,
  type ToPage,
} from '../../src/page/adapter';
import { type AnswersView, type BehaviourView } from '../../src/page/behaviour';
import { type MeasureId, type Numbers } from '../shared/measures';
import { measuresIn } from '../../src/page/numbers';

export type Change =
  'document' | 'run' | 'measured' | 'selection' | 'applied' | 'view' | 'tab' | 'behaviour' | 'answers';

/** The page's two views. */
export type ViewName = 'weights' | 'behaviour';

/** Colour scale of similarities: from the lowest to the highest, around the threshold, or from 0 to 1. */
export const colourings = ['fit', 'threshold', 'whole'] as const;
export type Colouring = (typeof colourings)[number];

/** State that survives hiding the tab and reloading the window. */
export interface Kept {
  /** Its adapter. */
  path: string;
  draft: Selection;
  measure: MeasureId;
  colours: Colouring;
  filter: string;
  layers: string;
  view: ViewName;
}

export class PageState {
  document: DocumentView | undefined;
  failure: FailureView | undefined;
  run: RunView | undefined;
  applied: AppliedView | undefined;
  behaviour: BehaviourView | null = null;
  answers: AnswersView | null = null;
  view: ViewName = 'weights';
  draft: Selection = selectionBy(ruleOf(DEFAULT_MODE));
  measure: MeasureId = 'similarity';
  colours: Colouring = 'fit';
  /** Projected modules show their numbers after the projection. */
  showsAfter = false;
  /** The cosine over all modules together after the projection; null before measuring. */
  directionAfter: number | null = null;
  /** Of the table, by name and by layer. */
  filter = '';
  layers = '';
  /** Indices of the selected modules. */
  selected: ReadonlySet<number> = new Set();

  selectedNames: ReadonlySet<string> = new Set();

  /** Names of modules added or removed by hand. */
  byHand: ReadonlySet<string> = new Set();

  /** As input of a rule. */
  private modules: Selectable[] = [];
  /** Numbers of projected modules as they are now. */
  private after: ReadonlyMap<number, Measures> = new Map();
  private projected: ReadonlySet<string> = new Set();
  private indexOf = new Map<string, number>();
  private readonly listeners: ((change: Change) => void)[] = [];

  /** The state kept by an earlier page, possibly of an earlier version. */
  takeUp({ measure, colours, filter, layers, view }: Partial<Kept>): void {
    this.measure = measure ?? this.measure;
    this.colours = colours ?? this.colours;
    this.filter = filter ?? '';
    this.layers = layers ?? '';
    this.view = view ?? this.view;
  }

  onChange(listener: (change: Change) => void): void {
    this.listeners.push(listener);
  }

  emit(change: Change): void {
    for (const listener of this.listeners) listener(change);
  }

  setDocument(document: DocumentView, keptDraft: Selection | undefined): void {
    const isNew = this.document?.adapter.path !== document.adapter.path;
    const sameModules =
      this.document?.modules.length === document.modules.length &&
      document.modules.every((module, i) => module.name === this.document!.modules[i]!.name);
    this.document = document;
    this.failure = undefined;
    if (!sameModules) this.indexOf = new Map(document.modules.map((module, index) => [module.name, index]));
    if (isNew) this.draft = keptDraft ?? document.selection;
    this.modules = document.modules.map(({ name, selectable }, module) => ({
      ...(sameModules ? this.modules[module]! : unmeasured),
      name,
      selectable,
    }));
    this.selectAgain();
    this.emit('document');
  }

  setMeasured(fresh: boolean, indices: Uint32Array, values: Float64Array): void {
    if (fresh) this.modules = this.modules.map(({ name, selectable }) => ({ ...unmeasured, name, selectable }));
    indices.forEach((module, i) => {
      this.modules[module] = { ...this.modules[module]!, ...measuresIn(values, i) };
    });
    this.selectAgain();
    this.emit('measured');
  }

  /** If there are none, and none are being measured, the numbers before are shown. */
  setAfter({ measuring, indices, values, direction }: Extract<ToPage, { type: 'after' }>): void {
    this.after = new Map([...indices].map((module, i) => [module, measuresIn(values, i)]));
    this.directionAfter = direction;
    if (!measuring && indices.length === 0) this.showsAfter = false;
    this.emit('measured');
  }

  setApplied(applied: AppliedView): void {
    this.applied = applied;
    this.projected = new Set(applied.modules);
    if (!applied.canRestore) this.showsAfter = false;
    this.emit('applied');
  }

  setBehaviour(behaviour: BehaviourView): void {
    this.behaviour = behaviour;
    this.emit('behaviour');
  }

  setAnswers(answers: AnswersView | null): void {
    this.answers = answers;
    this.emit('answers');
  }

  setView(view: ViewName): void {
    if (view === this.view) return;
    this.view = view;
    this.emit('tab');
  }

  setDraft(draft: Selection): void {
    this.draft = draft;
    this.selectAgain();
    this.emit('selection');
  }

  /** NaN if not measured or undefined. */
  value(module: number, column: MeasureName): number {
    return this.modules[module]?.[column] ?? NaN;
  }

  /** Null if the module is not projected, or its projection is not measured. */
  valueAfter(module: number, column: MeasureName): number | null {
    const after = this.after.get(module);
    return after ? (after[column] ?? NaN) : null;
  }

  get hasAfter(): boolean {
    return this.after.size > 0;
  }

  /** Values of the heatmap, the profile and the table; the selection uses the original numbers. */
  readonly shown: Numbers = {
    value: (module, column) => (this.showsAfter ? this.valueAfter(module, column) : null) ?? this.value(module, column),
  };

  get hasNumbers(): boolean {
    return this.document?.modules.some((_, module) => !Number.isNaN(this.value(module, 'alignmentNorm'))) ?? false;
  }

  /** Adds or removes a module by hand, on top of the rule. */
  toggle(module: number): void {
    this.choose([module], !this.selected.has(module));
  }

  /** Adds or removes modules by hand; ignores those that cannot be selected. */
  choose(modules: readonly number[], wanted: boolean): void {
    const possible = modules.filter(
      (module) => this.document!.modules[module]!.selectable && !Number.isNaN(this.value(module, 'similarity')),
    );
    if (possible.length === 0) return;
    const names = new Set(possible.map((module) => this.document!.modules[module]!.name));
    const without = (listed: string[]): string[] => listed.filter((name) => !names.has(name));
    const overrides = { added: without(this.draft.overrides.added), removed: without(this.draft.overrides.removed) };
    const ruled = this.indicesOf(select(this.modules, { ...this.draft, overrides }));
    for (const module of possible) {
      if (wanted !== ruled.has(module))
        overrides[wanted ? 'added' : 'removed'].push(this.document!.modules[module]!.name);
    }
    this.setDraft({ ...this.draft, overrides });
  }

  get overrideCount(): number {
    return this.draft.overrides.added.length + this.draft.overrides.removed.length;
  }

  /** True where projecting the selection would change nothing. */
  get isApplied(): boolean {
    const names = new Set(
      this.applied?.modules.filter((name) => this.document!.modules[this.indexOf.get(name)!]?.selectable),
    );
    if (names.size !== this.selected.size) return false;
    if (![...this.selected].every((module) => names.has(this.document!.modules[module]!.name))) return false;
    return names.size === 0 || JSON.stringify(this.applied?.selection) === JSON.stringify(this.draft);
  }

  isProjected(module: number): boolean {
    return this.projected.has(this.document!.modules[module]!.name);
  }

  private selectAgain(): void {
    const { added, removed } = this.draft.overrides;
    this.byHand = new Set([...added, ...removed]);
    this.selectedNames = select(this.modules, this.draft);
    this.selected = this.indicesOf(this.selectedNames);
  }

  private indicesOf(names: ReadonlySet<string>): Set<number> {
    return new Set([...names].map((name) => this.indexOf.get(name)!));
  }
}
