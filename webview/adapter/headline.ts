// The three facts at the top of the page: the selection, the direction of the whole update, the level of a random one.
import { signed } from '../../src/core/text';
import { type PageStrings } from '../../src/page/adapter-strings';
import { isNearNull } from '../shared/measures';
import { format } from '../shared/ui';
import { type PageState } from './state';

/** Empty before measuring. */
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

/** The value after the projection. */
function afterText(direction: number | null): string {
  return direction === null ? '' : ` → ${signed(direction)}`;
}
