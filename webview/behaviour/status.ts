// What the evaluation does: its progress, or why it stopped, and what no longer holds.
import { type Call } from '../../src/page/adapter';
import { type PageStrings } from '../../src/page/adapter-strings';
import { type BehaviourProgress, type BehaviourView } from '../../src/page/behaviour';
import { asking } from '../shared/asking';
import { banner, button, element, format, setLabel, setText, show } from '../shared/ui';
import { doneText, progressText } from './progress-text';

export class EvaluationStatus {
  readonly root = element('div', { class: 'evaluation-status' });
  private readonly banners = element('div', { class: 'banners' });
  private readonly running = element('div', { class: 'evaluation-progress' });
  private readonly text = element('span');
  private readonly bar = element('div', { class: 'progress-bar' });
  private readonly track = element(
    'div',
    { class: 'progress-track', role: 'progressbar', 'aria-valuemin': 0, 'aria-valuemax': 100 },
    this.bar,
  );

  constructor(
    private readonly strings: PageStrings,
    private readonly call: Call,
  ) {
    setLabel(this.track, strings.behaviour.progress.label);
    const cancel = button(
      strings.actions.cancel,
      asking(() => call('cancelEvaluation')),
    );
    this.running.append(element('div', { class: 'evaluation-line' }, this.text, cancel), this.track);
    this.root.append(this.banners, this.running);
  }

  update(view: BehaviourView): void {
    show(this.running, view.state === 'running');
    if (view.state === 'running') this.draw(view.progress ?? STARTING);
    const parts = [this.stale(view), this.stopped(view)].filter((part) => part !== null);
    const same = parts.map((part) => part.dataset.key).join() === this.shownKeys();
    // An unchanged banner keeps its focus and is not announced again.
    if (!same) this.banners.replaceChildren(...parts);
  }

  private shownKeys(): string {
    return [...this.banners.children].map((part) => (part as HTMLElement).dataset.key).join();
  }

  private draw(progress: BehaviourProgress): void {
    const { done, total } = progress;
    const text = progressText(progress, this.strings.behaviour.progress);
    setText(this.text, text);
    this.track.setAttribute('aria-valuetext', text);
    const share = 100 * (total > 0 ? done / total : 0);
    this.track.setAttribute('aria-valuenow', share.toFixed(0));
    this.bar.style.width = `${share.toFixed(1)}%`;
  }

  private stale({ stale }: BehaviourView): HTMLElement | null {
    if (stale.length === 0) return null;
    const { stale: texts, actions } = this.strings.behaviour;
    const reasons = stale.map((reason) => texts[reason]).join(', ');
    return banner('warning', format(texts.text, reasons), [[actions.evaluate, asking(() => this.call('evaluate'))]]);
  }

  private stopped({ state, progress, error }: BehaviourView): HTMLElement | null {
    const { actions, behaviour } = this.strings;
    const again = asking(() => this.call('resumeEvaluation'));
    if (state === 'cancelled') {
      const done = progress && doneText(progress, behaviour.progress);
      const text = done === null ? behaviour.cancelledEarly : format(behaviour.cancelled, done);
      return banner('information', text, [[actions.resume, again]]);
    }
    if (state !== 'failed') return null;
    const showLog = asking(() => this.call('showLog'));
    return banner('error', error?.message ?? '', [
      [actions.retry, again],
      [actions.showLog, showLog],
    ]);
  }
}

const STARTING: BehaviourProgress = { stage: 'loading', done: 0, total: 0, secondsLeft: null };
