// Patterns that a configuration holds, matched against module names as PEFT matches them. A file from anywhere may hold one that
// backtracks without end, and the process that reads it is shared, so that compiling and matching have a time limit.
import { runInNewContext } from 'node:vm';
import { END, FLAGS, forCharacters } from './python-characters';
import { PatternError, translate } from './python-pattern';

export { PatternError };

/** For `firstFitting`: the source of a JavaScript regular expression. */
export type PythonPattern = string & { readonly brand: unique symbol };

/** Sane patterns take microseconds for a name; 882, one for each linear layer of a model of 405B as EVA writes them, 250 ms for all. */
const MOST_MS = 1000;

/** Characters beyond ASCII in all names; every pattern becomes longer by them. */
const MOST_OTHERS = 64;

const SCRIPT = `{
  const compiled = sources.map((source) => new RegExp(source, flags));
  names.map((name) => compiled.findIndex((pattern) => pattern.test(name + end)));
}`;

/**
 * `target_modules`, where it is a string: `re.fullmatch(target_modules, name)` in PEFT (`check_target_module_exists` in
 * tuners/tuners_utils.py).
 * @throws PatternError
 */
export function wholePattern(pattern: string): PythonPattern {
  return `^(?:${translate(pattern)})${END}` as PythonPattern;
}

/**
 * A key of `rank_pattern` or `alpha_pattern`: `re.match(rf"(.*\.)?({key})$", name)` in PEFT (`get_pattern_key` in utils/other.py).
 * @throws PatternError
 */
export function endingPattern(key: string): PythonPattern {
  return `^(?:${translate(`(.*\\.)?(${key})$`)})` as PythonPattern;
}

/**
 * For each name the first of the patterns that fits it, -1 where none does.
 * @returns null where it takes too long, or more stack or code than V8 allows
 */
export function firstFitting(patterns: readonly PythonPattern[], names: readonly string[]): number[] | null {
  if (patterns.length === 0) return names.map(() => -1);
  const others = Array.from(new Set(names.join('\n'))).filter((character) => character > '\x7f');
  if (others.length > MOST_OTHERS) return null;
  const context = { sources: patterns.map(forCharacters(others)), names, flags: FLAGS, end: END };
  try {
    return Array.from(runInNewContext(SCRIPT, context, { timeout: MOST_MS }) as number[]);
  } catch (error) {
    const { code, name } = error as NodeJS.ErrnoException;
    if (code === 'ERR_SCRIPT_EXECUTION_TIMEOUT' || name === 'RangeError' || name === 'SyntaxError') return null;
    throw error;
  }
}
