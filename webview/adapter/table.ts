// Every module as a row: sorted, filtered, usable from the keyboard. The numbers behind the heatmap's colours.
import { decimal, percent, signed, UNDEFINED } from '../../src/core/text';
import { type MeasureName } from '../../src/core/measure-names';
import { type ModuleView } from '../../src/page/adapter';
import { type PageStrings } from '../../src/page/adapter-strings';
import { magnitude } from '../shared/measures';
import { type PageState } from './state';
import { compareKeys, markSorted, nextSort, type Sort } from '../shared/sorting';
import { layerFilter, nameFilter } from './filter';
import { type Button, button, checkbox, element, setText, show, type TextField, textField } from '../shared/ui';

/** The selection's column comes first, since a narrow tab shows only the first ones. */
const SELECTED = 0;

interface Column {
  id: string;
  title: string;
  definition?: string;
  text: (module: number) => string;
  /** The sort key; null sorts last. */
  key: (module: number) => number | string | null;
  numeric?: boolean;
}

export interface TablePorts {
  /** A row has the focus. */
  point: (modules: readonly number[]) => void;
  announce: (text: string) => void;
  copy: (text: string) => void;
}

export class ModuleTable {
  readonly root: HTMLElement;
  private readonly head = element('tr', { role: 'row' });
  private readonly body = element('tbody', { role: 'rowgroup' });
  private readonly empty = element('p', { class: 'empty', hidden: true });
  private readonly filterField;
  private readonly layersField;
  private readonly only;
  private columns: Column[] = [];
  private rows: HTMLTableRowElement[] = [];
  private order: number[] = [];
  private sort: Sort | null = null;
  private selectedOnly = false;
  private current = 0;

  constructor(
    private readonly state: PageState,
    private readonly strings: PageStrings,
    private readonly ports: TablePorts,
  ) {
    this.filterField = this.filterBy('filter', strings.filter, 30);
    this.layersField = this.filterBy('layers', strings.filterLayers, 16);
    const choose = (label: string, wanted: boolean): Button =>
      button(label, () => {
        this.state.choose(this.order, wanted);
      });
    const bulk = [choose(strings.selectShown, true), choose(strings.deselectShown, false)];
    this.only = checkbox(strings.selectedOnly, (checked) => {
      this.selectedOnly = checked;
      this.arrange();
    });
    const table = element(
      'table',
      { role: 'grid', 'aria-label': strings.table, 'aria-multiselectable': 'true' },
      element('thead', { role: 'rowgroup' }, this.head),
      this.body,
    );
    setText(this.empty, strings.noMatch);
    this.root = element(
      'section',
      { class: 'modules', 'aria-label': strings.modules },
      element(
        'div',
        { class: 'modules-head' },
        element('h2', {}, strings.modules),
        this.filterField,
        this.layersField,
        this.only,
        ...bulk,
      ),
      element('div', { class: 'table-box' }, table, this.empty),
    );
    this.body.addEventListener('keydown', (event) => {
      const copies = (event.ctrlKey || event.metaKey) && event.key === 'c' && String(getSelection()) === '';
      if (copies ? this.copyRow() : this.key(event.key)) event.preventDefault();
    });
  }

  /** The adapter changed: rebuilds rows and columns. */
  rebuild(): void {
    const modules = this.state.document?.modules ?? [];
    this.filterField.value = this.state.filter;
    this.layersField.value = this.state.layers;
    this.columns = this.makeColumns();
    this.head.replaceChildren(...this.columns.map((column) => this.headCell(column)));
    this.rows = modules.map((_, module) => this.makeRow(module));
    this.update();
  }

  /** The values changed. */
  update(): void {
    this.rows.forEach((row, module) => {
      this.columns.forEach((column, index) => {
        const cell = row.cells[index]!;
        const text = column.text(module);
        if (cell.textContent !== text) setText(cell, text);
      });
    });
    this.remark();
    this.arrange();
  }

  /** The selection changed: updates the rows in it, and the text of that cell. */
  remark(): void {
    this.rows.forEach((row, module) => {
      const selected = String(this.state.selected.has(module));
      const text = this.columns[SELECTED]!.text(module);
      if (row.getAttribute('aria-selected') !== selected) row.setAttribute('aria-selected', selected);
      if (row.cells[SELECTED]!.textContent !== text) setText(row.cells[SELECTED]!, text);
    });
    if (this.selectedOnly || this.sort?.column === 'selected') this.arrange();
  }

