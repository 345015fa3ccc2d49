// All output to the terminal: escapes invisible characters in everything that people read, whatever file it came from.
import { createColors } from 'picocolors';
import { type Writable } from 'node:stream';
import { visible } from '../core/text';

type Style = 'bold' | 'cyan' | 'dim' | 'magenta' | 'underline' | 'yellow';

/** A part of a line in a style of its own. */
export interface Styled {
  text: string;
  style: Style;
}

export type Line = string | readonly (string | Styled)[];

/** Moves to the line's start, and clears it. */
const CLEAR = '\r\x1b[K';

export type Output = Writable & { isTTY?: boolean };

export class Terminal {
  private readonly colors: ReturnType<typeof createColors>;

  constructor(
    private readonly out: Output,
    private readonly err: Output,
    { NO_COLOR, FORCE_COLOR }: NodeJS.ProcessEnv,
  ) {
    this.colors = createColors(!NO_COLOR && (FORCE_COLOR ? FORCE_COLOR !== '0' : out.isTTY === true));
  }

  /** Lines for people on standard output. */
  print(lines: readonly Line[]): void {
    this.out.write(lines.map((line) => `${this.lineText(line)}\n`).join(''));
  }

  /** For programs, unchanged: JSON already escapes control characters. */
  printExactly(text: string): void {
    this.out.write(text);
  }

  /** A line for people on standard error. */
  tell(line: string): void {
    this.err.write(`${visible(line)}\n`);
  }

  /** A permanent line on standard error, replacing the progress line. */
  readonly notice = (text: string): void => {
    if (this.err.isTTY) this.err.write(CLEAR);
    this.complain(text);
  };

  /** A failure on its own line of standard error, beginning with the tool's name. */
  complain(message: string): void {
    this.tell(`safe-lora: ${message}`);
  }

  /** An unexpected failure, with the stack trace. */
  complainUnexpected(error: unknown): void {
    const [first, ...rest] = (error instanceof Error ? (error.stack ?? error.message) : String(error)).split('\n');
    this.complain(`unexpected: ${first!}`);
    // Indented, so that no line of a message looks like one of the tool's.
    for (const line of rest) this.tell(`    ${line.trim()}`);
  }

  /** Replaces the progress line, on a terminal only. */
  writeOver(text: string): boolean {
    if (this.err.isTTY) this.err.write(CLEAR + visible(text));
    return this.err.isTTY === true;
  }

  private lineText(line: Line): string {
    if (typeof line === 'string') return visible(line);
    return line
      .map((part) => (typeof part === 'string' ? visible(part) : this.colors[part.style](visible(part.text))))
      .join('')
      .trimEnd();
  }
}

/** This process's own. */
export function processTerminal(): Terminal {
  const { stdout, stderr, env } = process;
  const terminal = new Terminal(stdout, stderr, env);
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    // A reader that closes early (`safe-lora inspect … | head`) is not a failure.
    if (error.code === 'EPIPE') return;
    terminal.complain(`standard output: cannot write it: ${error.message}; make room, or send it elsewhere.`);
    process.exit(1);
  });
  return terminal;
}

/** The progress line on standard error, on a terminal only. */
export class StatusLine {
  private shown = false;

  constructor(private readonly terminal: Terminal) {}

  show(text: string): void {
    this.shown = this.terminal.writeOver(text);
  }

  clear(): void {
    if (this.shown) this.terminal.writeOver('');
    this.shown = false;
  }
}
