// Saves the editor's state: in place, after keeping the originals, or as a copy in another folder.
import { constants } from 'node:fs';
import { access, lstat, mkdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type Adapter, openAdapter } from './adapter';
import { ADAPTER_FILE } from './adapter-folder';
import { CONFIG_FILE } from './adapter-config';
import { companions, copyCompanion } from './companions';
import { changedOnDisk, fileError, SafeLoraError, unwritable } from './errors';
import { kindOf } from './files';
import { keepOriginals, originalHashes, restHash } from './originals';
import { REPORT_FILE } from './output';
import { type Projection, writeAdapterFile } from './patch';
import { alone, recover, replaceAlone } from './atomic';
import { hashBytes, hashRange, openSafetensors, type SafetensorsFile, type TensorHashes } from './safetensors';

/** Why an adapter's own file must not be written, though it can be saved elsewhere. */
export type WriteObstacle = 'symbolic-link' | 'hub-cache' | 'no-permission';

// The hub's cache shares its blobs among revisions and repositories: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
const HUB_CACHE = /[\\/](?:models|datasets|spaces)--[^\\/]+[\\/](?:snapshots|blobs)[\\/]/;

/** @returns null where the file may be replaced */
export async function writeObstacle({ path, file }: Adapter): Promise<WriteObstacle | null> {
  if (HUB_CACHE.test(file.path) || HUB_CACHE.test(await realpath(file.path))) return 'hub-cache';
  const links = await Promise.all([path, file.path].map((one) => lstat(one)));
  if (links.some((found) => found.isSymbolicLink())) return 'symbolic-link';
  const writable = await Promise.all(
    [path, file.path].map((one) =>
      access(one, constants.W_OK).then(
        () => true,
        () => false,
      ),
    ),
  );
  return writable.every(Boolean) ? null : 'no-permission';
}

/** @throws SafeLoraError where the adapter's file has changed since it was opened */
export async function refuseChanged(file: SafetensorsFile): Promise<void> {
  const { identity, headerHash } = await openSafetensors(file.path);
  if (identity === file.identity && headerHash === file.headerHash) return;
  throw changedOnDisk(file.path);
}

/**
 * Replaces the adapter's own file, one process at a time. A kill at any moment leaves the old file or the new one, and the originals of
 * both.
 * @param originalsPath where the replaced weights are kept
 * @param report the content of the report beside it; null if none describes this state
 * @returns why the report is missing, though the adapter is saved; usually null
 */
export async function saveInPlace(
  { file, path, realPath, originals }: Adapter,
  projection: Projection | null,
  originalsPath: string,
  report: string | null,
): Promise<SafeLoraError | null> {
  // Uses the real path, so that those who know the folder by other names wait as well.
  return alone(join(realPath, ADAPTER_FILE), async () => {
    await refuseChanged(file);
    // Read again: an earlier save, or one in another window, may have moved the originals.
    const adapter = await openAdapter(path, originalsPath);
    if (originals && !adapter.originals) throw originalsGone(originalsPath);
    const sha256 = await originalHashes(adapter);
    await recover(originalsPath);
    await replaceAlone(
      file.path,
      async (temporary) => {
        // Before extending the originals, which moves the tensors read here.
        await writeAdapterFile(temporary, adapter, projection);
        if (projection) await keepOriginals(originalsPath, adapter, sha256, new Set(projection.tensors.keys()));
      },
      async (temporary) => {
        await refuseUnlike(temporary, adapter, sha256, projection);
        await refuseChanged(file);
      },
    );
    return writeReport(path, report);
  });
}

/**
 * Writes the adapter to a folder without one, and its other files where absent.
 * @param path the new adapter_model.safetensors
 * @returns why the report is missing, though the adapter is saved; usually null
 * @throws SafeLoraError where the folder already has an adapter
 */
