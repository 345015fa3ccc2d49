// A number of modules in words.
import { type PageStrings } from '../../src/page/adapter-strings';
import { format } from './ui';

export function modulesText(count: number, { oneModule, manyModules }: PageStrings): string {
  return count === 1 ? oneModule : format(manyModules, count);
}
