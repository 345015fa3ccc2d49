// An evaluation's results so far, one line each, so that an interrupted run resumes. It contains answers only if the user names a file for
// them, which then is the journal.
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
  /** Number of projected modules; null for the aligned model. */
  count: number | null;
  refusalScore: number | null;
  referenceScore: number | null;
}

/** An answer's verdict, by the numbers of its set and prompt. */
export interface AnswerLine extends Verdict {
  kind: 'answer';
  count: number | null;
  set: number;
  prompt: number;
  /** Its first token; null if it has none. */
  first: number | null;
  /** Only in a file named by the user. */
  answer?: string;
}

export type JournalLine = ScoreLine | AnswerLine;

export class Journal {
  private file: FileHandle | undefined;
  /** Serialises the writes. */
  private writing: Promise<void> = Promise.resolve();

  private constructor(
    private readonly path: string,
    /** Results of an earlier run of the same evaluation. */
    readonly known: readonly JournalLine[],
  ) {}

  /**
   * Opens the journal, passes it on, and always closes it.
   * @param key of everything that affects an answer; another key starts a new journal
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
    // A killed run may have left an incomplete line.
    if (known !== null) await journal.file.appendFile('\n').catch(unwritable(path));
    return journal;
  }

  /** @throws SafeLoraError where it cannot be written */
  write(lines: readonly JournalLine[]): Promise<void> {
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
    this.writing = this.writing.then(() => this.file!.appendFile(text)).catch(unwritable(this.path));
    // The caller may await it later: until then an unhandled failure would end the process.
    this.writing.catch(() => undefined);
    return this.writing;
  }

  /** Resolves once everything is written. */
  private async close(): Promise<void> {
    await this.writing.catch(() => undefined);
    await this.file?.close();
    this.file = undefined;
  }

  /** Marks the evaluation as complete. */
  async remove(): Promise<void> {
    await this.close();
    await rm(this.path, { force: true });
  }
}

/** @returns null if there is no journal of that key */
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
      // An interrupted run's incomplete line is computed again.
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
