// The tooltip beside a cell of a comparison: both adapters' numbers of one module, and the differences.
import { sides } from '../../src/page/comparison';
import { type ComparisonStrings } from '../../src/page/comparison-strings';
import { Tooltip, MARGIN, type Size } from '../shared/tooltip';
import { type ComparisonState } from './state';
import { measureIds, measures } from '../shared/measures';
import { element } from '../shared/ui';

export class ComparisonTooltip extends Tooltip {
  constructor(
    private readonly state: ComparisonState,
    private readonly strings: ComparisonStrings,
  ) {
    super();
  }

  showModule(module: number, anchor: DOMRect): void {
    const { strings, state } = this;
    const head = [strings.sides.a, strings.sides.b, strings.difference].map((text) => element('th', {}, text));
    const rows = measureIds.map((id) => {
      const { text, difference } = measures[id];
      const values = state.valuesOf(measures[id], module);
      const figures = [text(values.a), text(values.b), difference.text(values.difference)];
      const cells = figures.map((figure) => element('td', { class: 'number' }, figure));
      return element(
        'tr',
        { class: id === state.measureId ? 'shown' : undefined },
        element('td', {}, strings.measures[id]),
        ...cells,
      );
    });
    const missing = sides
      .filter((side) => state.comparison!.adapters[side].finding && !state.has(side, module))
      .map((side) => element('div', { class: 'definition' }, strings.missingIn[side]));
    this.showBeside(anchor, [
      element('strong', {}, state.modules[module]!.name),
      ...missing,
      element('table', {}, element('tr', {}, element('td'), ...head), ...rows),
      element('div', { class: 'definition' }, strings.definitions[state.measureId]),
    ]);
  }

  /** Below the cell or above it: beside it, it would hide the other heatmaps. */
  protected override corner(anchor: DOMRect, { height }: Size): { left: number; top: number } {
    const below = anchor.bottom + MARGIN;
    return { left: anchor.left, top: below + height <= innerHeight ? below : anchor.top - height - MARGIN };
  }
}
