// Writes a finished adapter folder: written beside its destination, synced, then renamed, so that a kill leaves nothing or the whole.
import { renameSync, rmSync } from 'node:fs';
import { lstat, mkdir, readdir, realpath, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { type Adapter } from './adapter';
import { ADAPTER_FILE } from './adapter-folder';
import { companions, copyCompanion, isInside } from './companions';
import { fileError, SafeLoraError, someNames, unwritable } from './errors';
import { kindOf, readOwnText } from './files';
import { isObject, parseObject } from './objects';
import { PROVENANCE_KEY } from './provenance';
import { alone, asideName, earlierName, removeOld, sync } from './atomic';
import { hashFile, openSafetensors, type TensorHashes } from './safetensors';

/** The report saved in the adapter's folder. */
export const REPORT_FILE = 'safe_lora_report.json';

/** A checked destination; nothing is written yet. */
export interface Destination {
  path: string;
  /** As the user gave it. */
  given: string;
  /** True if an earlier result of this tool may be replaced. */
  force: boolean;
}

/** @throws SafeLoraError where the destination overlaps the adapter, or has content that this tool may not replace */
export async function checkDestination(path: string, adapter: Adapter, force: boolean): Promise<Destination> {
  const real = await realDestination(path);
  if (isInside(real, adapter.realPath) || isInside(adapter.realPath, real)) throw overlaps(path, adapter.path);
  const destination = { path: real, given: path, force };
  // If the folder does not exist, nobody has started writing to it.
  if ((await kindOf(dirname(real))) === 'folder')
    await alone(real, () => refuseOccupied(destination, adapter), isResult);
  return destination;
}

/**
 * Needs exclusive access to the destination.
 * @returns true if an earlier result exists that may be replaced
 * @throws SafeLoraError
 */
async function refuseOccupied({ path, given, force }: Destination, adapter: Adapter): Promise<boolean> {
  const found = await lstat(path).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw fileError(given, error, 'write');
  });
  if (!found) return false;
  if (!found.isDirectory()) throw notAFolder(given);
  if (!force) throw outputExists(given);
  await refuseForeign(given, path, adapter);
  return true;
}

/** Resolves links in the part of the path that exists. */
export async function realDestination(path: string): Promise<string> {
  const missing: string[] = [];
  for (let at = resolve(path); ; at = dirname(at)) {
    try {
      // The last part is not followed: a link there is refused, not written through.
      const head =
        missing.length === 0 && (await lstat(at)).isSymbolicLink()
          ? join(await realpath(dirname(at)), basename(at))
          : await realpath(at);
      return join(head, ...missing);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code !== 'ENOENT') throw fileError(path, error, 'write');
      missing.unshift(basename(at));
    }
  }
}

/** @throws SafeLoraError for a damaged adapter */
async function isResult(folder: string): Promise<boolean> {
  const file = join(folder, ADAPTER_FILE);
  return (await kindOf(file)) === 'file' && (await openSafetensors(file)).metadata.has(PROVENANCE_KEY);
}

/** Replaces only a folder that this tool wrote, and that would lose nothing. */
async function refuseForeign(path: string, real: string, adapter: Adapter): Promise<void> {
  if (!(await isResult(real))) throw notAResult(path);
  const { copied } = await companions(adapter);
  const written = new Set([ADAPTER_FILE, REPORT_FILE, ...copied.map(({ name }) => name)]);
  const sha256 = await writtenFiles(real);
  const lost: string[] = [];
  for (const entry of await readdir(real, { withFileTypes: true })) {
    const { name } = entry;
    const isOurs =
      entry.isFile() &&
      written.has(name) &&
      (!Object.hasOwn(sha256, name) || sha256[name] === (await hashFile(join(real, name))));
    if (!isOurs) lost.push(name);
  }
  if (lost.length > 0) throw wouldLose(path, lost);
}

/** SHA-256 of a result's companion files, from its report; none for an earlier version's. */
async function writtenFiles(folder: string): Promise<Readonly<Record<string, unknown>>> {
  const files = parseObject((await readOwnText(join(folder, REPORT_FILE))) ?? '')?.files;
  return isObject(files) ? files : {};
}

