// Translates regular expressions of Python's module re (3.11, its Lib/re/_parser.py) to JavaScript's, or refuses them. Python has
// conditions on groups, and a backreference to a group that did not match fails, where JavaScript's matches nothing. So a translation
// expects END behind the name: each group captures END through a lookahead, which shows later that the group matched.
import {
  ANY,
  category,
  END,
  END_SOURCE as E,
  escapedCode,
  type Flags,
  lacksCases,
  none,
  range,
  written,
} from './python-characters';

/** Published adapters' patterns have up to some hundred characters. V8 refuses some of ten thousand as too large. */
const MAX_LENGTH = 10_000;
/** V8 compiles this in some hundred milliseconds, which cannot be interrupted. */
const MAX_SOURCE = 20_000;
/** Python's recursion limit refuses some hundreds; the translator recurses likewise. */
const MAX_DEPTH = 100;
/** Means no limit, as in CPython's Modules/_sre (MAXREPEAT; the same as MAXCODE). */
const MAX_REPEAT = 2 ** 32 - 1;

/** Reasons to refuse a pattern that Python accepts. */
export const UNTRANSLATABLE = {
  length: `longer than ${MAX_LENGTH} characters, or than ${MAX_SOURCE} in JavaScript`,
  depth: `more than ${MAX_DEPTH} nested groups`,
  // JavaScript resets captures in each pass of a repetition, Python does not.
  repeated: 'a reference to a group in a repetition',
  // Python ends a repetition at an empty pass, JavaScript tries a non-empty one instead. Backtracking evens it out unless only the first
  // match counts.
  idle: 'an atomic group or lookaround with a repetition of what may match nothing',
  // CPython may see captures of an abandoned attempt there.
  open: 'a condition on a group that has not ended',
  caselessReference: 'a backreference that ignores case',
  caselessLetter: 'a letter beyond ASCII whose case is ignored',
  named: String.raw`a character named with \N`,
} as const;

/** The message is a predicate: "… is not a regular expression of Python (nothing to repeat)". */
export class PatternError extends Error {
  override readonly name = 'PatternError';

  constructor(
    /** Python refuses invalid patterns, too. */
    readonly kind: 'invalid' | 'untranslatable',
    readonly reason: string,
  ) {
    const what =
      kind === 'invalid' ? 'is not a regular expression of Python' : 'cannot be matched exactly as in Python';
    super(`${what} (${reason})`);
  }
}

/**
 * The source of a regular expression with FLAGS that matches what Python's matches in a name, if END follows the name. Takes time in
 * proportion to the pattern's length.
 * @throws PatternError
 */
export function translate(pattern: string): string {
  if (pattern.length > MAX_LENGTH) throw untranslatable('length');
  const source = new Translator(pattern).translate();
  if (source.length > MAX_SOURCE) throw untranslatable('length');
  return source;
}

const invalid = (reason: string): PatternError => new PatternError('invalid', reason);
const untranslatable = (reason: keyof typeof UNTRANSLATABLE): PatternError =>
  new PatternError('untranslatable', UNTRANSLATABLE[reason]);

/** Minimum and maximum characters, which Python requires to be equal in a lookbehind. */
interface Width {
  least: number;
  most: number;
}

/** A translated part of the pattern. */
interface Piece extends Width {
  source: string;
  kind: 'nothing' | 'position' | 'repetition' | 'other';
}

interface Group extends Width {
  isClosed: boolean;
  /** In a repetition that has ended. */
  isRepeated: boolean;
}

/** How much of each precedes a piece. */
interface Mark {
  groups: number;
  references: number;
  idle: number;
}

const piece = (source: string, least = 1, most = least, kind: Piece['kind'] = 'other'): Piece => {
  return { source, least, most, kind };
};
const NOTHING = piece('', 0, 0, 'nothing');
const position = (source: string): Piece => piece(source, 0, 0, 'position');

const BLANK = /[ \t\n\r\v\f]|#(?:\\[^]|[^\\\n])*\n?/y;
const QUANTIFIER = /[*+?]|\{(?!\})(\d*)(?:,(\d*))?\}/y;
const ESCAPE =
  /\\(?:x[\dA-Fa-f]{2}|u[\dA-Fa-f]{4}|U00(?:0[\dA-Fa-f]|10)[\dA-Fa-f]{4}|(?![4-7][0-7]{2})[0-7]{1,3}|[DSWabdfnrstvw]|[^\dA-Za-z])/uy;

