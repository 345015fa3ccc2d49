// A run's progress: a bar, with its percentage and text for screen readers.
import { type PageStrings } from '../../src/page/adapter-strings';
import { element, setLabel, show } from '../shared/ui';
import { runText } from './run-text';
import { type PageState } from './state';

export class ProgressBar {
  readonly root = element('div', {
    class: 'progress',
    role: 'progressbar',
    'aria-valuemin': 0,
    'aria-valuemax': 100,
  });
  private readonly bar = element('div', { class: 'progress-bar' });

  constructor(
    private readonly state: PageState,
    private readonly strings: PageStrings,
  ) {
    this.root.append(this.bar);
    setLabel(this.root, strings.progress);
  }

  update(): void {
    const { run } = this.state;
    const running = run?.state === 'running';
    show(this.bar, running);
    this.root.setAttribute('aria-hidden', String(!running));
    if (!running) return;
    const share = run.bytesTotal > 0 ? run.bytesDone / run.bytesTotal : 0;
    this.bar.style.width = `${(100 * share).toFixed(1)}%`;
    this.root.setAttribute('aria-valuenow', (100 * share).toFixed(0));
    this.root.setAttribute('aria-valuetext', runText(run, this.strings.states) ?? '');
  }
}
