// Checksums of what is cached. They find what a disk, a copy or another program has changed; whoever can write to the cache can change
// both, and what the hub sends in parts has no checksum of its own.
import { createHash } from 'node:crypto';
import { rm, truncate, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { unwritable } from '../core/errors';
import { readOwnText, stampOf } from '../core/files';
import { parseObject } from '../core/objects';
import { sync } from '../core/atomic';
import { hashBytes, hashFile, hashRange, readInPieces } from '../core/safetensors';

/** Of the file beside another one that holds its SHA-256, as `sha256sum -c` reads it. */
export const SUM = '.sha256';

/** What can be known of a cached file. */
export type Soundness =
  | 'sound'
  | 'absent'
  /** Its bytes are not those that were cached. */
  | 'damaged'
  /** An earlier version cached it, without a checksum. */
  | 'unchecked';

/** Holds files against their checksums, each once for as long as it does not change. */
export class Checksums {
  private readonly known = new Map<string, { seen: string; isSound: boolean }>();

  async check(path: string): Promise<Soundness> {
    const { size, modified } = await stampOf(path);
    if (size < 0) return 'absent';
    const sum = await sumOf(path);
    if (sum === null) return 'unchecked';
    // Setting the time of use rounds the time of the change.
    const seen = `${size} ${Math.round(modified)} ${sum}`;
    let known = this.known.get(path);
    if (known?.seen !== seen) {
      // What cannot be read is damaged, too.
      const found = await hashRange({ path, offset: 0, length: size }).catch(() => null);
      known = { seen, isSound: found === sum };
      this.known.set(path, known);
    }
    return known.isSound ? 'sound' : 'damaged';
  }
}

/** The checksum beside a file, or null where there is none. */
export async function sumOf(path: string): Promise<string | null> {
  return (await readOwnText(path + SUM))?.slice(0, 64) ?? null;
}

/** Puts the checksum of what is going to be `path` beside it. */
export async function writeSum(path: string, part: string): Promise<void> {
  await writeNew(path + SUM, `${await hashFile(part)}  ${basename(path)}\n`);
}

/** Never through a link that has taken its place. */
async function writeNew(path: string, text: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
  await writeFile(path, text, { flag: 'wx' });
}

/** Between two notes about an unfinished file: a kill costs no more. */
const NOTE_EVERY_MS = 2_000;

/**
 * What is known of an unfinished file: so many bytes are on the disk, with this checksum. What a crash, or another program, leaves
 * without such a note is not gone on with.
 */
export class Unfinished {
  private hash = createHash('sha256');
  /** Bytes that `hash` has taken. */
  private hashed = 0;
  private noted = performance.now();
  private noting: Promise<void> = Promise.resolve();

  constructor(private readonly part: string) {}

  /**
   * How many of its bytes can be gone on with; nothing follows them then.
   * @param most as many as it is to have
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
    // A new file even where an old one is empty: whoever may still write into that one writes elsewhere.
    for (const file of [part, part + SUM]) await rm(file, { recursive: true, force: true }).catch(unwritable(file));
    return 0;
  }

  /** Notes it now and then. @param length bytes that were written */
  grown(length: number): void {
    if (performance.now() - this.noted < NOTE_EVERY_MS) return;
    this.noted = performance.now();
    this.noting = this.noting.then(() => this.note(length));
  }

  /** Once this settles, no note is under way. */
  settled(): Promise<void> {
    return this.noting;
  }

  /** Notes what is there. */
  async end(): Promise<void> {
    await this.settled();
    await this.note((await stampOf(this.part)).size);
  }

  /** Where it cannot be noted, only the bytes are lost, as where the note is lost that is not synced itself. */
  private async note(length: number): Promise<void> {
    if (length <= this.hashed) return;
    try {
      await sync(this.part);
      await writeNew(this.part + SUM, sealed({ length, of: await this.sumTo(length) }));
    } catch {
      // The next note, or none.
    }
  }

  /** SHA-256 of the file's beginning, no shorter than the last one. */
  private async sumTo(length: number): Promise<string> {
    for await (const piece of readInPieces({ path: this.part, offset: this.hashed, length: length - this.hashed })) {
      this.hash.update(piece);
      this.hashed += piece.length;
    }
    return this.hash.copy().digest('hex');
  }
}

/** Bytes of an unfinished file that a note vouches for, by their number. */
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

/** An object as the text of a small file that holds its own checksum. */
export function sealed(content: object): string {
  return JSON.stringify({ ...content, sha256: hashBytes(Buffer.from(JSON.stringify(content))) });
}

/** What `sealed` was given; a text without a checksum is an earlier version's. */
export function unsealed(text: string): Record<string, unknown> | Exclude<Soundness, 'sound' | 'absent'> {
  const { sha256, ...content } = parseObject(text) ?? {};
  if (sha256 === undefined) return 'unchecked';
  try {
    return hashBytes(Buffer.from(JSON.stringify(content))) === sha256 ? content : 'damaged';
  } catch {
    // Deeper than the stack, as nothing that was sealed.
    return 'damaged';
  }
}
