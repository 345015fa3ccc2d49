// Texts of an evaluation's progress.
import { percent } from '../../src/core/text';
import { type PageStrings } from '../../src/page/adapter-strings';
import { type BehaviourProgress } from '../../src/page/behaviour';
import { format } from '../shared/ui';

type Texts = PageStrings['behaviour']['progress'];

/** “312 of 1120 answers, about 20 s left” */
export function progressText(progress: BehaviourProgress, texts: Texts): string {
  const done = doneText(progress, texts) ?? texts[progress.stage === 'answers' ? 'loading' : progress.stage];
  return progress.secondsLeft === null ? done : format(texts.left, done, durationText(progress.secondsLeft, texts));
}

/** @returns null where the total is unknown */
export function doneText({ stage, done, total }: BehaviourProgress, texts: Texts): string | null {
  if (total === 0) return null;
  if (stage === 'answers') return format(texts.answered, done, total);
  if (stage === 'scores') return format(texts.scored, done, total);
  return `${texts[stage]}, ${percent(done / total)}`;
}

/** Rounded to what an estimate is worth. */
function durationText(seconds: number, { minutes, hours }: Texts): string {
  if (seconds < 90) return `${Math.max(1, Math.ceil(seconds))} s`;
  if (seconds < 90 * 60) return format(minutes, Math.round(seconds / 60));
  return format(hours, Math.round(seconds / 3600));
}
