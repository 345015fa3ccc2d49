// What a kept result belongs to: the adapter's bytes, and the very files of both models.
import { createHash } from 'node:crypto';
import { type Adapter } from './adapter';
import { type Checkpoint } from './checkpoint';
import { changedOnDisk } from './errors';
import { areAsStamped, type FileStamp } from './files';
import { hashRange } from './safetensors';

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

export function checkpointStamps({ files }: Checkpoint): FileStamp[] {
  return files.map(({ path, size, modified }) => ({ path, size, modified }));
}

/**
 * Reads the adapter's files whole.
 * @throws SafeLoraError where they are no longer those that were opened
 */
export async function adapterIdentity(adapter: Pick<Adapter, 'stamps' | 'originals'>): Promise<AdapterIdentity> {
  const { stamps, originals } = adapter;
  const [weights, config] = await Promise.all(
    stamps.slice(0, 2).map(({ path, size }) => hashRange({ path, offset: 0, length: size })),
  );
  await refuseOutdated(adapter);
  return { weights: weights!, config: config!, originals: originals !== null, stamps };
}

/** @throws SafeLoraError where a file of the adapter is no longer the one that was opened */
export async function refuseOutdated({ stamps }: Pick<Adapter, 'stamps'>): Promise<void> {
  for (const stamp of stamps) {
    if (!(await areAsStamped([stamp]))) throw changedOnDisk(stamp.path);
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