export async function saveCopy(
  path: string,
  adapter: Adapter,
  projection: Projection | null,
  report: string | null,
): Promise<SafeLoraError | null> {
  await refuseChanged(adapter.file);
  const folder = dirname(path);
  if (basename(path) !== ADAPTER_FILE) throw unloadableName(path);
  await mkdir(folder, { recursive: true }).catch(unwritable(folder));
  return alone(path, async () => {
    await refuseAdapter(folder, adapter);
    const sha256 = await originalHashes(adapter);
    for (const companion of (await companions(adapter)).copied) {
      const target = join(folder, companion.name);
      if ((await kindOf(target)) !== null) continue;
      await recover(target);
      await replaceAlone(target, (temporary) => copyCompanion(companion, temporary));
    }
    // The adapter is written last, so that a killed save can be repeated.
    const missing = await writeReport(folder, report);
    await replaceAlone(
      path,
      (temporary) => writeAdapterFile(temporary, adapter, projection),
      async (temporary) => {
        await refuseUnlike(temporary, adapter, sha256, projection);
        await refuseChanged(adapter.file);
        await refuseAdapter(folder, adapter);
      },
    );
    return missing;
  });
}

/** @throws SafeLoraError where the folder has an adapter that no interrupted save of this one left */
async function refuseAdapter(folder: string, adapter: Adapter): Promise<void> {
  for (const name of [ADAPTER_FILE, 'adapter_model.bin', CONFIG_FILE]) {
    const there = join(folder, name);
    const kind = await kindOf(there);
    if (kind === null) continue;
    if (name === CONFIG_FILE && kind === 'file' && (await readFile(there)).equals(adapter.config.bytes)) continue;
    throw occupied(folder, name);
  }
}

/**
 * Compares every written A and B with its expected bytes; after restoring the first file, all other tensors, too.
 * @param sha256 of the originals
 * @throws SafeLoraError
 */
async function refuseUnlike(
  path: string,
  adapter: Adapter,
  sha256: TensorHashes,
  projection: Projection | null,
): Promise<void> {
  const { tensors } = await openSafetensors(path);
  for (const { name, a, b } of adapter.modules) {
    const bytes = projection?.tensors.get(name);
    const isRight =
      (await hashRange(tensors.get(a.name)!)) === sha256[a.name] &&
      (await hashRange(tensors.get(b.name)!)) === (bytes ? hashBytes(bytes) : sha256[b.name]);
    if (isRight) continue;
    throw changedWhileSaved(adapter.file.path, name);
  }
  const rest = projection ? null : (adapter.originals?.rest ?? null);
  if (rest === null || (await restHash({ tensors }, adapter.modules)) === rest) return;
  throw firstFileLost(adapter.file.path);
}

/**
 * Updates the report beside the adapter to its present state, or removes it.
 * @returns why that failed; the adapter is saved anyway
 */
async function writeReport(folder: string, report: string | null): Promise<SafeLoraError | null> {
  const path = join(folder, REPORT_FILE);
  try {
    await recover(path);
    if (report !== null) await replaceAlone(path, (temporary) => writeFile(temporary, report));
    else await rm(path, { force: true });
    return null;
  } catch (error) {
    return fileError(path, error, 'write');
  }
}

function originalsGone(path: string): SafeLoraError {
  return new SafeLoraError(
    'originals-foreign',
    `${path}: no longer contains the original weights of this adapter; put the file back before you save.`,
  );
}

function unloadableName(path: string): SafeLoraError {
  return new SafeLoraError(
    'output-exists',
    `${path}: PEFT loads an adapter only from a file named ${ADAPTER_FILE}; choose that name, in a folder of its own.`,
  );
}

function occupied(folder: string, file: string): SafeLoraError {
  return new SafeLoraError(
    'output-exists',
    `${folder}: contains an adapter already (${file}); choose a folder without one.`,
  );
}

function changedWhileSaved(path: string, module: string): SafeLoraError {
  return new SafeLoraError(
    'changed-on-disk',
    `${path}: the weights of ${module} changed while they were saved, and nothing was replaced; reload the adapter.`,
  );
}

function firstFileLost(path: string): SafeLoraError {
  return new SafeLoraError(
    'originals-foreign',
    `${path}: its tensors beside the LoRA pairs are no longer those that were saved, so the original file cannot be restored, and nothing was replaced; use the original adapter.`,
  );
}
