// Matches a configuration's patterns against module names as PEFT does. A pattern from an untrusted file may backtrack forever and block
// the shared process, so compiling and matching have a time limit.
import { runInNewContext } from 'node:vm';
import { END, FLAGS, forCharacters } from './python-characters';
import { PatternError, translate } from './python-pattern';
import { endsAtDots } from './weight-names';

export { PatternError };

/** For `firstFitting`. */
export interface PythonPattern {
  /** Of a JavaScript regular expression. */
  source: string;
  /** The key if the pattern is a plain name ending, whose dots match any character. */
  plain: string | null;
}

/**
 * CPU time for all patterns of a configuration together. Normal ones take microseconds per name; V8 cannot interrupt compiling, which takes
 * about 200 ms at worst.
 */
const MOST_MS = 250;
/** Wall-clock time, which also passes while a busy machine runs other processes. */
const MOST_MS_BY_CLOCK = 1000;

/** Maximum non-ASCII characters in all names; each makes every pattern longer. */
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

/** True for a key that `endingPattern` does not translate. */
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

/** A time budget for matching, starting now. */
export class MatchingTime {
  private readonly used = process.cpuUsage();
  private readonly end = performance.now() + MOST_MS_BY_CLOCK;

  /** Whole milliseconds left; 0 or less if none. */
  get left(): number {
    const { user, system } = process.cpuUsage(this.used);
    return Math.ceil(Math.min(MOST_MS - (user + system) / 1000, this.end - performance.now()));
  }
}

/**
 * The index of the first pattern that matches each name, -1 if none does.
 * @returns null if it takes too long, or more stack or code than V8 allows
 */
export function firstFitting(
  patterns: readonly PythonPattern[],
  names: readonly string[],
  time: Pick<MatchingTime, 'left'> = new MatchingTime(),
): number[] | null {
  if (patterns.length === 0) return names.map(() => -1);
  const others = charactersBeyondAscii(names);
  if (!others) return null;
  // A dot matches two code units of some characters, and a newline may follow the end.
  const plain = others.length > 0 || names.some((name) => name.includes('\n')) ? null : new PlainPatterns(patterns);
  const rest = [...patterns.keys()].filter((i) => !plain || patterns[i]!.plain === null);
  const byScript = matchedByScript(
    rest.map((i) => patterns[i]!),
    names,
    others,
    time,
  );
  if (!byScript) return null;
  const first: number[] = [];
  for (const [i, name] of names.entries()) {
    if (time.left <= 0) return null;
    const found = [rest[byScript[i]!], plain?.firstFor(name)].filter((index) => index !== undefined);
    first.push(found.length === 0 ? -1 : Math.min(...found));
  }
  return first;
}

/** Runs in a context of its own, since only there matching can be interrupted. */
function matchedByScript(
  patterns: readonly PythonPattern[],
  names: readonly string[],
  others: readonly string[],
  time: Pick<MatchingTime, 'left'>,
): number[] | null {
  if (patterns.length === 0) return names.map(() => -1);
  const sources = patterns.map(({ source }) => source).map(forCharacters(others));
  const context = { sources, names, flags: FLAGS, end: END };
  // Retry if the time went to other processes.
  for (let timeout = time.left; timeout > 0; timeout = time.left) {
    try {
      return Array.from(runInNewContext(SCRIPT, context, { timeout }) as number[]);
    } catch (error) {
      const { code, name } = error as NodeJS.ErrnoException;
      if (name === 'RangeError' || name === 'SyntaxError') return null;
      if (code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
    }
  }
  return null;
}

/** Plain patterns of one length with dots at the same positions: a dot matches any character, the rest must be equal. */
interface DotsAlike {
  dots: readonly number[];
  /** Their indices. */
  first: Map<string, number>;
}

/** Matches plain patterns without regular expressions: EVA writes one for every module. */
class PlainPatterns {
  /** By length and positions of dots, of which there are few. */
  private readonly byLength = new Map<number, Map<string, DotsAlike>>();

  constructor(patterns: readonly PythonPattern[]) {
    for (const [i, { plain }] of patterns.entries()) {
      if (plain === null) continue;
      const dots = dotsOf(plain);
      const alike = this.byLength.get(plain.length) ?? new Map<string, DotsAlike>();
      this.byLength.set(plain.length, alike);
      const { first } = alike.get(dots.join()) ?? { first: new Map<string, number>() };
      alike.set(dots.join(), { dots, first });
      if (!first.has(plain)) first.set(plain, i);
    }
  }

  /** Among names in ASCII. */
  firstFor(name: string): number | undefined {
    let found: number | undefined;
    for (const end of [name, ...endsAtDots(name)]) {
      for (const { dots, first } of this.byLength.get(end.length)?.values() ?? []) {
        const index = first.get(withDots(end, dots));
        if (index !== undefined && index < (found ?? Infinity)) found = index;
      }
    }
    return found;
  }
}

function dotsOf(text: string): number[] {
  return Array.from(text.matchAll(/\./g), ({ index }) => index);
}

function withDots(text: string, dots: readonly number[]): string {
  let begin = 0;
  const parts = dots.map((dot) => {
    const part = text.slice(begin, dot);
    begin = dot + 1;
    return part;
  });
  return [...parts, text.slice(begin)].join('.');
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
