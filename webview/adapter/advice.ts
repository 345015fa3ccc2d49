// The line beside Project: what a selection leaves out, what it changes where that was measured, and the next step.
import { decimal } from '../../src/core/text';
import { type PageStrings } from '../../src/page/adapter-strings';
import { isOnCurve, pointAt } from '../behaviour/curve';
import { element, format, linkButton, setText, show } from '../shared/ui';
import { type PageState } from './state';

export class Advice {
  readonly root = element('p', { class: 'advice', 'aria-live': 'polite' });
  private readonly text = element('span');
  private readonly measure: HTMLElement;

  constructor(
    private readonly state: PageState,
    private readonly strings: PageStrings,
  ) {
    this.measure = linkButton(strings.behaviour.advice.measure, () => {
      state.setView('behaviour');
    });
    this.root.append(this.text, ' ', this.measure);
  }

  update(): void {
    const { state } = this;
    const { advice } = this.strings;
    const isMeasurable = state.hasNumbers && !state.applied?.dirty;
    const found = isMeasurable ? this.foundText() : null;
    show(this.root, state.hasNumbers);
    show(this.measure, isMeasurable && found === null && state.view === 'weights');
    setText(this.text, found ?? (isMeasurable ? (this.isSaved ? advice.compare : advice.select) : advice.save));
  }

  private get isSaved(): boolean {
    const { applied } = this.state;
    return applied !== undefined && applied.modules.length > 0 && this.state.isApplied;
  }

  /** Null unless the selection is a measured point. */
  private foundText(): string | null {
    const { behaviour, selectedNames } = this.state;
    const results = behaviour?.results;
    if (!results || behaviour.stale.length > 0 || selectedNames.size === 0) return null;
    if (!isOnCurve(results, selectedNames)) return null;
    const [before, after] = [pointAt(results, 0)?.asr, pointAt(results, selectedNames.size)?.asr];
    if (!before || !after) return null;
    const { found, foundOne } = this.strings.behaviour.advice;
    const { size } = selectedNames;
    return format(size === 1 ? foundOne : found, decimal(before.value, 2), decimal(after.value, 2), size, after.n);
  }
}
