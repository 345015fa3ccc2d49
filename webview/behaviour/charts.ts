// The curve: one chart for each measured figure, one above the other, and the key below them.
import { type Measure, measures } from '../../src/evaluation/figures';
import { selectionOfCount } from '../../src/core/rules';
import { type PageStrings } from '../../src/page/adapter-strings';
import { modulesText } from '../shared/modules-text';
import { readTheme } from '../shared/theme';
import { checkbox, element, format, setText, show } from '../shared/ui';
import { answeredPoints, isOnCurve, measuredFigures, scoredPoints } from './curve';
import { FigureChart, type Frame, levelsOf } from './figure-chart';
import { roomFor } from './levels';
import { type BehaviourSource } from './source';

export class CurveCharts {
  readonly root: HTMLElement;
  private readonly charts: Readonly<Record<Measure, FigureChart>>;
  private readonly selected = element('span');
  private readonly ofAnswers = element('span', { class: 'key' });
  private readonly byHand = element('p', { class: 'curve-differs' });
  private readonly withScore;
  /** Names the line where the checkbox does not. */
  private readonly ofScore: HTMLElement;

  constructor(
    private readonly source: BehaviourSource,
    private readonly strings: PageStrings,
  ) {
    const { charts: texts } = strings.behaviour;
    const ports = {
      selected: (): number => source.selectedNames.size,
      pick: (count: number): void => source.setDraft(selectionOfCount(count)),
    };
    const make = (measure: Measure): FigureChart => new FigureChart(measure, strings, ports);
    this.charts = { asr: make('asr'), overRefusal: make('overRefusal'), utility: make('utility') };
    this.withScore = checkbox(texts.refusalScore, () => {
      this.update();
    });
    this.ofScore = element(
      'span',
      { class: 'key', title: strings.behaviour.definitions.refusalScore },
      element('span', { class: 'score-key', 'aria-hidden': 'true' }),
      texts.refusalScore,
    );
    setText(this.ofAnswers, `${texts.intervals} · ${texts.click}`);
    setText(this.byHand, texts.byHand);
    const mark = element('span', { class: 'selection-key', 'aria-hidden': 'true' });
    this.root = element(
      'div',
      { class: 'curve' },
      ...measures.map((measure) => this.charts[measure].root),
      element(
        'div',
        { class: 'keys' },
        element('span', { class: 'key' }, mark, this.selected),
        this.ofAnswers,
        this.ofScore,
        this.withScore,
      ),
      this.byHand,
    );
  }

  /** The figures or the theme changed. */
  update(): void {
    const view = this.source.behaviour;
    if (!view?.results) return;
    const { results } = view;
    const isAnswered = answeredPoints(results).length > 0;
    const canScore = scoredPoints(results).length > 1;
    const isPartial = !isAnswered || view.state === 'running';
    const showsScore = canScore && (isPartial || this.withScore.checked);
    show(this.withScore, canScore && !isPartial);
    show(this.ofAnswers, isAnswered);
    show(this.ofScore, canScore && isAnswered && isPartial);
    const shown: Measure[] = isAnswered ? measuredFigures(results) : ['asr'];
    const levels = shown.flatMap((measure) => levelsOf(measure, { results }, this.strings));
    const frame: Frame = { results, theme: readTheme(), room: levels.length > 0 ? roomFor(levels) : 12, showsScore };
    for (const measure of measures) {
      show(this.charts[measure].root, shown.includes(measure));
      if (shown.includes(measure))
        this.charts[measure].draw(frame, { isFirst: measure === shown[0], isLast: measure === shown.at(-1) });
    }
    this.drawSelection();
  }

  /** The selection changed: only its line moves. */
  remark(): void {
    for (const measure of measures) this.charts[measure].remark();
    this.drawSelection();
  }

  private drawSelection(): void {
    const { behaviour, selectedNames } = this.source;
    const text = format(this.strings.behaviour.charts.selected, modulesText(selectedNames.size, this.strings));
    setText(this.selected, text);
    show(this.byHand, behaviour?.results ? !isOnCurve(behaviour.results, selectedNames) : false);
  }
}
