// What the heatmap of one adapter shows: the chosen measure, with marks for what is selected, projected or near the null level.
import { type PageStrings } from '../../src/page/adapter-strings';
import { type ModuleTooltip } from './tooltip';
import { type OpenLayer } from '../heatmap/layout';
import { type HeatmapSource, type Key, type Marks, type Shown } from '../heatmap/source';
import { isNearNull, lowest, type Measure, measures } from '../shared/measures';
import { type PageState } from './state';
import { format } from '../shared/ui';

export class AdapterHeatmapSource implements HeatmapSource {
  readonly keys: readonly Key[] = ['selected', 'projected', 'nearNull', 'pending'];

  constructor(
    private readonly state: PageState,
    private readonly strings: PageStrings,
    private readonly tooltip: ModuleTooltip,
    private readonly announce: (text: string) => void,
    readonly open: (layer: OpenLayer | undefined) => void,
  ) {}

  get modules() {
    return this.state.document?.modules ?? [];
  }

  get help(): string {
    return this.strings.heatmapHelp;
  }

  get shown(): Shown {
    const { measure } = this.state;
    const { scale, range, text } = measures[measure];
    const values = this.modules.map((_, module) => this.value([module])).filter((value) => !Number.isNaN(value));
    return {
      name: this.strings.measures[measure],
      definition: this.strings.definitions[measure],
      scale,
      range: range(values),
      text,
    };
  }

  value(modules: readonly number[]): number {
    return lowest(modules.map((module) => this.measure.value(this.state, module)));
  }

  marks(module: number): Marks {
    return {
      selected: this.state.selected.has(module),
      projected: this.state.isProjected(module),
      nearNull: isNearNull(this.state, module),
    };
  }

  say(modules: readonly number[]): string {
    const { name } = this.modules[modules[0]!]!;
    const selected = modules.some((module) => this.state.selected.has(module));
    const value = `${this.strings.measures[this.state.measure]} ${this.measure.text(this.value(modules))}`;
    return `${name}: ${value}${selected ? `, ${this.strings.legend.selected}` : ''}`;
  }

  point(modules: readonly number[], anchor: DOMRect): void {
    if (modules.length === 1) {
      this.tooltip.showModule(modules[0]!, anchor);
      return;
    }
    const selected = modules.filter((module) => this.state.selected.has(module)).length;
    const { kind, layer } = this.modules[modules[0]!]!;
    const value = this.measure.text(this.value(modules));
    const title = `${this.strings.layer} ${layer ?? this.strings.noLayer}, ${kind}: ${value}`;
    this.tooltip.showText(title, format(this.strings.expertsCell, modules.length, selected), anchor);
  }

  leave(): void {
    this.tooltip.hide();
  }

  act(module: number): void {
    this.state.toggle(module);
    this.announce(this.say([module]));
  }

  private get measure(): Measure {
    return measures[this.state.measure];
  }
}
