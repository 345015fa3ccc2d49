// The line beside Project: what a selection leaves out, and the next step.
import { type PageStrings } from '../../src/page/adapter-strings';
import { type PageState } from './state';

export function adviceText(state: PageState, { advice }: PageStrings): string {
  const { applied } = state;
  if (!state.hasNumbers) return '';
  if (applied?.dirty) return advice.save;
  return applied && applied.modules.length > 0 && state.isApplied ? advice.compare : advice.select;
}
