// Bytes from disk: regular files only, read by range, with errors that name the file.
import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { fileError, SafeLoraError } from './errors';
import { formatOfJson } from './formats';
import { parseJsonBytes } from './json';
import { isObject } from './objects';

/** A file opened for reading byte ranges. */
export class ReadableFile {
  private constructor(
    readonly path: string,
    readonly size: number,
    /** Time of the last change, in milliseconds since 1970. */
    readonly modified: number,
    /** Changes with the content and when another file replaces it, even one of the same size and time. */
    readonly identity: string,
    private readonly handle: FileHandle,
  ) {}

  /** @throws SafeLoraError where the path is missing, unreadable or not a regular file (a pipe or a device would block or never end) */
  static async open(path: string): Promise<ReadableFile> {
    try {
      refuseIrregular(path, await stat(path));
      const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
      try {
        const found = await handle.stat();
        refuseIrregular(path, found);
        const { size, ino, ctimeNs, mtimeNs } = await handle.stat({ bigint: true });
        return new ReadableFile(path, found.size, found.mtimeMs, [size, ino, ctimeNs, mtimeNs].join('-'), handle);
      } catch (error) {
        await handle.close();
        throw error;
      }
    } catch (error) {
      throw fileError(path, error);
    }
  }

  /** Opens the file, passes it on, and always closes it. */
  static async with<T>(path: string, use: (file: ReadableFile) => Promise<T>): Promise<T> {
    const file = await ReadableFile.open(path);
    try {
      return await use(file);
    } finally {
      await file.close();
    }
  }

  async close(): Promise<void> {
    await this.handle.close();
  }

  /** @throws SafeLoraError where the file has fewer bytes than requested */
  async read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const { bytesRead } = await this.handle
        .read(bytes, done, length - done, offset + done)
        .catch((error: unknown) => {
          throw fileError(this.path, error);
        });
      if (bytesRead === 0) throw truncated(this.path, offset + length, offset + done);
      done += bytesRead;
    }
    return bytes;
  }
}

function refuseIrregular(path: string, found: { isDirectory(): boolean; isFile(): boolean }): void {
  if (found.isFile()) return;
  throw found.isDirectory() ? folderAsFile(path) : specialFile(path);
}

/** A file's state, to notice a change without reading it. */
export interface FileStamp {
  path: string;
  /** In bytes; -1 if the file does not exist. */
  size: number;
  /** Time of the last change, in milliseconds since 1970. */
  modified: number;
}

export async function stampOf(path: string): Promise<FileStamp> {
  try {
    const { size, mtimeMs } = await stat(path);
    return { path, size, modified: mtimeMs };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return { path, size: -1, modified: 0 };
    throw fileError(path, error);
  }
}

/** A file of a commit on the hub, which never changes. */
const COMMITTED = /^hf:\/\/[^@]+@[0-9a-f]{40}\//;

/** True if every file still matches its stamp. */
export async function areAsStamped(stamps: readonly FileStamp[]): Promise<boolean> {
  const mutable = stamps.filter(({ path }) => !COMMITTED.test(path));
  const now = await Promise.all(mutable.map(({ path }) => stampOf(path).catch(() => null)));
  return now.every((stamp, i) => stamp?.size === mutable[i]!.size && stamp.modified === mutable[i]!.modified);
}

export function truncated(path: string, needed: number, found: number): SafeLoraError {
  return new SafeLoraError(
    'safetensors-format',
    `${path}: the file is cut off: ${needed} bytes are needed, ${found} are there; download or copy it again.`,
  );
}

/**
 * Largest JSON texts read whole, in bytes. A hostile one takes up to forty times its size in memory, and parsing blocks the process.
 */
export const jsonCaps = {
  /** Published configurations have up to about 100 kB: lists of layers that are not quantised, or of labels. */
  configuration: 1_000_000,
  /** One line per tensor: the largest of a public model has about 20 MB. */
  index: 100_000_000,
} as const;

/** @throws the error of `refuse` where a JSON text of that size is too large */
export function refuseLargeJson(size: number, most: number, refuse: (reason: string) => SafeLoraError): void {
  if (size > most) throw refuse(`has ${size} bytes, more than the ${most} that are read of such a file`);
}

/**
 * Reads a JSON file whose top must be an object.
 * @param most maximum bytes, see `jsonCaps`
 */
export async function readJsonObject(
  path: string,
  most: number,
  refuse: (reason: string) => SafeLoraError,
): Promise<Record<string, unknown>> {
  return jsonObjectOf(await readJsonBytes(path, most, refuse), refuse);
}

/** @param most maximum bytes */
export function readJsonBytes(
  path: string,
  most: number,
  refuse: (reason: string) => SafeLoraError,
): Promise<Uint8Array> {
  return ReadableFile.with(path, async (file) => {
    refuseLargeJson(file.size, most, refuse);
    return file.read(0, file.size);
  });
}

export function jsonObjectOf(bytes: Uint8Array, refuse: (reason: string) => SafeLoraError): Record<string, unknown> {
  let value: unknown;
  try {
    value = parseJsonBytes(bytes);
  } catch (error) {
    const format = formatOfJson(bytes);
    if (format) throw refuse(`is ${format.what}, not JSON (${format.next})`);
    throw refuse(`is not valid JSON (${(error as Error).message.slice(0, 120)})`);
  }
  if (!isObject(value)) throw refuse('is not a JSON object');
  return value;
}

/** Size limit for small files of this program and its relatives. */
const MAX_OWN_BYTES = 10_000_000;

/** One of the program's own files as text; null if missing or no regular file: reading a pipe would never end. */
export async function readOwnText(path: string): Promise<string | null> {
  const read = ReadableFile.with(path, async (file) =>
    file.size > MAX_OWN_BYTES ? null : Buffer.from(await file.read(0, file.size)).toString('utf8'),
  );
  return read.catch(() => null);
}

/** The type of the path's target, following symbolic links, or null if nothing exists. */
export async function kindOf(path: string): Promise<'file' | 'folder' | 'other' | null> {
  try {
    const found = await stat(path);
    return found.isFile() ? 'file' : found.isDirectory() ? 'folder' : 'other';
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw fileError(path, error);
  }
}

function folderAsFile(path: string): SafeLoraError {
  return new SafeLoraError(
    'file-access',
    `${path}: cannot read it: it is a folder where a file was expected; check the path.`,
  );
}

function specialFile(path: string): SafeLoraError {
  return new SafeLoraError(
    'file-access',
    `${path}: cannot read it: it is a special file, not a regular one; copy its content into a file.`,
  );
}
