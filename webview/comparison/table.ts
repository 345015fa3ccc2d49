// Every module of a comparison as a row: the texts and numbers behind the three heatmaps' colours and marks.
import { type Side, sides } from '../../src/page/comparison';
import { type ComparisonStrings } from '../../src/page/comparison-strings';
import { type ComparisonState } from './state';
import { compareKeys, markSorted, nextSort, type Sort } from '../shared/sorting';
import { element, format, setLabel, setText, setTitle } from '../shared/ui';

const columns = ['module', 'a', 'b', 'difference'] as const;
type Column = (typeof columns)[number];

export class ComparisonTable {
  readonly root: HTMLElement;
  private readonly head = element('tr');
  private readonly body = element('tbody');
  private readonly table = element('table', {}, element('thead', {}, this.head), this.body);
  private readonly titles: Record<Column, HTMLElement>;
  private rows: HTMLTableRowElement[] = [];
  private sort: Sort | null = null;

  constructor(
    private readonly state: ComparisonState,
    private readonly strings: ComparisonStrings,
  ) {
    const title = (column: Column): HTMLElement => this.headCell(column);
    this.titles = { module: title('module'), a: title('a'), b: title('b'), difference: title('difference') };
    this.head.append(...columns.map((column) => this.titles[column]));
    const box = element(
      'div',
      { class: 'table-box', tabindex: 0, role: 'region', 'aria-label': strings.modules },
      this.table,
    );
    this.root = element('section', { class: 'modules' }, element('h2', {}, strings.modules), box);
  }

  /** The modules or adapters changed. */
  rebuild(): void {
    const { comparison, modules } = this.state;
    for (const side of sides) {
      const button = this.titles[side].firstElementChild!;
      const name = `${this.strings.sides[side]} · ${comparison!.adapters[side].name}`;
      button.replaceChildren(element('span', { class: 'name' }, name));
      setTitle(button, name);
    }
    this.rows = modules.map(({ name }) =>
      element(
        'tr',
        { tabindex: -1, 'data-module': name },
        element('th', { scope: 'row' }, name),
        ...columns.slice(1).map((column) => element('td', { class: 'number', 'data-column': column })),
      ),
    );
    this.update();
  }

  /** The measure changed. */
  update(): void {
    const { measure, measureId, values } = this.state;
    setLabel(this.table, format(this.strings.table, this.strings.measures[measureId]));
    this.rows.forEach((row, module) => {
      const [, a, b, difference] = row.cells;
      a!.replaceChildren(...this.sideText('a', module));
      b!.replaceChildren(...this.sideText('b', module));
      setText(difference!, measure.difference.text(values.difference[module]!));
    });
    this.arrange();
  }

  focus(module: number): void {
    const row = this.rows[module]!;
    row.focus({ preventScroll: true });
    row.scrollIntoView({ block: 'center' });
  }

  private sideText(side: Side, module: number): (Node | string)[] {
    const { state, strings } = this;
    if (!state.has(side, module)) return [element('span', { class: 'note' }, strings.missing)];
    const notes = [
      state.isSelected(side, module) && strings.legend.selected,
      state.isProjected(side, module) && strings.legend.projected,
      state.isNearNull(side, module) && strings.nearNullNote,
    ].filter((note) => note !== false);
    return [
      element('span', { class: 'note' }, notes.join(' · ')),
      ' ',
      state.measure.text(state.values[side][module]!),
    ];
  }

  private headCell(column: Column): HTMLElement {
    const numeric = column !== 'module';
    const label = numeric ? this.strings.difference : this.strings.module;
    const definition = column === 'difference' ? this.strings.differenceDefinition : undefined;
    const sorter = element('button', { type: 'button', title: definition }, label);
    sorter.addEventListener('click', () => {
      this.sort = nextSort(this.sort, column);
      this.arrange();
    });
    return element('th', { scope: 'col', class: numeric ? 'number' : undefined, 'data-column': column }, sorter);
  }

  private arrange(): void {
    const order = [...this.rows.keys()];
    const { sort } = this;
    if (sort) order.sort((a, b) => compareKeys(this.key(a, sort), this.key(b, sort), sort.descending) || a - b);
    markSorted(this.head, sort);
    this.body.replaceChildren(...order.map((module) => this.rows[module]!));
  }

  private key(module: number, { column }: Sort): number | string | null {
    if (column === 'module') return this.state.modules[module]!.name;
    const value = this.state.values[column as Exclude<Column, 'module'>][module]!;
    return Number.isNaN(value) ? null : value;
  }
}
