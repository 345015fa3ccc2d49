// Texts about the applied projection.
import { type AppliedView } from '../../src/page/adapter';
import { type PageStrings } from '../../src/page/adapter-strings';
import { modulesText } from '../shared/modules-text';
import { format } from '../shared/ui';

export function appliedText({ modules, dirty }: Pick<AppliedView, 'modules' | 'dirty'>, strings: PageStrings): string {
  const count = modules.length;
  if (count === 0) return dirty ? strings.nothingAppliedDirty : strings.nothingApplied;
  return format(dirty ? strings.appliedDirty : strings.appliedClean, modulesText(count, strings));
}
