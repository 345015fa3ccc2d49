// The curve as a table: a row for each measured point, from which it can be selected, too.
import { decimal, percent, signed } from '../../src/core/text';
import { selectionOfCount } from '../../src/core/rules';
import { type PageStrings } from '../../src/page/adapter-strings';
import { type BehaviourResults, type PointView } from '../../src/page/behaviour';
import { element, format, linkButton, setText, show } from '../shared/ui';
import { alignedPoint, answeredPoints, isOnCurve, measuredFigures } from './curve';
import { type BehaviourSource } from './source';
import { figureText, pointText } from './texts';

interface Column {
  title: string;
  definition?: string;
  text: (point: PointView) => string;
}

export class FiguresTable {
  readonly root: HTMLElement;
  private readonly head = element('tr');
  private readonly body = element('tbody');

  constructor(
    private readonly source: BehaviourSource,
    private readonly strings: PageStrings,
  ) {
    const { table } = strings.behaviour;
    this.root = element(
      'div',
      // A region that scrolls needs the focus to be scrolled from the keyboard.
      { class: 'table-box figures-table', role: 'region', tabindex: 0, 'aria-label': table.label },
      element('table', { 'aria-label': table.label }, element('thead', {}, this.head), this.body),
    );
  }

  update(results: BehaviourResults): void {
    const focused = document.activeElement?.closest('tr')?.dataset.count;
    const columns = this.columns(results);
    const titles = columns.map(({ title, definition }) =>
      element('th', { scope: 'col', class: 'number', title: definition }, title),
    );
    const { projected, select } = this.strings.behaviour.table;
    this.head.replaceChildren(
      element('th', { scope: 'col' }, projected),
      element('th', { scope: 'col' }, element('span', { class: 'visually-hidden' }, select)),
      ...titles,
    );
    const aligned = alignedPoint(results);
    const points = [...(aligned?.degenerate ? [aligned] : []), ...answeredPoints(results)];
    this.body.replaceChildren(...points.map((point) => this.row(point, columns)));
    this.remark();
    if (focused !== undefined) this.body.querySelector<HTMLElement>(`[data-count="${focused}"] button`)?.focus();
  }

  /** The selection changed. */
  remark(): void {
    const { behaviour, selectedNames } = this.source;
    const { current } = this.strings.behaviour.table;
    const isOn = behaviour?.results ? isOnCurve(behaviour.results, selectedNames) : false;
    for (const row of this.body.rows) {
      const isCurrent = isOn && row.dataset.count === String(selectedNames.size);
      if (isCurrent === row.hasAttribute('aria-current')) continue;
      row.toggleAttribute('aria-current', isCurrent);
      if (isCurrent) row.setAttribute('aria-current', 'true');
      setText(row.querySelector('.current-mark')!, isCurrent ? `✓ ${current}` : '');
      show(row.querySelector<HTMLElement>('.link')!, !isCurrent);
    }
  }

  private columns(results: BehaviourResults): Column[] {
    const { figures, definitions, table, charts } = this.strings.behaviour;
    const { modelJudge } = results;
    return [
      { title: 'τ', definition: definitions.threshold, text: ({ threshold }) => decimal(threshold) },
      ...measuredFigures(results).map((measure) => ({
        title: figures[measure],
        definition: definitions[measure],
        text: (point: PointView) => figureText(point[measure]),
      })),
      ...besideSets(results).map((name) => ({
        title: format(table.right, name),
        definition: format(definitions.right, name),
        text: ({ sets }: PointView) => figureText(sets.find((set) => set.name === name)?.utility ?? null),
      })),
      ...(modelJudge
        ? [
            {
              title: format(table.judgedBy, modelJudge.name),
              text: ({ count }: PointView) =>
                figureText(modelJudge.points.find((point) => point.count === count)?.asr ?? null),
            },
          ]
        : []),
      {
        title: table.degenerate,
        definition: definitions.degenerate,
        text: ({ degenerate }) => percent(degenerate?.value ?? null),
      },
      { title: table.cutOff, definition: definitions.cutOff, text: ({ cutOff }) => percent(cutOff?.value ?? null) },
      {
        title: charts.refusalScore,
        definition: definitions.refusalScore,
        text: ({ refusalScore }) => signed(refusalScore, 1),
      },
    ];
  }

  private row(point: PointView, columns: readonly Column[]): HTMLElement {
    const name = pointText(point, this.strings);
    return element(
      'tr',
      { 'data-count': String(point.count) },
      element('th', { scope: 'row' }, name),
      // Second, so that a narrow tab shows it, too.
      element('td', {}, ...this.selectCell(point, name)),
      ...columns.map(({ text }) => element('td', { class: 'number' }, text(point))),
    );
  }

  /** The aligned model has no adapter to project. */
  private selectCell({ count }: PointView, name: string): HTMLElement[] {
    const mark = element('span', { class: 'current-mark' });
    if (count === null) return [mark];
    const { select, selectPoint } = this.strings.behaviour.table;
    const choose = linkButton(select, () => this.source.setDraft(selectionOfCount(count)), format(selectPoint, name));
    return [choose, mark];
  }
}

/** Sets with references and a role other than utility: how many are answered correctly is a figure of its own. */
function besideSets({ sets }: BehaviourResults): string[] {
  return sets.filter(({ role, metric }) => metric !== null && role !== 'utility').map(({ name }) => name);
}