  private makeColumns(): Column[] {
    const { names, definitions } = this.strings;
    const modules = this.state.document!.modules;
    const number = (id: MeasureName, text: (value: number) => string): Column => ({
      id,
      title: names[id as keyof typeof names],
      definition: definitions[id as keyof typeof definitions],
      numeric: true,
      text: (module) => text(this.state.shown.value(module, id)),
      key: (module) => {
        const value = this.state.shown.value(module, id);
        return Number.isNaN(value) ? null : value;
      },
    });
    const stacked = modules.some(({ stack }) => stack !== null);
    const withExperts = modules.some(({ expert }) => expert !== null);
    const nullLevel = number('nullSimilarity', decimal);
    return [
      {
        id: 'selected',
        title: this.strings.selectedColumn,
        text: (module) => this.selectedText(module),
        key: (module) => (this.state.selected.has(module) ? 0 : 1),
      },
      ...(stacked
        ? [
            {
              id: 'stack',
              title: this.strings.stack,
              text: (module: number) => modules[module]!.stack ?? '',
              key: (module: number) => modules[module]!.stack,
            },
          ]
        : []),
      {
        id: 'layer',
        title: this.strings.layer,
        numeric: true,
        text: (module) => String(modules[module]!.layer ?? UNDEFINED),
        key: (module) => modules[module]!.layer,
      },
      {
        id: 'kind',
        title: this.strings.kind,
        text: (module) => modules[module]!.kind,
        key: (module) => modules[module]!.kind,
      },
      ...(withExperts
        ? [
            {
              id: 'expert',
              title: this.strings.expert,
              numeric: true,
              text: (module: number) => String(modules[module]!.expert ?? ''),
              key: (module: number) => modules[module]!.expert,
            },
          ]
        : []),
      number('similarity', decimal),
      {
        ...nullLevel,
        text: (module) => {
          const text = nullLevel.text(module);
          return text === UNDEFINED ? text : `${text} ±${decimal(this.state.shown.value(module, 'nullSpread'))}`;
        },
      },
      number('direction', signed),
      number('gain', percent),
      number('updateNorm', magnitude),
      number('alignmentNorm', magnitude),
    ];
  }

  private selectedText(module: number): string {
    const { name, selectable } = this.state.document!.modules[module]!;
    return [
      this.state.selected.has(module) ? `✓ ${this.strings.yes}` : '',
      this.state.byHand.has(name) ? this.strings.byHandMark : '',
      selectable ? (this.state.isProjected(module) ? this.strings.projectedMark : '') : this.strings.originalGone,
    ]
      .filter(Boolean)
      .join(' · ');
  }

  private headCell(column: Column): HTMLElement {
    const sorter = element('button', { type: 'button', title: column.definition }, column.title);
    const cell = element(
      'th',
      { scope: 'col', role: 'columnheader', class: column.numeric ? 'number' : undefined, 'data-column': column.id },
      sorter,
    );
    sorter.addEventListener('click', () => {
      this.sort = nextSort(this.sort, column.id);
      this.arrange();
    });
    return cell;
  }

  private makeRow(module: number): HTMLTableRowElement {
    const { name } = this.state.document!.modules[module]!;
    const cells = this.columns.map((column) =>
      element('td', { role: 'gridcell', class: column.numeric ? 'number' : undefined }),
    );
    const row = element('tr', { role: 'row', tabindex: -1, 'data-module': name, title: name }, ...cells);
    row.addEventListener('click', () => {
      this.focus(this.order.indexOf(module));
    });
    row.addEventListener('dblclick', () => {
      this.toggle(module);
    });
    return row;
  }

