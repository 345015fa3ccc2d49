// The shown answers: filters, and rows in pages so that many prompts stay fast.
import { type Correction } from '../../src/evaluation/corrections';
import { type PageStrings } from '../../src/page/adapter-strings';
import { type AnswerRow, type AnswersView } from '../../src/page/behaviour';
import { button, dropdown, element, format, setText, show, textField } from '../shared/ui';
import { type AnswerFilter, answerFilters, shownRows, type Wanted } from './answer-filter';
import { answerRow, type RowPorts } from './answer-row';

const PAGE = 50;
const ALL_SETS = '';

/** A row on the page, and the data that it shows. */
interface Made {
  data: string;
  root: HTMLElement;
}

export class AnswerList {
  readonly root: HTMLElement;
  private readonly filters = element('div', { class: 'answers-filters' });
  private readonly sum = element('span', { class: 'definition', 'aria-live': 'polite' });
  private readonly heads = element('div', { class: 'answer-heads', 'aria-hidden': 'true' });
  private readonly rows = element('ol', { class: 'answer-rows' });
  private readonly empty = element('p', { class: 'empty' });
  private readonly more;
  private wanted: Wanted = { filter: 'all', set: null, search: '' };
  private limit = PAGE;
  private view: AnswersView | null = null;
  private setNames: readonly string[] = [];
  private columns: RowPorts['columns'] = ['', '', ''];
  private made = new Map<string, Made>();

  constructor(
    private readonly strings: PageStrings,
    private readonly correct: (correction: Correction) => void,
  ) {
    const { answers } = strings.behaviour;
    this.more = button(format(answers.more, PAGE), () => {
      this.limit += PAGE;
      this.draw();
    });
    setText(this.empty, answers.none);
    this.root = element('div', { class: 'answer-list' }, this.filters, this.heads, this.rows, this.empty, this.more);
  }

  update(view: AnswersView, setNames: readonly string[], columns: RowPorts['columns']): void {
    if (!this.view || setNames.join('\n') !== this.setNames.join('\n')) this.makeFilters(setNames);
    this.view = view;
    this.setNames = setNames;
    this.columns = columns;
    this.heads.replaceChildren(...columns.map((column) => element('span', {}, column)));
    this.draw();
  }

  private makeFilters(setNames: readonly string[]): void {
    const { answers } = this.strings.behaviour;
    const want = (change: Partial<Wanted>): void => {
      this.wanted = { ...this.wanted, ...change };
      this.limit = PAGE;
      this.draw();
    };
    this.wanted = { filter: 'all', set: null, search: '' };
    const kinds = answerFilters.map((id) => ({ value: id, label: answers.filters[id] }));
    const sets = setNames.map((name, set) => ({ value: String(set), label: name }));
    this.filters.replaceChildren(
      dropdown(answers.filter, kinds, (value) => want({ filter: value as AnswerFilter })),
      ...(sets.length > 1
        ? [
            dropdown(answers.set, [{ value: ALL_SETS, label: answers.allSets }, ...sets], (value) =>
              want({ set: value === ALL_SETS ? null : Number(value) }),
            ),
          ]
        : []),
      textField(answers.search, (search) => want({ search }), { placeholder: answers.search, size: 30 }),
      this.sum,
    );
  }

  private draw(): void {
    if (!this.view) return;
    const { answers } = this.strings.behaviour;
    const found = shownRows(this.view.rows, this.wanted);
    setText(this.sum, format(answers.sum, found.length, this.view.rows.length));
    show(this.empty, found.length === 0);
    show(this.more, found.length > this.limit);
    this.place(found.slice(0, this.limit));
  }

  /** Rows that show the same as before stay; a changed one keeps the focus on its control. */
  private place(shown: readonly AnswerRow[]): void {
    const focused = document.activeElement;
    const row = focused?.closest('li');
    const at = row ? controlsOf(row).indexOf(focused as HTMLElement) : -1;
    const before = this.made;
    this.made = new Map(shown.map((data) => [keyOf(data), this.rowFor(data, before)]));
    const roots = [...this.made.values()].map(({ root }) => root);
    roots.forEach((root, i) => {
      const old = this.rows.children[i];
      if (old !== root) this.rows.insertBefore(root, old ?? null);
    });
    while (this.rows.children.length > roots.length) this.rows.lastElementChild!.remove();
    if (at < 0 || !row || row.isConnected) return;
    const again = this.rows.querySelector<HTMLElement>(`[data-key="${row.dataset.key ?? ''}"]`);
    if (again) controlsOf(again)[at]?.focus();
  }

  private rowFor(row: AnswerRow, before: ReadonlyMap<string, Made>): Made {
    const key = keyOf(row);
    const data = JSON.stringify([row, this.columns]);
    const old = before.get(key);
    if (old?.data === data) return old;
    const root = answerRow(row, {
      strings: this.strings,
      columns: this.columns,
      setName: this.setNames[row.set] ?? '',
      correct: this.correct,
    });
    root.setAttribute('data-key', key);
    root.classList.toggle('expanded', old?.root.classList.contains('expanded') ?? false);
    return { data, root };
  }
}

function keyOf({ set, prompt }: AnswerRow): string {
  return `${set}-${prompt}`;
}

function controlsOf(row: Element): HTMLElement[] {
  return [...row.querySelectorAll<HTMLElement>('select, button')];
}
