// The three facts at the head of the page: what is selected, where the update as a whole points, what a random one would look like.
import { signed } from '../../src/core/text';
import { type PageStrings } from '../../src/page/adapter-strings';
import { isNearNull } from '../shared/measures';
import { format } from '../shared/ui';
import { type PageState } from './state';

/** Empty before anything is measured. */
export function headlineText(state: PageState, { headline, totalDirection }: PageStrings): string {
  if (!state.hasNumbers) return '';
  const modules = state.document?.modules ?? [];
  const direction = state.run?.totals?.direction ?? null;
  const near = modules.filter((_, module) => isNearNull(state, module)).length;
  return [
    format(headline.selected, state.selected.size, modules.length),
    direction === null ? '' : format(totalDirection, signed(direction)) + afterText(state.directionAfter),
    state.run?.state === 'done' ? format(headline.nearNull, near) : '',
  ]
    .filter(Boolean)
    .join(' · ');
}

/** What the projection has made of it. */
function afterText(direction: number | null): string {
  return direction === null ? '' : ` → ${signed(direction)}`;
}
