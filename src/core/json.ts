// JSON as Python's json module writes and reads it: with Infinity, -Infinity and NaN as numbers, which published models contain
// (time_step_limit of Nemotron-H). No JSON library reads exactly that: JSON5 parsers also take comments and trailing commas, which
// Python refuses.

/** Replaces NaN while JSON.parse runs; no text of a configuration begins with a control character. */
const NAN = '\u0000NaN';

/**
 * @param bytes UTF-8, or UTF-16 with a byte order mark, as some Windows editors save it
 * @throws SyntaxError
 */
export function parseJsonBytes(bytes: Uint8Array): unknown {
  return parseJson(textOf(bytes));
}

/** @throws SyntaxError */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!/NaN|Infinity/.test(text)) throw error;
    return JSON.parse(withoutPythonNumbers(text), (_, value: unknown) => (value === NAN ? NaN : value));
  }
}

function textOf(bytes: Uint8Array): string {
  const [first, second] = bytes;
  const encoding =
    first === 0xff && second === 0xfe ? 'utf-16le' : first === 0xfe && second === 0xff ? 'utf-16be' : 'utf-8';
  // A TextDecoder drops the mark.
  return new TextDecoder(encoding).decode(bytes);
}

/** Rewrites Python's numbers outside strings as JSON. */
function withoutPythonNumbers(text: string): string {
  const parts: string[] = [];
  for (let at = 0; at < text.length;) {
    const quote = text.indexOf('"', at);
    const outside = text.slice(at, quote < 0 ? text.length : quote);
    // JSON.parse turns a number beyond the range of a double into an infinity.
    parts.push(outside.replace(/\bInfinity\b/g, '1e999').replace(/\bNaN\b/g, JSON.stringify(NAN)));
    if (quote < 0) break;
    const end = endOfString(text, quote);
    parts.push(text.slice(quote, end));
    at = end;
  }
  return parts.join('');
}

/** The position after the closing quote of a string, or the end of the text. */
function endOfString(text: string, quote: number): number {
  for (let at = quote + 1; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '"') return at + 1;
  }
  return text.length;
}
