// The tooltip beside a cell of a comparison: both adapters' numbers of one module, and the differences.
import { sides } from '../../src/page/comparison';
import { type ComparisonStrings } from '../../src/page/comparison-strings';
import { type ComparisonState } from './state';
import { measureIds, measures } from '../shared/measures';
import { element, show } from '../shared/ui';

/** From the window's edges, and from the cell. */
const MARGIN = 8;

export class ComparisonTooltip {
  readonly root = element('div', { class: 'tooltip', role: 'tooltip', hidden: true });

  constructor(
    private readonly state: ComparisonState,
    private readonly strings: ComparisonStrings,
  ) {}

  showText(title: string, text: string, anchor: DOMRect): void {
    this.showAt(anchor, [element('strong', {}, title), element('div', { class: 'definition' }, text)]);
  }

  hide(): void {
    show(this.root, false);
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
    this.showAt(anchor, [
      element('strong', {}, state.modules[module]!.name),
      ...missing,
      element('table', {}, element('tr', {}, element('td'), ...head), ...rows),
      element('div', { class: 'definition' }, strings.definitions[state.measureId]),
    ]);
  }

  /** Below or above the cell: beside it, it would hide the other heatmaps. Always within the window. */
  private showAt(anchor: DOMRect, content: Node[]): void {
    this.root.replaceChildren(...content);
    show(this.root, true);
    const { offsetWidth: width, offsetHeight: height } = this.root;
    const below = anchor.bottom + MARGIN;
    const top = below + height <= innerHeight ? below : anchor.top - height - MARGIN;
    this.root.style.left = `${Math.max(MARGIN, Math.min(anchor.left, innerWidth - width - MARGIN))}px`;
    this.root.style.top = `${Math.max(MARGIN, Math.min(top, innerHeight - height - MARGIN))}px`;
  }
}
