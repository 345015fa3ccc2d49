// The data of a comparison's three heatmaps: one adapter on the shared scale, or the difference.
import { type Side } from '../../src/page/comparison';
import { type ComparisonStrings } from '../../src/page/comparison-strings';
import { type OpenLayer } from '../heatmap/layout';
import { type ComparisonState } from './state';
import { type HeatmapSource, type Key, type Marks, type Shown } from '../heatmap/source';
import { furthest, lowest } from '../shared/measures';
import { format } from '../shared/ui';

/** Common to all three. */
export interface Actions {
  point: (modules: readonly number[], anchor: DOMRect) => void;
  leave: () => void;
  act: (module: number) => void;
  open: (layer: OpenLayer | undefined) => void;
}

abstract class ComparisonSource implements HeatmapSource {
  /** One legend explains the marks of all three. */
  readonly keys: readonly Key[] = [];
  readonly help: string;
  readonly point: Actions['point'];
  readonly leave: Actions['leave'];
  readonly act: Actions['act'];
  readonly open: Actions['open'];

  constructor(
    protected readonly state: ComparisonState,
    protected readonly strings: ComparisonStrings,
    actions: Actions,
  ) {
    this.help = strings.help;
    this.point = actions.point;
    this.leave = actions.leave;
    this.act = actions.act;
    this.open = actions.open;
  }

  abstract readonly shown: Shown;
  abstract value(modules: readonly number[]): number;
  abstract marks(module: number): Marks;

  get modules() {
    return this.state.modules;
  }

  /** All three numbers, whichever the cell shows. */
  say(modules: readonly number[]): string {
    const { strings, state } = this;
    const { name } = this.modules[modules[0]!]!;
    const { measure, values } = state;
    const text = (side: Side): string =>
      modules.some((module) => state.has(side, module))
        ? measure.text(lowest(modules.map((module) => values[side][module]!)))
        : strings.missing;
    const difference = measure.difference.text(furthest(modules.map((module) => values.difference[module]!)));
    const parts = [`${strings.sides.a} ${text('a')}`, `${strings.sides.b} ${text('b')}`];
    return `${name}: ${strings.measures[state.measureId]} ${[...parts, `${strings.difference} ${difference}`].join(', ')}`;
  }
}

export class SideSource extends ComparisonSource {
  constructor(
    state: ComparisonState,
    strings: ComparisonStrings,
    actions: Actions,
    private readonly side: Side,
  ) {
    super(state, strings, actions);
  }

  get shown(): Shown {
    const { measureId, measure, range } = this.state;
    const { scale, text } = measure;
    return {
      name: format(this.strings.sideShown, this.strings.measures[measureId], this.strings.sides[this.side]),
      definition: this.strings.definitions[measureId],
      scale,
      range,
      ends: this.strings.ends[measureId],
      text,
    };
  }

  value(modules: readonly number[]): number {
    return lowest(modules.map((module) => this.state.values[this.side][module]!));
  }

  marks(module: number): Marks {
    return {
      selected: this.state.isSelected(this.side, module),
      projected: this.state.isProjected(this.side, module),
      nearNull: this.state.isNearNull(this.side, module),
    };
  }
}

export class DifferenceSource extends ComparisonSource {
  get shown(): Shown {
    const { measureId, measure, differenceRange } = this.state;
    return {
      name: format(this.strings.differenceShown, this.strings.measures[measureId]),
      definition: this.strings.differenceDefinition,
      scale: 'diverging',
      range: differenceRange,
      ends: this.strings.differenceEnds,
      text: measure.difference.text,
    };
  }

  value(modules: readonly number[]): number {
    return furthest(modules.map((module) => this.state.values.difference[module]!));
  }

  marks(): Marks {
    return { selected: false, projected: false, nearNull: false };
  }
}
