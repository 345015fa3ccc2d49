// What an evaluation has found so far, one line each, so that an interrupted run resumes. It contains answers only if the user names a file
// for them, which is then the journal itself.
import { constants, createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { replaceFile } from '../core/atomic';
import { fileError, SafeLoraError, unwritable } from '../core/errors';
import { kindOf } from '../core/files';
import { isObject } from '../core/objects';
import { type Verdict } from './figures';

/** Scores of a point, from prefill alone. */
export interface ScoreLine {
  kind: 'score';
  /** Of projected modules; null for the aligned model. */
  count: number | null;
  refusalScore: number | null;
  referenceScore: number | null;
}

/** An answer's verdict, by the numbers of its set and of its prompt. */
export interface AnswerLine extends Verdict {
  kind: 'answer';
  count: number | null;
  set: number;
  prompt: number;
  /** Its first token; null where it has none. */
  first: number | null;
  /** Only in a file that the user named. */
  answer?: string;
}

export type JournalLine = ScoreLine | AnswerLine;

export class Journal {
  private file: FileHandle | undefined;
  /** Writing goes on in order. */
  private writing: Promise<void> = Promise.resolve();

  private constructor(
    private readonly path: string,
    /** What an earlier run of the same evaluation found. */
    readonly known: readonly JournalLine[],
  ) {}

  /**
   * Opens, hands over, and closes whatever happens.
   * @param key of everything that an answer depends on; a journal of another key begins anew
   * @throws SafeLoraError where it cannot be written
   */
  static async with<T>(path: string, key: string, use: (journal: Journal) => Promise<T>): Promise<T> {
    const journal = await Journal.open(path, key);
    try {
      return await use(journal);
    } finally {
      await journal.close();
    }
  }

  private static async open(path: string, key: string): Promise<Journal> {
    await mkdir(dirname(path), { recursive: true }).catch(unwritable(path));
    const known = await readLines(path, key);
    const journal = new Journal(path, known ?? []);
    if (known === null) {
      await replaceFile(path, async (temporary) => {
        const file = await open(temporary, 'wx', 0o600);
        await file.writeFile(`${JSON.stringify({ journal: key })}\n`);
        await file.close();
      }).catch(unwritable(path));
    }
    journal.file = await open(path, constants.O_WRONLY | constants.O_APPEND).catch(unwritable(path));
    // A run that was killed may have left half a line.
    if (known !== null) await journal.file.appendFile('\n').catch(unwritable(path));
    return journal;
  }

  /** @throws SafeLoraError where it cannot be written */
  write(lines: readonly JournalLine[]): Promise<void> {
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
    this.writing = this.writing.then(() => this.file!.appendFile(text)).catch(unwritable(this.path));
    // Whoever asked may wait for it later: a failure that nobody waits for yet would end the process.
    this.writing.catch(() => undefined);
    return this.writing;
  }

  /** All that is written is there. */
  private async close(): Promise<void> {
    await this.writing.catch(() => undefined);
    await this.file?.close();
    this.file = undefined;
  }

  /** The evaluation is whole. */
  async remove(): Promise<void> {
    await this.close();
    await rm(this.path, { force: true });
  }
}

/** @returns null where there is no journal of that key */
async function readLines(path: string, key: string): Promise<JournalLine[] | null> {
  const kind = await kindOf(path);
  if (kind === null) return null;
  if (kind !== 'file') throw notAJournal(path);
  const lines: JournalLine[] = [];
  let isFirst = true;
  try {
    for await (const text of createInterface({ input: createReadStream(path, 'utf8'), crlfDelay: Infinity })) {
      const value = valueOf(text);
      if (isFirst) {
        if (!isObject(value) || typeof value.journal !== 'string') throw notAJournal(path);
        if (value.journal !== key) return null;
        isFirst = false;
      } else if (isLine(value)) lines.push(value);
      // What was being written when the run was broken off is found again.
    }
  } catch (error) {
    throw fileError(path, error);
  }
  if (isFirst) throw notAJournal(path);
  return lines;
}

function valueOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isLine(value: unknown): value is JournalLine {
  return isObject(value) && (value.kind === 'score' || value.kind === 'answer');
}

function notAJournal(path: string): SafeLoraError {
  return new SafeLoraError(
    'output-exists',
    `${path}: exists and is not from an interrupted evaluation; move it away, or choose another file for --answers.`,
  );
}
