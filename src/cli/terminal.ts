// The only way to the terminal: everything that a person reads there is made visible here, whatever file it came from.
import { createColors } from 'picocolors';
import { isatty } from 'node:tty';
import { visible } from '../core/text';

type Style = 'bold' | 'cyan' | 'dim' | 'magenta' | 'underline' | 'yellow';

/** A part of a line in a style of its own. */
export interface Styled {
  text: string;
  style: Style;
}

export type Line = string | readonly (string | Styled)[];

const { NO_COLOR, FORCE_COLOR } = process.env;
const colors = createColors(!NO_COLOR && (FORCE_COLOR ? FORCE_COLOR !== '0' : isatty(1)));

/** Lines for people on standard output. */
export function print(lines: readonly Line[]): void {
  process.stdout.write(lines.map((line) => `${lineText(line)}\n`).join(''));
}

/** For programs, as it is: JSON escapes control characters itself. */
export function printExactly(text: string): void {
  process.stdout.write(text);
}

/** A line for people on standard error. */
export function tell(line: string): void {
  process.stderr.write(`${visible(line)}\n`);
}

/** To the line's start, which is then empty. */
const CLEAR = '\r\x1b[K';

/** A line on standard error that stays, in place of one that is written over and over. */
export function notice(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(CLEAR);
  complain(text);
}

/** A failure on standard error, a line of its own that begins with the tool's name. */
export function complain(message: string): void {
  tell(`safe-lora: ${message}`);
}

/** A failure that nobody foresaw, with the places in the code. */
export function complainUnexpected(error: unknown): void {
  const [first, ...rest] = (error instanceof Error ? (error.stack ?? error.message) : String(error)).split('\n');
  complain(`unexpected: ${first!}`);
  // Indented, so that no line of a message passes for one of the tool's.
  for (const line of rest) tell(`    ${line.trim()}`);
}

/** A reader that closes early (`safe-lora inspect … | head`) wants no more, which is no failure. */
export function allowClosedOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

/** A line on standard error that is written over and over, where a person is watching. */
export class StatusLine {
  private shown = false;

  show(text: string): void {
    if (!process.stderr.isTTY) return;
    process.stderr.write(CLEAR + visible(text));
    this.shown = true;
  }

  clear(): void {
    if (this.shown) process.stderr.write(CLEAR);
    this.shown = false;
  }
}

function lineText(line: Line): string {
  if (typeof line === 'string') return visible(line);
  return line
    .map((part) => (typeof part === 'string' ? visible(part) : colors[part.style](visible(part.text))))
    .join('')
    .trimEnd();
}
