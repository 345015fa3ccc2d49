// Patterns that a configuration holds, matched against module names as PEFT matches them. A file from anywhere may hold one that
// backtracks without end, and the process that reads it is shared, so that compiling and matching have a time limit.
import { runInNewContext } from 'node:vm';
import { appendTo } from './objects';
import { END, FLAGS, forCharacters } from './python-characters';
import { PatternError, translate } from './python-pattern';

export { PatternError };

/** For `firstFitting`. */
export interface PythonPattern {
  /** Of a JavaScript regular expression. */
  source: string;
  /** The key where the pattern is no more than a name that ends others: its dots stand for any character. */
  plain: string | null;
}

/**
 * For all patterns of a configuration together. Sane ones take microseconds for a name; one that V8 is compiling cannot be interrupted,
 * which takes some 200 ms at worst.
 */
const MOST_MS = 250;

/** Characters beyond ASCII in all names; every pattern becomes longer by them. */
const MOST_OTHERS = 64;

const SCRIPT = `{
  const compiled = sources.map((source) => new RegExp(source, flags));
  names.map((name) => {
    const text = name + end;
    return compiled.findIndex((pattern) => pattern.test(text));
  });
}`;

/**
 * `target_modules`, where it is a string: `re.fullmatch(target_modules, name)` in PEFT (`check_target_module_exists` in
 * tuners/tuners_utils.py).
 * @throws PatternError
 */
export function wholePattern(pattern: string): PythonPattern {
  return { source: `^(?:${translate(pattern)})${END}`, plain: null };
}

/** True for a key that `endingPattern` need not translate. */
export function isPlain(key: string): boolean {
  return /^[\w.]+$/.test(key);
}

/**
 * A key of `rank_pattern` or `alpha_pattern`: `re.match(rf"(.*\.)?({key})$", name)` in PEFT (`get_pattern_key` in utils/other.py).
 * @throws PatternError
 */
export function endingPattern(key: string): PythonPattern {
  if (!isPlain(key)) return { source: `^(?:${translate(`(.*\\.)?(${key})$`)})`, plain: null };
  return { source: String.raw`^(?:[^\n]*\.)?${key.replaceAll('.', String.raw`[^\n]`)}\n?${END}`, plain: key };
}

/** When matching that begins now has to be done. */
export function matchingDeadline(): number {
  return performance.now() + MOST_MS;
}

/**
 * For each name the first of the patterns that fits it, -1 where none does.
 * @returns null where it takes too long, or more stack or code than V8 allows
 */
export function firstFitting(
  patterns: readonly PythonPattern[],
  names: readonly string[],
  deadline = matchingDeadline(),
): number[] | null {
  if (patterns.length === 0) return names.map(() => -1);
  const others = charactersBeyondAscii(names);
  if (!others) return null;
  // A dot stands for two code units of some characters, and a newline may follow the end.
  const plain = others.length > 0 || names.some((name) => name.includes('\n')) ? null : new PlainPatterns(patterns);
  const rest = [...patterns.keys()].filter((i) => !plain || patterns[i]!.plain === null);
  const byScript = matchedByScript(
    rest.map((i) => patterns[i]!),
    names,
    others,
    deadline,
  );
  if (!byScript) return null;
  const first: number[] = [];
  for (const [i, name] of names.entries()) {
    if (performance.now() > deadline) return null;
    const found = [rest[byScript[i]!], plain?.firstFor(name)].filter((index) => index !== undefined);
    first.push(found.length === 0 ? -1 : Math.min(...found));
  }
  return first;
}

/** In a context of its own, since only there matching can be given up. */
function matchedByScript(
  patterns: readonly PythonPattern[],
  names: readonly string[],
  others: readonly string[],
  deadline: number,
): number[] | null {
  if (patterns.length === 0) return names.map(() => -1);
  const sources = patterns.map(({ source }) => source).map(forCharacters(others));
  const timeout = Math.ceil(deadline - performance.now());
  if (timeout <= 0) return null;
  try {
    return Array.from(runInNewContext(SCRIPT, { sources, names, flags: FLAGS, end: END }, { timeout }) as number[]);
  } catch (error) {
    const { code, name } = error as NodeJS.ErrnoException;
    if (code === 'ERR_SCRIPT_EXECUTION_TIMEOUT' || name === 'RangeError' || name === 'SyntaxError') return null;
    throw error;
  }
}

/** Plain patterns without regular expressions: EVA writes one for every module. */
class PlainPatterns {
  /** Their indices, by their lengths. */
  private readonly byLength = new Map<number, number[]>();

  constructor(private readonly patterns: readonly PythonPattern[]) {
    for (const [i, { plain }] of patterns.entries()) if (plain !== null) appendTo(this.byLength, plain.length, i);
  }

  /** Among names in ASCII. */
  firstFor(name: string): number | undefined {
    let first: number | undefined;
    for (let begin = 0; ; begin = name.indexOf('.', begin) + 1) {
      const found = this.byLength.get(name.length - begin)?.find((i) => isLike(name, begin, this.patterns[i]!.plain!));
      if (found !== undefined && found < (first ?? Infinity)) first = found;
      if (!name.includes('.', begin)) return first;
    }
  }
}

function isLike(name: string, begin: number, key: string): boolean {
  for (let i = key.length - 1; i >= 0; i--) if (key[i] !== '.' && key[i] !== name[begin + i]) return false;
  return true;
}

/** @returns null where there are too many */
function charactersBeyondAscii(names: readonly string[]): string[] | null {
  const found = new Set<string>();
  for (const name of names) {
    for (const [character] of name.matchAll(/\P{ASCII}/gu)) found.add(character);
    if (found.size > MOST_OTHERS) return null;
  }
  return [...found];
}
