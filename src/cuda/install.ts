// Installs onnxruntime's CUDA provider in the storage, from a NuGet feed or a downloaded package, and removes it.
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { SafeLoraError, unwritable } from '../core/errors';
import { kindOf } from '../core/files';
import { asideName, recover, sync } from '../core/atomic';
import { type Network, RequestFailure } from '../network/requests';
import { extract } from './archive';
import { download, forget, type OnProgress } from './download';
import { findPackage, type Offer } from './feed';
import { withLock } from './lock';
import { offlineWay, type Platform, type ProviderPackage, providerPackage } from './package';
import { cudaFolder, librariesFolder, providerFolder } from './state';

export interface Target {
  storage: string;
  /** Of onnxruntime; its provider must have the same version. */
  version: string;
  /** Defaults to this machine. */
  platform?: Platform;
}

const LOCK_FILE = 'lock';

/**
 * Describes the download.
 * @throws SafeLoraError, or the signal's reason
 */
export async function findOffer(
  { version, platform = process }: Target,
  network: Network,
  index: string,
): Promise<Offer> {
  const wanted = providerPackage(version, platform);
  return findPackage(network, index, wanted).catch(explained(wanted));
}

/**
 * An interrupted run resumes.
 * @returns the provider's folder
 * @throws SafeLoraError, or the signal's reason
 */
export async function installFromFeed(
  target: Target,
  network: Network,
  offer: Offer,
  onProgress: OnProgress,
): Promise<string> {
  const { storage, version, platform = process } = target;
  const wanted = providerPackage(version, platform);
  return locked(storage, async () => {
    const path = join(cudaFolder(storage), `${wanted.id}.${version}.nupkg.part`);
    await download(network, offer, path, onProgress).catch(explained(wanted));
    const folder = await unpack(path, wanted, storage, network.signal);
    await forget(path);
    return folder;
  });
}

/** @throws SafeLoraError, leaving the previous provider untouched; the signal's reason */
export async function installFromArchive(target: Target, archive: string, signal: AbortSignal): Promise<string> {
  const { storage, version, platform = process } = target;
  const wanted = providerPackage(version, platform);
  return locked(storage, () => unpack(archive, wanted, storage, signal));
}

/**
 * Removes everything installed or downloaded, including CUDA libraries beside it.
 * @returns whether anything was removed
 */
export async function remove(storage: string): Promise<boolean> {
  const folder = cudaFolder(storage);
  if ((await kindOf(folder)) === null) return false;
  await locked(storage, () => clear(folder, []));
  await rm(folder, { recursive: true, force: true }).catch(unwritable(folder));
  return true;
}

/** Writes beside the destination and renames, so that a kill leaves the old or the new provider; then removes older versions. */
async function unpack(archive: string, wanted: ProviderPackage, storage: string, signal: AbortSignal): Promise<string> {
  const folder = providerFolder(storage, wanted.version);
  await recover(folder);
  const [fresh, old] = [asideName(folder, 'new'), asideName(folder, 'old')];
  try {
    await mkdir(fresh).catch(unwritable(fresh));
    await extract(archive, wanted, fresh, signal);
    await sync(fresh);
    if ((await kindOf(folder)) !== null) await rename(folder, old);
    await rename(fresh, folder).catch(unwritable(folder));
    await rm(old, { recursive: true, force: true });
  } catch (error) {
    // Removes the new one and restores the old one.
    await recover(folder);
    throw error;
  }
  await clear(cudaFolder(storage), [folder, librariesFolder(storage), archive, `${archive}.json`]);
  return folder;
}

async function clear(folder: string, kept: readonly string[]): Promise<void> {
  const keep = new Set([LOCK_FILE, ...kept.map((path) => basename(path))]);
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    if (!keep.has(name)) await rm(path, { recursive: true, force: true }).catch(unwritable(path));
  }
}

function locked<T>(storage: string, use: () => Promise<T>): Promise<T> {
  return withLock(join(cudaFolder(storage), LOCK_FILE), use);
}

/** A failed request as one sentence with both alternatives. */
function explained(wanted: ProviderPackage): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof RequestFailure)) throw error;
    throw downloadFailed(error, wanted);
  };
}

function downloadFailed(error: RequestFailure, wanted: ProviderPackage): SafeLoraError {
  return new SafeLoraError(
    'download-failed',
    `${error.url}: ${error.reason}; try again later, or, ${offlineWay(wanted)}.`,
    { cause: error },
  );
}
