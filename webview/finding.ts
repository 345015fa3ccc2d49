// What a selection takes, in one sentence.
import { type Selection } from '../src/core/selection';
import { type SharedStrings } from '../src/host/editor/strings';
import { format } from './ui';

/** "3 of 12 modules at or below τ = 0.35" */
export function foundText(
  selection: Selection,
  selected: number,
  modules: number,
  found: SharedStrings['found'],
): string {
  const { added, removed } = selection.overrides;
  if (added.length + removed.length > 0) return format(found.byHand, selected, modules);
  if (selection.mode === 'threshold')
    return format(found.threshold, selected, modules, Number(selection.threshold.toFixed(6)));
  return format(selected < selection.count ? found.all : found.count, selected, modules, selection.count);
}
