// Checksums of what is cached. They find what a disk, a copy or another program has changed; whoever can write to the cache can change
// both, and what the hub sends in parts has no checksum of its own.
import { rm, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { readOwnText, stampOf } from '../core/files';
import { parseObject } from '../core/objects';
import { hashBytes, hashRange } from '../core/safetensors';

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
  const sum = await hashRange({ path: part, offset: 0, length: (await stampOf(part)).size });
  // Never through a link that has taken its place.
  await rm(path + SUM, { recursive: true, force: true });
  await writeFile(path + SUM, `${sum}  ${basename(path)}\n`, { flag: 'wx' });
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