const unfinished = new Set<string>();

/** Removes the partial output of an interrupted `writeFolder`; synchronous for signal handlers. */
export function removeUnfinished(): void {
  for (const folder of unfinished) rmSync(folder, { recursive: true, force: true });
}

/**
 * Writes the new adapter folder and moves it into place, one process at a time.
 * @param writeAdapter writes the adapter's file to the given path
 * @param report makes the content of the report beside it, from the SHA-256 of the companion files
 */
export async function writeFolder(
  destination: Destination,
  adapter: Adapter,
  writeAdapter: (path: string) => Promise<void>,
  report: (files: TensorHashes) => string,
): Promise<void> {
  const { path } = destination;
  await mkdir(dirname(path), { recursive: true }).catch(unwritable(path));
  await alone(
    path,
    async () => {
      await refuseOccupied(destination, adapter);
      const fresh = asideName(path, 'new');
      const { copied } = await companions(adapter);
      try {
        unfinished.add(fresh);
        await mkdir(fresh);
        await writeAdapter(join(fresh, ADAPTER_FILE));
        const sha256 = new Map<string, string>();
        for (const companion of copied) {
          await copyCompanion(companion, join(fresh, companion.name));
          sha256.set(companion.name, await hashFile(join(fresh, companion.name)));
        }
        await writeFile(join(fresh, REPORT_FILE), report(Object.fromEntries(sha256)), { flush: true });
        await sync(fresh);
        renameInto(fresh, path, await refuseOccupied(destination, adapter));
        await sync(dirname(path));
      } catch (error) {
        rmSync(fresh, { recursive: true, force: true });
        throw fileError(path, error, 'write');
      } finally {
        unfinished.delete(fresh);
      }
    },
    isResult,
  );
}

/** One synchronous step, so that this process's signal handlers never see it half done. */
function renameInto(fresh: string, path: string, replaces: boolean): void {
  if (!replaces) {
    // rename would silently replace a new empty folder; one with content fails.
    renameSync(fresh, path);
    return;
  }
  const old = asideName(path, 'old');
  renameSync(path, old);
  try {
    renameSync(fresh, path);
  } catch (error) {
    putBack(old, path);
    throw error;
  }
  removeOld(old);
}

/** @throws SafeLoraError where another program has created the destination */
function putBack(old: string, path: string): void {
  try {
    renameSync(old, path);
  } catch (error) {
    const kept = earlierName(path);
    renameSync(old, kept);
    throw destinationTaken(path, kept, error);
  }
}

function overlaps(path: string, adapter: string): SafeLoraError {
  return new SafeLoraError(
    'output-overlaps',
    `${path}: the output folder overlaps the adapter folder ${adapter}; choose a separate folder.`,
  );
}

function notAFolder(path: string): SafeLoraError {
  return new SafeLoraError('output-exists', `${path}: is not a folder; choose another output.`);
}

function outputExists(path: string): SafeLoraError {
  return new SafeLoraError(
    'output-exists',
    `${path}: the output folder exists; choose another or give --force to replace an earlier result.`,
  );
}

function notAResult(path: string): SafeLoraError {
  return new SafeLoraError(
    'output-exists',
    `${path}: this folder is not a result of safe-lora, so --force does not replace it; choose another output.`,
  );
}

function wouldLose(path: string, lost: readonly string[]): SafeLoraError {
  return new SafeLoraError(
    'output-exists',
    `${path}: replacing the folder would lose ${someNames(lost)}, which safe-lora did not put there as ${lost.length === 1 ? 'it is' : 'they are'}; move ${lost.length === 1 ? 'it' : 'them'} away or choose another output.`,
  );
}

function destinationTaken(path: string, kept: string, cause: unknown): SafeLoraError {
  return new SafeLoraError(
    'output-exists',
    `${path}: another program put something there while the result was replaced; the earlier result is ${kept} now.`,
    { cause },
  );
}
