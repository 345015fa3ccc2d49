// What a kept result belongs to: the adapter's bytes, and the very files of both models.
import { createHash } from 'node:crypto';
import { type Adapter } from './adapter';
import { type Checkpoint } from './checkpoint';
import { SafeLoraError } from './errors';
import { areAsStamped, type FileStamp, ReadableFile } from './files';

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

export function checkpointStamps({ files }: Checkpoint): FileStamp[] {
  return files.map(({ path, size, modified }) => ({ path, size, modified }));
}

/**
 * Reads the adapter's files whole.
 * @throws SafeLoraError where they are no longer those that were opened
 */
export async function adapterIdentity(adapter: Pick<Adapter, 'stamps' | 'originals'>): Promise<AdapterIdentity> {
  const { stamps, originals } = adapter;
  const [weights, config] = await Promise.all([hashFile(stamps[0]!.path), hashFile(stamps[1]!.path)]);
  await refuseOutdated(adapter);
  return { weights, config, originals: originals !== null, stamps };
}

/** @throws SafeLoraError where a file of the adapter is no longer the one that was opened */
export async function refuseOutdated({ stamps }: Pick<Adapter, 'stamps'>): Promise<void> {
  for (const stamp of stamps) {
    if (await areAsStamped([stamp])) continue;
    throw new SafeLoraError(
      'changed-on-disk',
      `${stamp.path}: was changed on disk after it was opened; reload it to see what it holds now.`,
    );
  }
}

export function sameAdapter(one: AdapterIdentity, other: AdapterIdentity): boolean {
  return one.weights === other.weights && one.config === other.config && one.originals === other.originals;
}

/**
 * Equal for equal adapters on the same files of the same models, measured by the same version; a name for a file.
 * @param version of the tool
 */
export function inspectionKey(
  version: string,
  { weights, config, originals }: AdapterIdentity,
  base: readonly FileStamp[],
  aligned: readonly FileStamp[],
): string {
  const models = [base, aligned].map((stamps) => stamps.map(({ path, size, modified }) => [path, size, modified]));
  return createHash('sha256')
    .update(JSON.stringify([version, weights, config, originals, models]))
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
