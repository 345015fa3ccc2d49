// The view's actions, and when each is offered.
import { type Selection } from '../../src/core/rules';
import { type Call } from '../../src/page/adapter';
import { type PageStrings } from '../../src/page/adapter-strings';
import { type BehaviourView } from '../../src/page/behaviour';
import { asking } from '../shared/asking';
import { type Button, button, element, menuButton, show } from '../shared/ui';

export class BehaviourToolbar {
  readonly root: HTMLElement;
  private readonly evaluate: Button;
  private readonly chooseByTarget: Button;
  private readonly askModel: Button;
  private readonly exports: HTMLElement;
  private readonly exportsWithAnswers: HTMLElement;

  constructor(
    private readonly strings: PageStrings,
    private readonly call: Call,
    private readonly selection: () => Selection,
  ) {
    const { actions } = strings.behaviour;
    this.evaluate = this.make(actions.evaluate, 'evaluate');
    this.chooseByTarget = this.make(actions.chooseByTarget, 'chooseByTarget');
    this.askModel = this.make(actions.askModel, 'askModelToJudge');
    this.exports = this.menu(['json', 'html']);
    this.exportsWithAnswers = this.menu(['json', 'html', 'answers']);
    this.root = element(
      'div',
      { class: 'toolbar', role: 'toolbar', 'aria-label': actions.label },
      this.evaluate,
      this.chooseByTarget,
      this.exports,
      this.exportsWithAnswers,
      this.askModel,
    );
  }

  update({ state, results, answers, canAskModel }: BehaviourView): void {
    const isMeasured = results?.judge != null && results.points.some(({ degenerate }) => degenerate !== null);
    const running = state === 'running';
    const inMemory = answers === 'hidden' || answers === 'shown';
    show(this.root, state !== 'none');
    show(this.chooseByTarget, isMeasured);
    this.evaluate.disabled = running;
    this.chooseByTarget.disabled = running;
    this.askModel.disabled = running;
    show(this.exports, isMeasured && !inMemory);
    show(this.exportsWithAnswers, isMeasured && inMemory);
    show(this.askModel, canAskModel && inMemory);
  }

  private make(label: string, name: 'evaluate' | 'chooseByTarget' | 'askModelToJudge'): Button {
    return button(
      label,
      asking(() => this.call(name)),
    );
  }

  private menu(formats: readonly ('json' | 'html' | 'answers')[]): HTMLElement {
    const { actions, behaviour } = this.strings;
    const labels = {
      json: actions.exportJson,
      html: behaviour.actions.exportHtml,
      answers: behaviour.actions.exportAnswers,
    };
    return menuButton(
      actions.export,
      formats.map((format) => ({
        label: labels[format],
        run: asking(() => this.call('exportBehaviour', format, this.selection())),
      })),
    );
  }
}
