// The data of an adapter's heatmap: the chosen measure, with marks for selected, projected and chance-level modules.
import { levelOf } from '../../src/core/rules';
import { type PageStrings } from '../../src/page/adapter-strings';
import { type ModuleDetails } from './details';
import { type OpenLayer } from '../heatmap/layout';
import { type HeatmapSource, type Key, type Level, type Marks, type Shown } from '../heatmap/source';
import { isNearNull, lowest, type Measure, measures, type Range } from '../shared/measures';
import { type PageState } from './state';

export class AdapterHeatmapSource implements HeatmapSource {
  constructor(
    private readonly state: PageState,
    private readonly strings: PageStrings,
    private readonly details: ModuleDetails,
    private readonly announce: (text: string) => void,
    readonly open: (layer: OpenLayer | undefined) => void,
  ) {}

  get modules() {
    return this.state.document?.modules ?? [];
  }

  get keys(): readonly Key[] {
    const hasExperts = this.modules.some(({ expert }) => expert !== null);
    return ['selected', ...(hasExperts ? (['some'] as const) : []), 'projected', 'nearNull', 'pending'];
  }

  get help(): string {
    return this.strings.heatmapHelp;
  }

  get shown(): Shown {
    const { measure } = this.state;
    const { text } = measures[measure];
    return {
      name: this.strings.measures[measure],
      definition: this.strings.definitions[measure],
      ...this.colours(),
      ends: this.strings.ends[measure],
      levels: this.levels(),
      text,
    };
  }

  value(modules: readonly number[]): number {
    return lowest(modules.map((module) => this.measure.value(this.state.shown, module)));
  }

  marks(module: number): Marks {
    return {
      selected: this.state.selected.has(module),
      projected: this.state.isProjected(module),
      nearNull: isNearNull(this.state.shown, module),
    };
  }

  say(modules: readonly number[]): string {
    const { name } = this.modules[modules[0]!]!;
    const { legend } = this.strings;
    const marks = modules.map((module) => this.marks(module));
    return [
      `${name}: ${this.strings.measures[this.state.measure]} ${this.measure.text(this.value(modules))}`,
      ...(marks.some(({ selected }) => selected) ? [legend.selected] : []),
      ...(marks.some(({ projected }) => projected) ? [legend.projected] : []),
      ...(marks.length === 1 && marks[0]!.nearNull ? [legend.nearNull] : []),
    ].join(', ');
  }

  point(modules: readonly number[]): void {
    this.details.show(modules);
  }

  /** The panel keeps the last module pointed at, so that it can be read. */
  leave(): void {
    return;
  }

  act(module: number): void {
    this.state.toggle(module);
    this.announce(this.say([module]));
  }

  private get measure(): Measure {
    return measures[this.state.measure];
  }

  /** The chosen scale for similarities; other measures have one scale. */
  private colours(): { scale: Shown['scale']; range: Range } {
    const { measure, colours } = this.state;
    const { scale, range } = measures[measure];
    const values = this.modules.map((_, module) => this.value([module])).filter((value) => !Number.isNaN(value));
    const level = levelOf(this.state.draft);
    if (measure === 'similarity' && colours === 'whole') return { scale, range: [0, 1] };
    if (measure !== 'similarity' || colours === 'fit' || level === null) return { scale, range: range(values) };
    const reach = Math.max(...values.map((value) => Math.abs(value - level)), 0.05);
    return { scale: 'diverging', range: [level - reach, level + reach] };
  }

  private levels(): Level[] {
    if (this.state.measure !== 'similarity') return [];
    const level = levelOf(this.state.draft);
    const chance = this.modules
      .map((_, module) => this.state.shown.value(module, 'nullSimilarity'))
      .filter((value) => !Number.isNaN(value));
    const mean = chance.reduce((sum, value) => sum + value, 0) / chance.length;
    return [
      ...(level === null ? [] : [{ value: level, label: 'τ' }]),
      ...(chance.length === 0 ? [] : [{ value: mean, label: this.strings.chanceMark }]),
    ];
  }
}
