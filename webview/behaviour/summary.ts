// Sentences about an evaluation: what was asked and how it was judged, the chosen point, and what to read with care.
import { decimal } from '../../src/core/text';
import { type Choice } from '../../src/evaluation/choice';
import { measures } from '../../src/evaluation/figures';
import { type ModelFigures } from '../../src/evaluation/model-judge';
import { type PageStrings } from '../../src/page/adapter-strings';
import { type BehaviourResults } from '../../src/page/behaviour';
import { modulesText } from '../shared/modules-text';
import { element, format } from '../shared/ui';
import { figureText } from './texts';

export class Summary {
  readonly root = element('div', { class: 'summary' });

  constructor(private readonly strings: PageStrings) {}

  update(results: BehaviourResults): void {
    const { choice, modelJudge, notices } = results;
    const { summary } = this.strings.behaviour;
    const items = notices.map(({ code, message }) => element('li', { 'data-code': code }, message));
    this.root.replaceChildren(
      element('p', {}, this.methodText(results)),
      ...(choice ? [element('p', { class: 'choice' }, this.choiceText(choice))] : []),
      ...(modelJudge ? [element('p', {}, this.judgeText(modelJudge))] : []),
      ...(items.length > 0 ? [element('ul', { class: 'notices', 'aria-label': summary.notices }, ...items)] : []),
    );
  }

  private methodText({ sets, judge, engine, corrected }: BehaviourResults): string {
    const { summary } = this.strings.behaviour;
    const roles = (['harmful', 'harmless', 'utility'] as const).flatMap((role) => {
      const n = sets.filter((set) => set.role === role).reduce((sum, set) => sum + set.n, 0);
      return n > 0 ? [format(summary.roles[role], n)] : [];
    });
    const method = [
      format(summary.prompts, roles.join(', ')),
      // Not known before the first answers.
      ...(judge ? [format(summary.judge, judge.name, judge.version)] : []),
      ...(engine
        ? [format(summary.engine, engine.maxTokens), format(summary.device, engine.precision, engine.provider)]
        : []),
    ].join(' · ');
    const corrections = corrected === 1 ? summary.correctedOne : format(summary.corrected, corrected);
    return corrected > 0 ? `${method}. ${corrections}` : `${method}.`;
  }

  private choiceText({ demands, count, nearest, figures, chosenOn, reportedOn }: Choice): string {
    const { summary, figures: names } = this.strings.behaviour;
    const found = format(
      count === null ? summary.noneChosen : summary.chosen,
      modulesText(count ?? nearest!, this.strings),
      demands,
    );
    const onOthers = measures.flatMap((measure) =>
      figures[measure] ? [`${names[measure]} ${figureText(figures[measure])}`] : [],
    );
    return `${found} ${format(summary.halves, chosenOn, reportedOn, onOthers.join(', '))}`;
  }

  private judgeText({ kappa, name, answers, unread }: ModelFigures): string {
    return format(this.strings.behaviour.summary.modelJudge, decimal(kappa, 2), name, answers, unread);
  }
}
