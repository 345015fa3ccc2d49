// Patterns that a configuration holds, matched against module names. A file from anywhere may hold one that backtracks without end, and
// the process that reads it is shared, so that matching has a time limit.
import { runInNewContext } from 'node:vm';

/** Sane patterns take microseconds. */
const MOST_MS = 250;

const SCRIPT = `{
  const compiled = sources.map((source) => new RegExp(source));
  names.map((name) => compiled.findIndex((pattern) => pattern.test(name)));
}`;

/**
 * For each name the first of the patterns that fits it, -1 where none does.
 * @param sources of regular expressions that can be compiled, see `isPattern`
 * @returns null where it takes too long
 */
export function firstFitting(sources: readonly string[], names: readonly string[]): number[] | null {
  if (sources.length === 0) return names.map(() => -1);
  try {
    return Array.from(runInNewContext(SCRIPT, { sources, names }, { timeout: MOST_MS }) as number[]);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return null;
    throw error;
  }
}

export function isPattern(source: string): boolean {
  try {
    new RegExp(source);
    return true;
  } catch {
    return false;
  }
}