class Translator {
  private at = 0;
  private depth = 0;
  private flags: Flags = new Set();
  private readonly groups: Group[] = [];
  private readonly names = new Map<string, number>();
  /** Referenced groups, by number. */
  private readonly references: number[] = [];
  /** Repetitions so far of possibly empty pieces. */
  private idle = 0;
  private atomicGroups = 0;
  /** In a lookbehind, which JavaScript matches from right to left. */
  private backward = false;
  private groupsBeforeLookbehind = Infinity;
  private readonly refersBack: boolean;

  constructor(private readonly text: string) {
    if (/(?<!\\)(?:\\\\)*\\$/.test(text)) throw invalid('bad escape (end of pattern)');
    this.refersBack = /\\[1-9]|\(\?(?:P=|\()/.test(text);
  }

  translate(): string {
    const { source } = this.alternation(true);
    if (this.at < this.text.length) throw invalid('unbalanced parenthesis');
    return source;
  }

  private alternation(isWhole = false): Piece {
    let branches = this.sequence(isWhole);
    while (this.accept('|')) {
      const next = this.sequence();
      branches = either(`${branches.source}|${next.source}`, branches, next);
    }
    return branches;
  }

  private sequence(isFirst = false): Piece {
    let done: Piece = NOTHING;
    /** A quantifier is for the last piece only. */
    let last = done;
    let beforeLast = this.mark();
    while (!this.sees('|') && !this.sees(')') && this.at < this.text.length) {
      if (this.flags.has('x') && this.match(BLANK)) continue;
      const quantifier = this.match(QUANTIFIER);
      if (quantifier) {
        last = this.repetition(last, beforeLast, ...bounds(quantifier));
        continue;
      }
      const before = this.mark();
      const next = this.item(isFirst && last.kind === 'nothing');
      if (!next) continue;
      done = both(done, last);
      last = next;
      beforeLast = before;
    }
    return both(done, last);
  }

  private repetition(once: Piece, before: Mark, least: number, most: number): Piece {
    if (once.kind === 'nothing' || once.kind === 'position') throw invalid('nothing to repeat');
    if (once.kind === 'repetition') throw invalid('multiple repeat');
    if (most > 1) this.refuseReferences(before);
    const possessive = this.accept('+');
    const lazy = !possessive && this.accept('?') ? '?' : '';
    // CPython does not even backtrack into a single pass.
    const item = possessive ? this.atomic(once.source, before) : once.source;
    // JavaScript's X? skips an X that matches nothing, with what it captures; X| does not.
    const optional = lazy ? `(?:|${item})` : `(?:${item}|)`;
    const counted = `(?:${item}){${least},${most === MAX_REPEAT ? '' : most}}${lazy}`;
    const source = least === 0 && most === 1 ? optional : counted;
    if (!possessive && once.least === 0 && once.most > 0 && most > Math.max(1, least)) this.idle++;
    return piece(possessive ? this.atomic(source, before) : source, once.least * least, once.most * most, 'repetition');
  }

  /** @returns null for comments and flags, which leave a quantifier to the piece before them */
  private item(isFirst: boolean): Piece | null {
    switch (this.text[this.at]) {
      case '\\':
        return this.escape();
      case '[':
        return this.set();
      case '(':
        return this.parenthesis(isFirst);
    }
    const plain = !this.flags.has('i') && !this.flags.has('x') && this.match(/\w+(?![*+?{(])/y)?.[0];
    if (plain) return piece(plain, plain.length);
    if (this.accept('.')) return piece(this.flags.has('s') ? ANY : none('\\n'));
    if (this.accept('^')) return position(this.flags.has('m') ? '(?<=^|\\n)' : '^');
    if (this.accept('$')) return position(this.flags.has('m') ? `(?=[\\n${E}])` : `(?=\\n?${E})`);
    return this.literal(this.character());
  }

  private parenthesis(isFirst: boolean): Piece | null {
    if (this.match(/\(\?#(?:\\[^]|[^\\)])*\)/y)) return null;
    const group = this.match(/\((?!\?)|\(\?P<([^>]*)>/y);
    if (group) return this.group(group[1]);
    const reference = this.match(/\(\?P=([^)]*)\)/y);
    if (reference) return this.backreference(this.numberOf(reference[1]!));
    const condition = this.match(/\(\?\(([^)]*)\)/y);
    if (condition) return this.conditional(condition[1]!);
    const lookaround = this.match(/\(\?(<?)([=!])/y);
    if (lookaround) return this.lookaround(lookaround[1]!, lookaround[2]!);
    const before = this.mark();
    if (this.accept('(?:')) return this.enclosed();
    if (this.accept('(?>')) {
      const { source, least, most } = this.enclosed();
      return piece(this.atomic(source, before), least, most);
    }
    const flags = this.match(/\(\?(?=[a-z-]+[:)])([aimsux]*)(?:-([imsx]+))?([:)])/y);
    if (flags) return this.flagged(flags[1]!, flags[2] ?? '', flags[3] === ')', isFirst);
    throw invalid(`unknown extension ${this.text.slice(this.at, this.at + 4)}`);
  }

  /** The rest of a group, in (?:…). */
  private enclosed(read = (): Piece => this.alternation()): Piece {
    if (++this.depth > MAX_DEPTH) throw untranslatable('depth');
    const { source, least, most } = read();
    if (!this.accept(')')) throw invalid('missing ), unterminated subpattern');
    this.depth--;
    return piece(`(?:${source})`, least, most);
  }

  private group(name?: string): Piece {
    const group: Group = { least: 0, most: 0, isClosed: false, isRepeated: false };
    const number = this.groups.push(group);
    if (name !== undefined) {
      if (!/^[\p{XID_Start}_]\p{XID_Continue}*$/u.test(name)) throw invalid('bad character in group name');
      if (this.names.has(name)) throw invalid(`redefinition of group name ${name}`);
      this.names.set(name, number);
    }
    const inside = this.enclosed();
    Object.assign(group, { least: inside.least, most: inside.most, isClosed: true });
    if (!this.refersBack) return inside;
    return { ...inside, source: `(?<g${number}>${inside.source}(?=${ANY}*(?<m${number}>${E})))` };
  }

  private lookaround(behind: string, sign: string): Piece {
    const { backward, groupsBeforeLookbehind } = this;
    const before = this.mark();
    this.backward = behind !== '';
    if (behind) this.groupsBeforeLookbehind = Math.min(groupsBeforeLookbehind, before.groups);
    const { source, least, most } = this.enclosed();
    Object.assign(this, { backward, groupsBeforeLookbehind });
    if (this.refersBack) this.refuseIdle(before);
    if (behind && (least !== most || least > MAX_REPEAT)) throw invalid('look-behind requires fixed-width pattern');
    return piece(`(?${behind}${sign}${source})`, 0);
  }

  private atomic(source: string, before: Mark): string {
    this.refuseIdle(before);
    // In a lookbehind all matches have the same width, so backtracking would not help.
    if (this.backward) return `(?:${source})`;
    const name = `a${++this.atomicGroups}`;
    return `(?:(?=(?<${name}>${source}))\\k<${name}>)`;
  }

  private backreference(number: number): Piece {
    const { least, most } = this.referred(number);
    if (this.flags.has('i')) throw untranslatable('caselessReference');
    return piece(`(?:(?=${tookPart(number)})\\k<g${number}>)`, least, most);
  }

  private conditional(name: string): Piece {
    const number = /^\d+$/.test(name) ? Number(name) : this.numberOf(name);
    if (number === 0) throw invalid('bad group number');
    if (!this.groups[number - 1]?.isClosed) throw untranslatable('open');
    this.referred(number);
    return this.enclosed(() => {
      const yes = this.sequence();
      const no = this.accept('|') ? this.sequence() : NOTHING;
      const test = tookPart(number);
      return either(`(?=${test})${yes.source}|(?!${test})${no.source}`, yes, no);
    });
  }

  /** Refuses references that Python refuses or that cannot be translated. */
  private referred(number: number): Group {
    const group = this.groups[number - 1];
    if (!group) throw invalid(`invalid group reference ${number}`);
    if (!group.isClosed) throw invalid('cannot refer to an open group');
    if (number > this.groupsBeforeLookbehind)
      throw invalid('cannot refer to group defined in the same lookbehind subpattern');
    if (group.isRepeated) throw untranslatable('repeated');
    this.references.push(number);
    return group;
  }

  private numberOf(name: string): number {
    const number = this.names.get(name);
    if (number === undefined) throw invalid(`unknown group name ${name}`);
    return number;
  }

  private flagged(on: string, off: string, isGlobal: boolean, isFirst: boolean): Piece | null {
    if (/a.*u|u.*a/.test(on)) throw invalid('bad inline flags: flags a and u are incompatible');
    if (Array.from(off).some((flag) => on.includes(flag))) throw invalid('bad inline flags: flag turned on and off');
    const outer = this.flags;
    if (isGlobal) {
      if (off) throw invalid('bad inline flags: missing :');
      if (!isFirst) throw invalid('global flags not at the start of the expression');
      this.flags = new Set([...outer, ...Array.from(on)]);
      if (this.flags.has('a') && this.flags.has('u')) throw invalid('ASCII and UNICODE flags are incompatible');
      return null;
    }
    const lost = /[au]/.test(on) ? `${off}au` : off;
    this.flags = new Set([...Array.from(outer).filter((flag) => !lost.includes(flag)), ...Array.from(on)]);
    const inside = this.enclosed();
    this.flags = outer;
    return inside;
  }

  private escape(): Piece {
    const word = `[${category('w', this.flags)}]`;
    if (this.accept('\\A')) return position('^');
    // \z is new in Python 3.14.
    if (this.match(/\\[Zz]/y)) return position(`(?=${E})`);
    if (this.accept('\\b')) return position(`(?:(?<=${word})(?!${word})|(?<!${word})(?=${word}))`);
    // Up to Python 3.13 \B does not match in an empty string.
    if (this.accept('\\B')) return position(`(?:(?<=${word})(?=${word})|(?<!${word})(?!${word})(?!^${E}))`);
    const reference = this.match(/\\(?![0-7]{3})([1-9]\d?)/y);
    if (reference) return this.backreference(Number(reference[1]));
    const value = this.escaped();
    return typeof value === 'number' ? this.literal(value) : piece(`[${value}]`);
  }

  /** An escape's meaning inside and outside sets: a character's code, or a set's contents. */
  private escaped(): number | string {
    if (this.accept('\\N')) throw untranslatable('named');
    const escape = this.match(ESCAPE)?.[0].slice(1);
    if (escape === undefined) throw invalid(`bad escape ${this.text.slice(this.at, this.at + 2)}`);
    if (/[DSWdsw]/.test(escape)) return category(escape, this.flags);
    return escapedCode(escape);
  }

  private set(): Piece {
    const isNegated = this.match(/\[\^?/y)?.[0] === '[^';
    const contents: string[] = [];
    while (contents.length === 0 || !this.accept(']')) {
      const from = this.member();
      const isRange = this.match(/-(?!\])/y) !== null;
      const to = isRange ? this.member() : from;
      if (typeof from === 'number' && typeof to === 'number' && from <= to) contents.push(this.range(from, to));
      else if (typeof from === 'string' && !isRange) contents.push(from);
      else throw invalid('bad character range');
    }
    return piece(isNegated ? none(contents.join('')) : `[${contents.join('')}]`);
  }

  private member(): number | string {
    if (this.at === this.text.length) throw invalid('unterminated character set');
    return this.sees('\\') ? this.escaped() : this.character();
  }

  private literal(code: number): Piece {
    const isPlain = !this.flags.has('i') && code !== END.charCodeAt(0);
    return piece(isPlain ? written(code) : `[${this.range(code, code)}]`);
  }

  private range(from: number, to: number): string {
    if (lacksCases(from, to, this.flags)) throw untranslatable('caselessLetter');
    return range(from, to, this.flags);
  }

  /** To groups in a repetition that has ended: those before its end, and through `isRepeated` those after it. */
  private refuseReferences(before: Mark): void {
    for (const group of this.groups.slice(before.groups)) group.isRepeated = true;
    if (this.references.slice(before.references).some((group) => group > before.groups))
      throw untranslatable('repeated');
  }

  private refuseIdle(before: Mark): void {
    if (this.idle > before.idle) throw untranslatable('idle');
  }

  private mark(): Mark {
    return { groups: this.groups.length, references: this.references.length, idle: this.idle };
  }

  private match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found) this.at += found[0].length;
    return found;
  }

  private sees(text: string): boolean {
    return this.text.startsWith(text, this.at);
  }

  private accept(text: string): boolean {
    const found = this.sees(text);
    if (found) this.at += text.length;
    return found;
  }

  private character(): number {
    const code = this.text.codePointAt(this.at)!;
    this.at += String.fromCodePoint(code).length;
    return code;
  }
}

/** Minimum and maximum repetitions of a piece. */
function bounds([sign, least = '', most = least]: readonly string[]): readonly [number, number] {
  if (sign === '?') return [0, 1];
  if (sign === '*') return [0, MAX_REPEAT];
  if (sign === '+') return [1, MAX_REPEAT];
  if (Number(least) >= MAX_REPEAT || Number(most) >= MAX_REPEAT) throw invalid('the repetition number is too large');
  if (most !== '' && Number(most) < Number(least)) throw invalid('min repeat greater than max repeat');
  return [Number(least), most === '' ? MAX_REPEAT : Number(most)];
}

function both(first: Piece, second: Piece): Piece {
  return piece(first.source + second.source, first.least + second.least, first.most + second.most);
}

function either(source: string, first: Width, second: Width): Piece {
  return piece(source, Math.min(first.least, second.least), Math.max(first.most, second.most));
}

/** A lookahead that succeeds if the group matched; `$` is behind END. */
function tookPart(number: number): string {
  return `${ANY}*\\k<m${number}>$`;
}