  /** Sorts and filters rows; a moved row keeps the focus, a removed one passes it to its neighbour. */
  private arrange(): void {
    const focusedRow = this.rows.findIndex((row) => row === document.activeElement);
    const focused = focusedRow < 0 ? null : focusedRow;
    const modules = this.state.document?.modules ?? [];
    const byName = nameFilter(this.state.filter);
    const byLayer = layerFilter(this.state.layers);
    this.filterField.setAttribute('aria-invalid', String(byName === null));
    this.layersField.setAttribute('aria-invalid', String(byLayer === null));
    const matches = (module: ModuleView): boolean => (byName?.(module) ?? false) && (byLayer?.(module) ?? false);
    const shown = modules.flatMap((view, module) =>
      matches(view) && (!this.selectedOnly || this.state.selected.has(module)) ? [module] : [],
    );
    const column = this.columns.find(({ id }) => id === this.sort?.column);
    if (column) shown.sort((a, b) => compareKeys(column.key(a), column.key(b), this.sort!.descending) || a - b);
    markSorted(this.head, this.sort);
    const same =
      shown.length === this.order.length &&
      shown.every((module, i) => module === this.order[i]) &&
      this.body.childElementCount === shown.length;
    this.order = shown;
    if (!same || this.rows[shown[0] ?? 0] !== this.body.firstElementChild)
      this.body.replaceChildren(...shown.map((module) => this.rows[module]!));
    show(this.empty, shown.length === 0 && modules.length > 0);
    const current = focused === null ? -1 : shown.indexOf(focused);
    if (current >= 0) this.current = current;
    this.rove(Math.min(this.current, Math.max(0, shown.length - 1)));
    const next = this.order[this.current];
    if (focused !== null && next !== undefined) this.rows[next]!.focus();
  }

  /** Scrolls to a module's row, with the focus and its details; clears a filter that hides it. */
  reveal(name: string): void {
    const module = this.state.document?.modules.findIndex((candidate) => candidate.name === name) ?? -1;
    if (module < 0) return;
    if (!this.order.includes(module)) {
      this.state.filter = '';
      this.state.layers = '';
      this.filterField.value = '';
      this.layersField.value = '';
      this.selectedOnly = false;
      this.only.checked = false;
      this.arrange();
      this.state.emit('view');
    }
    this.focus(this.order.indexOf(module));
    this.rows[module]!.scrollIntoView({ block: 'center' });
  }

  /** Only one row is in the tab order. */
  private rove(position: number): void {
    for (const row of this.body.querySelectorAll('tr[tabindex="0"]')) row.setAttribute('tabindex', '-1');
    this.current = position;
    const module = this.order[position];
    if (module !== undefined) this.rows[module]!.setAttribute('tabindex', '0');
  }

  private focus(position: number): void {
    const at = Math.min(Math.max(position, 0), this.order.length - 1);
    if (at < 0) return;
    this.rove(at);
    const module = this.order[at]!;
    const row = this.rows[module]!;
    this.ports.point([module]);
    row.focus();
    row.scrollIntoView({ block: 'nearest' });
  }

  private key(key: string): boolean {
    const page = 10;
    const steps: Record<string, number> = {
      ArrowUp: -1,
      ArrowDown: 1,
      PageUp: -page,
      PageDown: page,
      Home: -Infinity,
      End: Infinity,
    };
    const module = this.order[this.current];
    if (key in steps) this.focus(this.current + steps[key]!);
    else if (key === ' ' && module !== undefined) this.toggle(module);
    else return false;
    return true;
  }

  private filterBy(kept: 'filter' | 'layers', label: string, size: number): TextField {
    return textField(
      label,
      (text) => {
        this.state[kept] = text;
        this.arrange();
        this.state.emit('view');
      },
      { placeholder: label, size },
    );
  }

  /** The focused row, with its name and the column titles, as spreadsheet cells. */
  private copyRow(): boolean {
    const module = this.order[this.current];
    if (module === undefined) return false;
    const titles = this.columns.map(({ title }) => title);
    const texts = this.columns.map((column) => column.text(module));
    const { name } = this.state.document!.modules[module]!;
    this.ports.copy(
      [
        [this.strings.moduleColumn, ...titles],
        [name, ...texts],
      ]
        .map((cells) => cells.join('\t'))
        .join('\n'),
    );
    return true;
  }

  private toggle(module: number): void {
    this.state.toggle(module);
    const { announce } = this.strings;
    const text = this.state.selected.has(module) ? announce.selected : announce.deselected;
    this.ports.announce(text.replace('{0}', this.state.document!.modules[module]!.name));
  }
}
