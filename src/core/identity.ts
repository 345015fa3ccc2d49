// What a kept result belongs to: the adapter's bytes, and the very files of both models.
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Adapter, CONFIG_FILE } from './adapter';
import { type Checkpoint } from './checkpoint';
import { fileError } from './errors';
import { ReadableFile } from './files';

/** A file as it was seen: enough to notice a change without reading it. */
export interface FileStamp {
  path: string;
  /** In bytes; -1 where there was no file. */
  size: number;
  /** Time of the last change, in milliseconds since 1970. */
  modified: number;
}

export interface AdapterIdentity {
  /** SHA-256 of adapter_model.safetensors. */
  weights: string;
  /** SHA-256 of adapter_config.json, which says how the weights are meant. */
  config: string;
  /** Kept originals stand in for projected tensors, so that the numbers are those of the originals. */
  originals: boolean;
  /** Of the files that this was taken from. */
  stamps: FileStamp[];
}

const PIECE = 2 ** 20;

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

/** True where every file is as it was stamped. */
export async function areAsStamped(stamps: readonly FileStamp[]): Promise<boolean> {
  const now = await Promise.all(stamps.map(({ path }) => stampOf(path).catch(() => null)));
  return now.every((stamp, i) => stamp?.size === stamps[i]!.size && stamp.modified === stamps[i]!.modified);
}

export function checkpointStamps({ files }: Checkpoint): FileStamp[] {
  return files.map(({ path, size, modified }) => ({ path, size, modified }));
}

/**
 * Reads the adapter's files whole.
 * @param originalsPath where its originals would be kept
 */
export async function adapterIdentity(
  { file, path, originals }: Pick<Adapter, 'file' | 'path' | 'originals'>,
  originalsPath: string,
): Promise<AdapterIdentity> {
  const paths = [file.path, join(path, CONFIG_FILE), originalsPath];
  const stamps = await Promise.all(paths.map(stampOf));
  const [weights, config] = await Promise.all([hashFile(paths[0]!), hashFile(paths[1]!)]);
  return { weights, config, originals: originals !== null, stamps };
}

export function sameAdapter(one: AdapterIdentity, other: AdapterIdentity): boolean {
  return one.weights === other.weights && one.config === other.config && one.originals === other.originals;
}

/** Equal for equal adapters on the same files of the same models; a name for a file. */
export function inspectionKey(
  { weights, config, originals }: AdapterIdentity,
  base: readonly FileStamp[],
  aligned: readonly FileStamp[],
): string {
  const models = [base, aligned].map((stamps) => stamps.map(({ path, size, modified }) => [path, size, modified]));
  return createHash('sha256')
    .update(JSON.stringify([weights, config, originals, models]))
    .digest('hex');
}

/** SHA-256 in hexadecimal, read in pieces. */
async function hashFile(path: string): Promise<string> {
  return ReadableFile.with(path, async (file) => {
    const hash = createHash('sha256');
    for (let done = 0; done < file.size; done += PIECE) {
      hash.update(await file.read(done, Math.min(PIECE, file.size - done)));
    }
    return hash.digest('hex');
  });
}
