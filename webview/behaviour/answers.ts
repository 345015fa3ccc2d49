// The answers of the aligned model, the original adapter and one point, side by side. Hazardous text: hidden until asked for.
import { type Call } from '../../src/page/adapter';
import { type PageStrings } from '../../src/page/adapter-strings';
import { type AnswersView, type BehaviourView } from '../../src/page/behaviour';
import { asking } from '../shared/asking';
import { button, element, format, setText, show } from '../shared/ui';
import { AnswerList } from './answer-list';
import { comparedPoint, type CurvePoint, isOnCurve } from './curve';
import { type BehaviourSource } from './source';
import { pointText } from './texts';

/** The selection moves through many points while its slider does. */
const SETTLED_MS = 300;

export class Answers {
  readonly root: HTMLElement;
  private readonly hazard = element('p', { class: 'definition' });
  private readonly nearest = element('p', { class: 'definition', 'aria-live': 'polite' });
  private readonly showButton;
  private readonly hideButton;
  private readonly list: AnswerList;
  /** The count that was asked for last. */
  private asked: number | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly source: BehaviourSource,
    private readonly strings: PageStrings,
    private readonly call: Call,
  ) {
    const { answers } = strings.behaviour;
    this.showButton = button(answers.show, () => {
      this.ask();
    });
    this.hideButton = button(
      answers.hide,
      asking(() => call('hideAnswers')),
    );
    this.list = new AnswerList(strings, (correction) => {
      asking(() => call('correctJudgement', correction))();
    });
    this.root = element(
      'section',
      { class: 'answers', 'aria-label': answers.title },
      element('div', { class: 'answers-head' }, element('h2', {}, answers.title), this.showButton, this.hideButton),
      this.hazard,
      this.nearest,
      this.list.root,
    );
  }

  /** The evaluation or the answers changed. */
  update(): void {
    const { behaviour, answers } = this.source;
    show(this.root, behaviour?.results !== null && behaviour !== null && behaviour.answers !== 'none');
    if (!behaviour) return;
    const { hazard, gone } = this.strings.behaviour.answers;
    setText(this.hazard, behaviour.answers === 'gone' ? gone : hazard);
    show(this.showButton, answers === null && behaviour.answers !== 'gone' && behaviour.answers !== 'none');
    show(this.hideButton, answers !== null);
    show(this.list.root, answers !== null);
    if (answers) {
      this.showAnswers(answers, behaviour);
      // The selection may have moved while they were on their way.
      this.remark();
      return;
    }
    this.asked = null;
    this.drawNearest();
  }

  /** The selection changed: the answers follow it. */
  remark(): void {
    clearTimeout(this.timer);
    this.drawNearest();
    const wanted = this.compared()?.count;
    if (!this.source.answers || wanted === undefined || wanted === this.asked) return;
    this.timer = setTimeout(() => {
      this.ask();
    }, SETTLED_MS);
  }

  private ask(): void {
    const point = this.compared();
    if (!point) return;
    this.asked = point.count;
    asking(() => this.call('showAnswers', point.count))();
  }

  private showAnswers(answers: AnswersView, { results }: BehaviourView): void {
    this.asked = answers.count;
    const { point, answers: texts } = this.strings.behaviour;
    const chosen = answers.count === 0 ? point.original : format(texts.projected, pointText(answers, this.strings));
    this.list.update(answers, results?.sets.map(({ name }) => name) ?? [], [point.aligned, point.original, chosen]);
  }

  private drawNearest(): void {
    const { answers, behaviour, selectedNames } = this.source;
    const results = behaviour?.results;
    const isSelection = answers?.count === selectedNames.size && results && isOnCurve(results, selectedNames);
    show(this.nearest, answers !== null && !isSelection);
    if (answers)
      setText(this.nearest, format(this.strings.behaviour.answers.nearest, pointText(answers, this.strings)));
  }

  private compared(): CurvePoint | null {
    const results = this.source.behaviour?.results;
    return results ? comparedPoint(results, this.source.selectedNames.size) : null;
  }
}
