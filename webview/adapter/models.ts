// The adapter's two models, how to choose them, and the cost of measuring.
import { bytesText } from '../../src/core/bytes';
import { type Call, type ModelRole, type RunView } from '../../src/page/adapter';
import { localised } from '../../src/core/text';
import { type PageStrings } from '../../src/page/adapter-strings';
import { element, format, linkButton, setTitle, show } from '../shared/ui';
import { asking } from '../shared/asking';
import { type PageState } from './state';

export class ModelList {
  readonly root = element('dl', { class: 'models' });

  constructor(
    private readonly state: PageState,
    private readonly strings: PageStrings,
    private readonly call: Call,
  ) {}

  update(): void {
    const { run } = this.state;
    if (!run) return;
    const measured = this.measuredText(run);
    const reason = run.device?.fallbackReason ?? null;
    const focused = document.activeElement?.getAttribute('aria-label');
    this.root.replaceChildren(
      ...this.row(run, 'base', this.strings.base),
      ...this.row(run, 'aligned', this.strings.aligned),
      ...(measured
        ? [element('div', {}, element('dt', {}, this.strings.measured), this.measured(measured, reason))]
        : []),
    );
    if (focused) this.root.querySelector<HTMLElement>(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
  }

  private row(run: RunView, role: ModelRole, label: string): HTMLElement[] {
    const model = run[role];
    const name = model
      ? element('span', { class: 'model-name', title: model.path }, model.name)
      : element('span', { class: 'none' }, this.strings.notChosen);
    const action = model ? this.strings.change : this.strings.choose;
    const choose = linkButton(
      action,
      asking(() => this.call('chooseModel', role)),
      `${action} ${label}`,
    );
    return [element('div', {}, element('dt', {}, label), element('dd', {}, name, choose))];
  }

  /** @param reason why it was not a faster device; also in the status bar's hover */
  private measured(text: string, reason: string | null): HTMLElement {
    const facts = element('span', {}, text);
    if (reason !== null) setTitle(facts, format(this.strings.facts.fallback, reason));
    const again = linkButton(
      this.strings.measureAgain,
      asking(() => this.call('repeat')),
      this.strings.measureAgain,
    );
    show(again, this.state.run?.state === 'done' && this.state.document?.diskChange === null);
    return element('dd', { class: 'measured' }, facts, again);
  }

  private measuredText({ device, totals, recalled }: RunView): string {
    if (!device || !totals) return '';
    const { facts } = this.strings;
    const parts = [
      recalled ? facts.recalled : '',
      format(facts.provider, device.provider),
      format(facts.read, bytesText(totals.bytesRead), localised(totals.seconds.toFixed(1))),
    ];
    return parts.filter(Boolean).join(' · ');
  }
}
