// Checksums of cached data. They detect changes by a disk, a copy or another program; anyone who can write to the cache can change both,
// and data that the hub sends in parts has no checksum of its own.
import { createHash } from 'node:crypto';
import { rm, truncate, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { unwritable } from '../core/errors';
import { readOwnText, stampOf } from '../core/files';
import { parseObject } from '../core/objects';
import { sync } from '../core/atomic';
import { hashBytes, hashFile, hashRange, readInPieces } from '../core/safetensors';

/** Extension of the file with another's SHA-256, in the format of `sha256sum -c`. */
export const SUM = '.sha256';

/** The state of a cached file. */
export type Soundness =
  | 'sound'
  | 'absent'
  /** Its bytes have changed since they were cached. */
  | 'damaged'
  /** An earlier version cached it, without a checksum. */
  | 'unchecked';

/** Checks files against their checksums, each only once while it does not change. */
export class Checksums {
  private readonly known = new Map<string, { seen: string; isSound: boolean }>();

  async check(path: string): Promise<Soundness> {
    const { size, modified } = await stampOf(path);
    if (size < 0) return 'absent';
    const sum = await sumOf(path);
    if (sum === null) return 'unchecked';
    // Setting the access time rounds the modification time.
    const seen = `${size} ${Math.round(modified)} ${sum}`;
    let known = this.known.get(path);
    if (known?.seen !== seen) {
      // Unreadable files count as damaged, too.
      const found = await hashRange({ path, offset: 0, length: size }).catch(() => null);
      known = { seen, isSound: found === sum };
      this.known.set(path, known);
    }
    return known.isSound ? 'sound' : 'damaged';
  }
}

/** The checksum beside a file, or null if there is none. */
export async function sumOf(path: string): Promise<string | null> {
  return (await readOwnText(path + SUM))?.slice(0, 64) ?? null;
}

/** Writes the checksum of the future `path` beside it. */
export async function writeSum(path: string, part: string): Promise<void> {
  await writeNew(path + SUM, `${await hashFile(part)}  ${basename(path)}\n`);
}

/** Never follows a link that has replaced it. */
async function writeNew(path: string, text: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
  await writeFile(path, text, { flag: 'wx' });
}

/** Bytes between two notes about an unfinished file: a kill loses no more. */
const NOTE_EVERY_MS = 2_000;

/**
 * Progress of an unfinished file: the bytes on disk, and their checksum. Bytes that a crash or another program leaves without such a note
 * are discarded.
 */
export class Unfinished {
  private hash = createHash('sha256');
  /** Bytes in `hash` so far. */
  private hashed = 0;
  private noted = performance.now();
  private noting: Promise<void> = Promise.resolve();

  constructor(private readonly part: string) {}

  /**
   * Number of its bytes that can be kept; the file is cut after them.
   * @param most its final length
   */
  async begin(most: number): Promise<number> {
    const { part } = this;
    const note = await noteOf(part);
    const isSound =
      note !== null &&
      note.length > 0 &&
      note.length <= most &&
      (await this.sumTo(note.length).catch(() => null)) === note.sha256;
    if (isSound) {
      await truncate(part, note.length).catch(unwritable(part));
      return note.length;
    }
    this.hash = createHash('sha256');
    this.hashed = 0;
    // Creates a new file even if the old one is empty: a process still writing to the old one then writes elsewhere.
    for (const file of [part, part + SUM]) await rm(file, { recursive: true, force: true }).catch(unwritable(file));
    return 0;
  }

  /** Writes a note periodically. @param length bytes written so far */
  grown(length: number): void {
    if (performance.now() - this.noted < NOTE_EVERY_MS) return;
    this.noted = performance.now();
    this.noting = this.noting.then(() => this.note(length));
  }

  /** Resolves once no note is being written. */
  settled(): Promise<void> {
    return this.noting;
  }

  /** Writes a note about the present bytes. */
  async end(): Promise<void> {
    await this.settled();
    await this.note((await stampOf(this.part)).size);
  }

  /** A failed note only loses the bytes, like a note lost for lack of a sync. */
  private async note(length: number): Promise<void> {
    if (length <= this.hashed) return;
    try {
      await sync(this.part);
      await writeNew(this.part + SUM, sealed({ length, of: await this.sumTo(length) }));
    } catch {
      // Left to the next note, or none.
    }
  }

  /** SHA-256 of the file's beginning, never shorter than the last one. */
  private async sumTo(length: number): Promise<string> {
    for await (const piece of readInPieces({ path: this.part, offset: this.hashed, length: length - this.hashed })) {
      this.hash.update(piece);
      this.hashed += piece.length;
    }
    return this.hash.copy().digest('hex');
  }
}

/** Number of bytes of an unfinished file that a note confirms. */
export async function notedBytes(part: string): Promise<number> {
  const { length = 0 } = (await noteOf(part)) ?? {};
  return Math.min(length, Math.max(0, (await stampOf(part)).size));
}

async function noteOf(part: string): Promise<{ length: number; sha256: string } | null> {
  const note = unsealed((await readOwnText(part + SUM)) ?? '');
  if (typeof note === 'string') return null;
  const { length, of } = note;
  return Number.isSafeInteger(length) && typeof of === 'string' ? { length: length as number, sha256: of } : null;
}

/** Serialises an object as a small file with its own checksum. */
export function sealed(content: object): string {
  return JSON.stringify({ ...content, sha256: hashBytes(Buffer.from(JSON.stringify(content))) });
}

/** Parses the output of `sealed`; text without a checksum is from an earlier version. */
export function unsealed(text: string): Record<string, unknown> | Exclude<Soundness, 'sound' | 'absent'> {
  const { sha256, ...content } = parseObject(text) ?? {};
  if (sha256 === undefined) return 'unchecked';
  try {
    return hashBytes(Buffer.from(JSON.stringify(content))) === sha256 ? content : 'damaged';
  } catch {
    // Nested deeper than the stack, as nothing sealed is.
    return 'damaged';
  }
}
