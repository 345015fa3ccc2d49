// The page's buttons, and when each is enabled.
import { type Call } from '../../src/page/adapter';
import { type PageStrings } from '../../src/page/adapter-strings';
import { type Button, button, element, format, menuButton, setText, show } from '../shared/ui';
import { Advice } from './advice';
import { appliedText } from './applied-text';
import { asking } from '../shared/asking';
import { type PageState } from './state';

type ActionName = 'run' | 'cancel' | 'apply' | 'save' | 'saveAs' | 'restore';

export interface ActionPorts {
  call: Call;
  announce: (text: string) => void;
  exportPicture: (format: 'png' | 'svg') => void;
  copyPicture: () => void;
}

export class ActionButtons {
  /** At the head of the page. */
  readonly toolbar: HTMLElement;
  /** Beside the selection: Project, the projected modules, and the next step. */
  readonly apply: HTMLElement;
  private readonly buttons: Record<ActionName, Button>;
  private readonly ofResults: HTMLElement;
  private isOffered = false;
  private readonly appliedText = element('span', { class: 'applied' });
  private readonly advice: Advice;

  constructor(
    private readonly state: PageState,
    private readonly strings: PageStrings,
    ports: ActionPorts,
  ) {
    this.buttons = this.makeButtons(ports.call);
    const { run, cancel, apply, save, saveAs, restore } = this.buttons;
    this.advice = new Advice(state, strings);
    this.ofResults = element('div', { class: 'group' }, ...this.resultButtons(ports));
    this.apply = element('div', { class: 'apply' }, apply, this.appliedText, this.advice.root);
    this.toolbar = element(
      'div',
      { class: 'toolbar', role: 'toolbar', 'aria-label': strings.toolbar },
      element('div', { class: 'group' }, run, cancel),
      element('div', { class: 'group' }, save, saveAs, restore),
      this.ofResults,
    );
  }

  /** Scrolls to Project and focuses it, once everything is measured. */
  offer(): void {
    this.isOffered = true;
    this.update();
  }

  update(): void {
    const { run, applied, document: shown, failure, selected } = this.state;
    const { actions, applyNone } = this.strings;
    const { run: start, cancel, apply, save, saveAs, restore } = this.buttons;
    const usable = shown !== undefined && !failure && run !== undefined;
    const running = usable && run.state === 'running';
    const done = usable && run.state === 'done';
    show(start, usable && !running && !done && run.state !== 'failed' && shown.diskChange === null);
    setText(start, run?.state === 'cancelled' && run.modulesDone > 0 ? actions.resume : actions.run);
    show(cancel, running);
    const writable = usable && shown.trusted && shown.readOnly === null && shown.diskChange === null;
    const takesBack = selected.size === 0 && (applied?.canRestore ?? false);
    setText(apply, takesBack ? applyNone : projectText(selected.size, actions));
    apply.disabled = !(writable && done) || this.state.isApplied;
    save.disabled = !(writable && applied?.dirty);
    saveAs.disabled = !(usable && shown.trusted && shown.diskChange === null);
    restore.disabled = !(writable && applied?.canRestore);
    for (const part of [save, saveAs, restore, this.ofResults]) show(part, usable);
    for (const control of this.ofResults.querySelectorAll<Button>('vscode-button')) control.disabled = !done;
    setText(this.appliedText, appliedText(applied ?? { modules: [], dirty: false }, this.strings));
    this.advice.update();
    if (!this.isOffered || !done) return;
    this.isOffered = false;
    apply.scrollIntoView({ block: 'nearest' });
    if (!apply.disabled) apply.focus();
  }

  private makeButtons(call: Call): Record<ActionName, Button> {
    const { state } = this;
    const { actions } = this.strings;
    const make = (label: string, what: () => Promise<void>, appearance?: 'primary'): Button =>
      button(label, asking(what), appearance);
    return {
      run: make(actions.run, () => call('run'), 'primary'),
      cancel: make(actions.cancel, () => call('cancel')),
      apply: make(projectText(0, actions), () => call('apply', state.draft), 'primary'),
      save: make(actions.save, () => call('save')),
      saveAs: make(actions.saveAs, () => call('saveAs', state.draft)),
      restore: make(actions.restore, () => call('restore')),
    };
  }

  private resultButtons({ call, announce, exportPicture, copyPicture }: ActionPorts): HTMLElement[] {
    const { state } = this;
    const { actions, announce: texts } = this.strings;
    const exports = menuButton(actions.export, [
      { label: actions.exportJson, run: asking(() => call('exportReport', 'json', state.draft)) },
      { label: actions.exportCsv, run: asking(() => call('exportReport', 'csv', state.draft)) },
      { label: actions.exportPng, run: () => exportPicture('png') },
      { label: actions.exportSvg, run: () => exportPicture('svg') },
      { label: actions.copyPicture, run: copyPicture },
    ]);
    const copy = button(
      actions.copyMarkdown,
      asking(() => call('copyMarkdown', state.draft).then(() => announce(texts.copied))),
    );
    return [exports, copy];
  }
}

function projectText(modules: number, { projectOne, projectMany }: PageStrings['actions']): string {
  return modules === 1 ? projectOne : format(projectMany, modules);
}
