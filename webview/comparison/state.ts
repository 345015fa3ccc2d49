// The data of a comparison's page: both adapters' numbers, the shown measure, and its scales.
import { type ComparisonView, type Side, sides } from '../../src/page/comparison';
import { isNearNull, type Measure, type MeasureId, measures, type Numbers, type Range } from '../shared/measures';
import { numberIn } from '../../src/page/numbers';

export class ComparisonState {
  comparison: ComparisonView | undefined;
  /** Of the shown measure by module; NaN if missing. */
  values: Record<Side | 'difference', readonly number[]> = { a: [], b: [], difference: [] };
  /** Shared by both adapters. */
  range: Range = [0, 1];
  differenceRange: Range = [-1, 1];
  private selected: Record<Side, ReadonlySet<number>> = { a: new Set(), b: new Set() };
  private projected: Record<Side, ReadonlySet<number>> = { a: new Set(), b: new Set() };

  constructor(private shownMeasure: MeasureId) {}

  get modules() {
    return this.comparison?.modules ?? [];
  }

  get measureId(): MeasureId {
    return this.shownMeasure;
  }

  get measure(): Measure {
    return measures[this.shownMeasure];
  }

  setMeasure(id: MeasureId): void {
    this.shownMeasure = id;
    this.derive();
  }

  setComparison(comparison: ComparisonView): void {
    this.comparison = comparison;
    for (const side of sides) {
      const { finding } = comparison.adapters[side];
      this.selected[side] = new Set(finding?.selected);
      this.projected[side] = new Set(finding?.projected);
    }
    this.derive();
  }

  has(side: Side, module: number): boolean {
    return this.modules[module]!.has[side];
  }

  isSelected(side: Side, module: number): boolean {
    return this.selected[side].has(module);
  }

  isProjected(side: Side, module: number): boolean {
    return this.projected[side].has(module);
  }

  isNearNull(side: Side, module: number): boolean {
    return isNearNull(this.numbers(side), module);
  }

  /** A module's values of any measure, and B − A; NaN if either has none. */
  valuesOf(measure: Measure, module: number): Record<Side | 'difference', number> {
    const [a, b] = [measure.value(this.numbers('a'), module), measure.value(this.numbers('b'), module)];
    return { a, b, difference: b - a };
  }

  private numbers(side: Side): Numbers {
    const { values } = this.comparison!.adapters[side];
    return { value: (module, column) => numberIn(values, module, column) };
  }

  private derive(): void {
    const all = this.modules.map((_, module) => this.valuesOf(this.measure, module));
    this.values = { a: all.map(({ a }) => a), b: all.map(({ b }) => b), difference: all.map((of) => of.difference) };
    const known = (values: readonly number[]): number[] => values.filter((value) => !Number.isNaN(value));
    this.range = this.measure.range(known([...this.values.a, ...this.values.b]));
    this.differenceRange = this.measure.difference.range(known(this.values.difference));
  }
}
