// The page's second view: how the model answers, by the number of projected modules.
import { type Call } from '../../src/page/adapter';
import { type PageStrings } from '../../src/page/adapter-strings';
import { type BehaviourView } from '../../src/page/behaviour';
import { asking } from '../shared/asking';
import { button, element, show } from '../shared/ui';
import { Answers } from './answers';
import { CurveCharts } from './charts';
import { answeredPoints, scoredPoints } from './curve';
import { FiguresTable } from './figures-table';
import { type BehaviourSource } from './source';
import { EvaluationStatus } from './status';
import { Summary } from './summary';
import { BehaviourToolbar } from './toolbar';
import { TradeOff } from './trade-off';

export class BehaviourPanel {
  /** Beside the selection: the charts. */
  readonly main: HTMLElement;
  /** Below the selection. */
  readonly side: HTMLElement;
  /** Below both: the figures and the answers. */
  readonly below: HTMLElement;
  private readonly empty: HTMLElement;
  private readonly toolbar: BehaviourToolbar;
  private readonly status: EvaluationStatus;
  private readonly charts: CurveCharts;
  private readonly tradeOff: TradeOff;
  private readonly summary: Summary;
  private readonly table: FiguresTable;
  private readonly figures: HTMLElement;
  private readonly answers: Answers;
  private isShown = false;

  constructor(
    private readonly source: BehaviourSource,
    strings: PageStrings,
    call: Call,
  ) {
    const { title, empty, actions } = strings.behaviour;
    const evaluate = button(
      actions.evaluate,
      asking(() => call('evaluate')),
      'primary',
    );
    this.empty = element(
      'div',
      { class: 'behaviour-empty' },
      element('p', {}, empty.measures),
      element('p', {}, empty.needs),
      evaluate,
    );
    this.toolbar = new BehaviourToolbar(strings, call, () => source.draft);
    this.status = new EvaluationStatus(strings, call);
    this.charts = new CurveCharts(source, strings);
    this.tradeOff = new TradeOff(source, strings);
    this.summary = new Summary(strings);
    this.table = new FiguresTable(source, strings);
    this.answers = new Answers(source, strings, call);
    this.figures = element('section', { class: 'behaviour-figures' }, this.summary.root, this.table.root);
    this.main = element(
      'section',
      { class: 'behaviour', 'aria-label': title },
      this.toolbar.root,
      this.status.root,
      this.empty,
      this.charts.root,
    );
    this.side = this.tradeOff.root;
    this.below = element('div', { class: 'behaviour-below' }, this.figures, this.answers.root);
  }

  /** A hidden chart has no size: everything is drawn when the view is shown. */
  show(isShown: boolean): void {
    this.isShown = isShown;
    for (const part of [this.main, this.below, this.side]) show(part, isShown);
    if (isShown) this.update();
  }

  /** The evaluation or the theme changed. */
  update(): void {
    const { behaviour } = this.source;
    if (!this.isShown) return;
    const view = behaviour ?? NEVER;
    this.toolbar.update(view);
    this.status.update(view);
    show(this.empty, view.state === 'none');
    this.updateResults(view);
    this.answers.update();
  }

  /** The selection changed. */
  remark(): void {
    if (!this.isShown || !this.source.behaviour?.results) return;
    this.charts.remark();
    this.tradeOff.remark();
    this.table.remark();
    this.answers.remark();
  }

  answersChanged(): void {
    if (this.isShown) this.answers.update();
  }

  private updateResults({ results }: BehaviourView): void {
    const isAnswered = results !== null && answeredPoints(results).length > 0;
    show(this.charts.root, isAnswered || (results !== null && scoredPoints(results).length > 1));
    show(this.figures, isAnswered);
    this.charts.update();
    this.tradeOff.update();
    if (!results || !isAnswered) return;
    this.summary.update(results);
    this.table.update(results);
  }
}

const NEVER: BehaviourView = {
  state: 'none',
  progress: null,
  error: null,
  stale: [],
  results: null,
  answers: 'none',
  canAskModel: false,
};
