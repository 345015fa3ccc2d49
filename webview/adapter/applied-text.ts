// Texts about the applied projection.
import { type AppliedView } from '../../src/page/adapter';
import { type PageStrings } from '../../src/page/adapter-strings';
import { format } from '../shared/ui';

export function modulesText(count: number, { oneModule, manyModules }: PageStrings): string {
  return count === 1 ? oneModule : format(manyModules, count);
}

export function appliedText({ modules, dirty }: Pick<AppliedView, 'modules' | 'dirty'>, strings: PageStrings): string {
  const count = modules.length;
  if (count === 0) return dirty ? strings.nothingAppliedDirty : strings.nothingApplied;
  return format(dirty ? strings.appliedDirty : strings.appliedClean, modulesText(count, strings));
}
