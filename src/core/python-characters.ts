// Character sets of Python's regular expressions, in JavaScript. They exclude END, which `translate` expects after names.

/** Half of a surrogate pair: names are UTF-8, which cannot encode it. */
export const END = '\uD800';
/** As it is written in a regular expression. */
export const END_SOURCE = String.raw`\u{D800}`;
export const ANY = `[^${END_SOURCE}]`;

/** Flags of the regular expressions: v, not u, allows nested sets, as [\W\d] needs. */
export const FLAGS = 'v';

const DIGITS = String.raw`\p{Nd}`;
const WORD_CHARACTERS = String.raw`\p{L}\p{N}_`;
const ASCII_WORD_CHARACTERS = '0-9A-Z_a-z';
const SPACES = String.raw`\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000`;
/** Contents of \d, \s and \w without and with the flag a: str.isdecimal, str.isspace, str.isalnum or underscore. */
const CATEGORIES: Readonly<Record<string, readonly [string, string]>> = {
  d: [DIGITS, '0-9'],
  s: [SPACES, String.raw`\t-\r\x20`],
  w: [WORD_CHARACTERS, ASCII_WORD_CHARACTERS],
};
const CONTROLS: Readonly<Record<string, number>> = { a: 7, b: 8, f: 12, n: 10, r: 13, t: 9, v: 11 };
/** More letters that are equal without case (CPython's Lib/re/_casefix.py, and those with an ASCII lower case). */
const MORE_CASES: Readonly<Record<string, string>> = { i: '\\u0130\\u0131', k: '\\u212A', s: '\\u017F' };

/** Python's flags: i ignores case, a limits categories and case to ASCII. */
export type Flags = ReadonlySet<string>;

/**
 * Rewrites regular expressions to match the same in names of ASCII and these characters. Compiling \p{L} takes V8 milliseconds, and cannot
 * be interrupted.
 */
export function forCharacters(others: readonly string[]): (source: string) => string {
  const among = (set: RegExp): string =>
    others.flatMap((each) => (set.test(each) ? [written(each.codePointAt(0)!)] : [])).join('');
  const any = `[\\0-\\x7f${among(/[^\uD800]/u)}]`;
  const wordCharacters = ASCII_WORD_CHARACTERS + among(/[\p{L}\p{N}]/u);
  const digits = `0-9${among(/\p{Nd}/u)}`;
  return (source) => source.replaceAll(ANY, any).replaceAll(WORD_CHARACTERS, wordCharacters).replaceAll(DIGITS, digits);
}

/** All but the contents of a set. */
export function none(contents: string): string {
  return `[${ANY}--[${contents}]]`;
}

/** The contents of \d, \D, \s, \S, \w or \W in a set. */
export function category(letter: string, flags: Flags): string {
  const [unicode, ascii] = CATEGORIES[letter.toLowerCase()]!;
  const contents = flags.has('a') ? ascii : unicode;
  return /[a-z]/.test(letter) ? contents : none(contents);
}

/** A range of characters in a set, in both cases if need be. */
export function range(from: number, to: number, flags: Flags): string {
  const end = END.charCodeAt(0);
  if (from > to) return '';
  if (from <= end && end <= to) return range(from, end - 1, flags) + range(end + 1, to, flags);
  let contents = from === to ? written(from) : `${written(from)}-${written(to)}`;
  if (!flags.has('i')) return contents;
  for (let code = Math.max(from, 0x41); code <= Math.min(to, 0x7a); code++) {
    const other = String.fromCharCode(code ^ 0x20);
    if (/[A-Za-z]/.test(other)) contents += other + (flags.has('a') ? '' : (MORE_CASES[other.toLowerCase()] ?? ''));
  }
  return contents;
}

/** Whether `range` omits other cases of its characters, which Python and JavaScript treat differently. */
export function lacksCases(from: number, to: number, flags: Flags): boolean {
  if (!flags.has('i') || flags.has('a') || to < 0x80) return false;
  const character = String.fromCodePoint(from);
  return from < to || character.toLowerCase() !== character || character.toUpperCase() !== character;
}

/** The character of an escape: x61, u0061, U00000061, octal digits, a control's letter, or the character itself. */
export function escapedCode(escape: string): number {
  if (/^[Uux]/.test(escape)) return parseInt(escape.slice(1), 16);
  if (/^\d/.test(escape)) return parseInt(escape, 8);
  return CONTROLS[escape] ?? escape.codePointAt(0)!;
}

/** A character other than END, in a set or outside. */
export function written(code: number): string {
  const character = String.fromCodePoint(code);
  if (/\w/.test(character)) return character;
  const hex = code.toString(16);
  return hex.length < 3 ? `\\x${hex.padStart(2, '0')}` : `\\u{${hex}}`;
}
