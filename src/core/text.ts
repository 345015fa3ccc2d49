// Sentences shared by several surfaces; callers pass the texts in the language of the editor. Also makes text from files safe to show: no
// name can steer a terminal, change the reading direction or hide.

/** Gives a text in the language of the editor. */
export interface Translation {
  t(text: string): string;
}

/** Puts values into a text's `{0}`, `{1}` …. */
export function format(text: string, ...values: (string | number)[]): string {
  return text.replace(/\{(\d+)\}/g, (_, index: string) => String(values[Number(index)]));
}

let decimalSign = '.';

/** Sets the number format; programs in a language other than English call it once at the start. */
export function writeFiguresIn(language: string): void {
  decimalSign = new Intl.NumberFormat(language).formatToParts(0.5).find(({ type }) => type === 'decimal')!.value;
}

/** Number format for text that is always English. */
export function inEnglish<T>(text: () => T): T {
  const own = decimalSign;
  decimalSign = '.';
  try {
    return text();
  } finally {
    decimalSign = own;
  }
}

/** Formats a number, or the output of `toFixed` and its like. */
export function localised(number: number | string): string {
  return String(number).replace('.', decimalSign);
}

/** Shown for undefined numbers. */
export const UNDEFINED = '–';

/** With a true minus or a plus, unless it rounds to zero. */
export function signed(value: number | null, digits = 3): string {
  if (value === null || Number.isNaN(value)) return UNDEFINED;
  const size = Math.abs(value).toFixed(digits);
  return localised(Number(size) === 0 ? size : `${value < 0 ? '−' : '+'}${size}`);
}

export function decimal(value: number | null, digits = 3): string {
  return value === null || Number.isNaN(value) ? UNDEFINED : localised(value.toFixed(digits));
}

/** “[0.12, 0.34]”; a comma that is the decimal sign separates nothing. */
export function interval({ low, high }: { low: number; high: number }, write = decimal): string {
  return `[${write(low, 2)}${decimalSign === ',' ? ';' : ','} ${write(high, 2)}]`;
}

/** A fraction in percent, with two significant digits below 10 %. */
export function percent(fraction: number | null): string {
  if (fraction === null || Number.isNaN(fraction)) return UNDEFINED;
  const value = 100 * fraction;
  if (value > 0 && value < 0.001) return `< ${localised(0.001)} %`;
  return `${localised(value === 0 || value >= 9.95 ? value.toFixed(0) : value.toPrecision(2))} %`;
}

/**
 * Control characters (escape sequences begin with one), separators of lines and paragraphs, lone surrogates, and everything invisible or
 * that changes its neighbours: bidirectional controls, zero-width characters, tags, annotations. Variation selectors belong to emoji.
 */
const INVISIBLE = /(?![\ufe00-\ufe0f])[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}\ufff9-\ufffb]/gu;

/** For one line: escapes each invisible character, such as \x1b, \u202e or \n. Idempotent. */
export function visible(text: string): string {
  return text.replace(INVISIBLE, escapeOf);
}

/** The same for a text of several lines. */
export function visibleLines(text: string): string {
  return text.split('\n').map(visible).join('\n');
}

function escapeOf(character: string): string {
  const short = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }[character];
  if (short !== undefined) return short;
  const code = character.codePointAt(0)!.toString(16);
  return code.length <= 2
    ? `\\x${code.padStart(2, '0')}`
    : code.length <= 4
      ? `\\u${code.padStart(4, '0')}`
      : `\\u{${code}}`;
}

/** JSON of the same value without invisible characters. */
export function visibleJson(json: string): string {
  const unit = (code: number): string => `\\u${code.toString(16).padStart(4, '0')}`;
  return json.replace(INVISIBLE, (character) =>
    // Between the values of an indented JSON.
    character === '\n'
      ? character
      : Array.from({ length: character.length }, (_, i) => unit(character.charCodeAt(i))).join(''),
  );
}

/** Shortens a long text, keeping the start, which names the subject, and the end, which says what to do. */
export function elided(text: string, most: number): string {
  if (text.length <= most) return text;
  const tail = Math.floor((most - 1) / 3);
  const [start, end] = [text.slice(0, most - 1 - tail), text.slice(text.length - tail)];
  // Do not split a surrogate pair.
  return `${start.replace(/[\ud800-\udbff]$/, '')}…${end.replace(/^[\udc00-\udfff]/, '')}`;
}

/** Text within a line of Markdown or a cell of its tables: no markup, no HTML, no link, no mathematics. */
export function markdownText(text: string): string {
  return (
    visible(text)
      .replace(/[\\`*_{}[\]()!|<>~&$^@]/g, '\\$&')
      .replace(/^[-+=#]/, '\\$&')
      .replace(/^(\d+)([.)])/, '$1\\$2')
      // Bare addresses become links, too.
      .replace(/:(?=\/\/)|(?<=\bwww)\./gi, '\\$&')
  );
}

/** A name as code in a line of Markdown; as text if it contains what ends code or, in a table, a cell. */
export function markdownCode(name: string): string {
  const text = visible(name);
  return /[`|\\]|^\s|\s$|^$/.test(text) ? markdownText(text) : `\`${text}\``;
}
