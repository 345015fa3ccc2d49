// Extracts the two libraries from a NuGet package (a zip file), and nothing else.
import { buf as crc32 } from 'crc-32';
import { createWriteStream } from 'node:fs';
import { basename, join } from 'node:path';
import { type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Entry, ZipFile } from 'yauzl';
import { fileError, SafeLoraError } from '../core/errors';
import { ReadableFile } from '../core/files';
import { sync } from '../core/atomic';
import { readNeeded, X86_64 } from './needed';
import { type ProviderPackage } from './package';

/** A NuGet package has about ten to a thousand files. */
const MAX_ENTRIES = 20_000;
/** The provider of onnxruntime 1.30 unpacks to less than a tenth of this. */
const MAX_LIBRARY_BYTES = 8_000_000_000;
const MAX_NUSPEC_BYTES = 1_000_000;

/**
 * Writes the complete libraries to an existing folder, with the archive's checksums verified.
 * @throws SafeLoraError if it is another package or version, or is damaged; the signal's reason
 */
export async function extract(
  archive: string,
  wanted: ProviderPackage,
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  // Reports a missing folder or device like for every other file.
  await ReadableFile.with(archive, () => Promise.resolve());
  let zip: ZipFile | undefined;
  try {
    // Loaded only for an install.
    const { openPromise } = await import('yauzl');
    zip = await openPromise(archive, { autoClose: false });
    const entries = await entriesOf(zip, archive);
    await requirePackage(zip, entries, archive, wanted);
    for (const path of wanted.files) {
      const entry = entries.get(path);
      if (!entry) throw refused(archive, `it has no ${path}`, wanted);
      await write(zip, entry, join(folder, basename(path)), MAX_LIBRARY_BYTES, signal);
    }
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof SafeLoraError) throw error;
    // The system's own codes, such as ENOSPC, but not Node's ERR_….
    if (/^E(?!RR_)/.test((error as NodeJS.ErrnoException).code ?? '')) throw fileError(folder, error, 'write');
    throw refused(archive, `it is damaged or not a NuGet package (${(error as Error).message})`, wanted);
  } finally {
    zip?.close();
  }
  for (const path of wanted.files) {
    const { machine } = await readNeeded(join(folder, basename(path)));
    if (machine !== X86_64) throw refused(archive, `${path} in it is for another processor`, wanted);
  }
}

async function entriesOf(zip: ZipFile, archive: string): Promise<Map<string, Entry>> {
  if (zip.entryCount > MAX_ENTRIES) throw new Error(`${zip.entryCount} files in it`);
  const entries = new Map<string, Entry>();
  for await (const entry of zip.eachEntry()) {
    if (entries.has(entry.fileName)) throw new Error(`${entry.fileName} is twice in ${basename(archive)}`);
    entries.set(entry.fileName, entry);
  }
  return entries;
}

/** The package's description must contain its name and version: another version's provider does not load. */
async function requirePackage(
  zip: ZipFile,
  entries: ReadonlyMap<string, Entry>,
  archive: string,
  wanted: ProviderPackage,
): Promise<void> {
  const nuspec = [...entries.values()].find(({ fileName }) => /^[^/]+\.nuspec$/.test(fileName));
  if (!nuspec) throw refused(archive, 'it has no .nuspec, so it is not a NuGet package', wanted);
  const text = (await collect(zip, nuspec, MAX_NUSPEC_BYTES)).toString('utf8');
  const [id, version] = ['id', 'version'].map((tag) => new RegExp(`<${tag}>\\s*([^<]*?)\\s*</${tag}>`).exec(text)?.[1]);
  if (id?.toLowerCase() !== wanted.id.toLowerCase() || version !== wanted.version)
    throw refused(archive, `it is ${id ?? 'a package without a name'} ${version ?? ''}`.trimEnd(), wanted);
}

async function collect(zip: ZipFile, entry: Entry, limit: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of await openEntry(zip, entry, limit)) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

async function write(zip: ZipFile, entry: Entry, path: string, limit: number, signal: AbortSignal): Promise<void> {
  let sum = 0;
  const stream = await openEntry(zip, entry, limit);
  await pipeline(
    stream,
    async function* (pieces: AsyncIterable<Buffer>) {
      for await (const piece of pieces) {
        sum = crc32(piece, sum);
        yield piece;
      }
    },
    createWriteStream(path, { flags: 'wx' }),
    { signal },
  );
  if (sum >>> 0 !== entry.crc32) throw new Error(`${entry.fileName} has a wrong checksum`);
  await sync(path);
}

async function openEntry(zip: ZipFile, entry: Entry, limit: number): Promise<Readable> {
  if (entry.uncompressedSize > limit) throw new Error(`${entry.fileName} is too large`);
  // The stream itself fails if it yields more or fewer bytes than declared.
  return zip.openReadStreamPromise(entry);
}

function refused(archive: string, reason: string, { id, version, page }: ProviderPackage): SafeLoraError {
  return new SafeLoraError(
    'provider-package',
    `${archive}: cannot be installed: ${reason}; ${id} ${version} is needed, from ${page}.`,
  );
}
