// Identifies a cached result: the adapter's bytes, and the exact files of both models.
import { createHash } from 'node:crypto';
import { type Adapter } from './adapter';
import { type Checkpoint } from './checkpoint';
import { changedOnDisk } from './errors';
import { areAsStamped, type FileStamp } from './files';
import { hashRange } from './safetensors';

export interface AdapterIdentity {
  /** SHA-256 of adapter_model.safetensors. */
  weights: string;
  /** SHA-256 of adapter_config.json, which defines how the weights apply. */
  config: string;
  /** Kept originals replace the projected tensors, so the numbers are the originals'. */
  originals: boolean;
  /** State of the hashed files. */
  stamps: FileStamp[];
}

export function checkpointStamps({ files }: Checkpoint): FileStamp[] {
  return files.map(({ path, size, modified }) => ({ path, size, modified }));
}

/**
 * Reads the adapter's files whole.
 * @throws SafeLoraError where they have changed since they were opened
 */
export async function adapterIdentity(adapter: Pick<Adapter, 'stamps' | 'originals'>): Promise<AdapterIdentity> {
  const { stamps, originals } = adapter;
  const [weights, config] = await Promise.all(
    stamps.slice(0, 2).map(({ path, size }) => hashRange({ path, offset: 0, length: size })),
  );
  await refuseOutdated(adapter);
  return { weights: weights!, config: config!, originals: originals !== null, stamps };
}

/** @throws SafeLoraError where a file of the adapter has changed since it was opened */
export async function refuseOutdated({ stamps }: Pick<Adapter, 'stamps'>): Promise<void> {
  for (const stamp of stamps) {
    if (!(await areAsStamped([stamp]))) throw changedOnDisk(stamp.path);
  }
}

export function sameAdapter(one: AdapterIdentity, other: AdapterIdentity): boolean {
  return one.weights === other.weights && one.config === other.config && one.originals === other.originals;
}

/**
 * A file name, equal for equal adapters on the same files of the same models, measured by the same version.
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
