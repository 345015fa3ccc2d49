// Sentences that several surfaces say alike; their texts come from whoever shows them, in the language of the editor. And text from
// files as it may be shown: nothing in a name steers a terminal, turns the reading direction or hides.

/** Gives a text in the language of the editor. */
export interface Translation {
  t(text: string): string;
}

/** Puts values into a text's `{0}`, `{1}` …. */
export function format(text: string, ...values: (string | number)[]): string {
  return text.replace(/\{(\d+)\}/g, (_, index: string) => String(values[Number(index)]));
}

let decimalSign = '.';

/** How figures are written from now on: whatever speaks another language than English says so once, when it begins. */
export function writeFiguresIn(language: string): void {
  decimalSign = new Intl.NumberFormat(language).formatToParts(0.5).find(({ type }) => type === 'decimal')!.value;
}

/** The figures of a text that is English whatever the editor speaks. */
export function inEnglish<T>(text: () => T): T {
  const own = decimalSign;
  decimalSign = '.';
  try {
    return text();
  } finally {
    decimalSign = own;
  }
}

/** A number, or what `toFixed` and its like made of it, as it is written here. */
export function localised(number: number | string): string {
  return String(number).replace('.', decimalSign);
}

/** In place of a number that is not defined. */
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

/** A fraction in percent, with two significant digits below 10 %. */
export function percent(fraction: number | null): string {
  if (fraction === null || Number.isNaN(fraction)) return UNDEFINED;
  const value = 100 * fraction;
  if (value > 0 && value < 0.001) return `< ${localised(0.001)} %`;
  return `${localised(value === 0 || value >= 9.95 ? value.toFixed(0) : value.toPrecision(2))} %`;
}

/**
 * Control characters (escape sequences begin with one), separators of lines and paragraphs, lone surrogates, and all that is not drawn or
 * changes how its neighbours are: bidirectional controls, zero-width characters, tags, annotations. Variation selectors belong to emoji.
 */
const INVISIBLE = /(?![\ufe00-\ufe0f])[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}\ufff9-\ufffb]/gu;

/** For one line: each invisible character becomes an escape such as \x1b, \u202e or \n. What it returns, it leaves as it is. */
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

/** JSON of the same value in which nothing is invisible. */
export function visibleJson(json: string): string {
  const unit = (code: number): string => `\\u${code.toString(16).padStart(4, '0')}`;
  return json.replace(INVISIBLE, (character) =>
    // Between the values of an indented JSON.
    character === '\n'
      ? character
      : Array.from({ length: character.length }, (_, i) => unit(character.charCodeAt(i))).join(''),
  );
}

/** A text that is too long keeps its start and its end, of which one names the thing and the other says what to do. */
export function elided(text: string, most: number): string {
  if (text.length <= most) return text;
  const tail = Math.floor((most - 1) / 3);
  const [start, end] = [text.slice(0, most - 1 - tail), text.slice(text.length - tail)];
  // Half of a pair is no character.
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

/** A name as code in a line of Markdown; as text where it holds what ends code or, in a table, a cell. */
export function markdownCode(name: string): string {
  const text = visible(name);
  return /[`|\\]|^\s|\s$|^$/.test(text) ? markdownText(text) : `\`${text}\``;
}
