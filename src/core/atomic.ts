// Atomic replacement of files and folders: written beside, synced, renamed. A kill leaves the old one or the new one.
import { randomBytes } from 'node:crypto';
import { chmodSync, readdirSync, rmSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { claimInTurn } from './claims';
import { fileError, SafeLoraError } from './errors';
import { kindOf } from './files';

/** Temporary files beside a file or folder being written; not part of an adapter. */
const ASIDE = /^\.(.+)\.safe-lora-(claim|old|new)((?:\.void)*(?:[.-][0-9a-f-]+)?)$/;

/** True for the name of such a temporary file. */
export function isAside(name: string): boolean {
  return ASIDE.test(name);
}

/** Whether the content at a path is the intended replacement of the old one. */
type IsSuccessor = (path: string) => Promise<boolean>;

/**
 * Runs an action with exclusive access to this file or folder, also across processes, after finishing or undoing what a killed process
 * left. Its folder must exist.
 * @param isSuccessor see `recover`
 * @throws SafeLoraError; errors of the action
 */
export async function alone<T>(path: string, action: () => Promise<T>, isSuccessor?: IsSuccessor): Promise<T> {
  const claim = join(dirname(path), `.${basename(path)}.safe-lora-claim`);
  const release = await claimInTurn(claim).catch((error: unknown) => {
    throw error instanceof SafeLoraError ? fileError(path, error.cause, 'write') : error;
  });
  try {
    await recover(path, isSuccessor);
    return await action();
  } finally {
    release();
  }
}

/**
 * Replaces or creates one file, with exclusive access.
 * @param write creates the file at the given path
 * @throws SafeLoraError; the old file is then unchanged
 */
export function replaceFile(path: string, write: (temporary: string) => Promise<void>): Promise<void> {
  return alone(path, () => replaceAlone(path, write));
}

/**
 * The same for callers that already have exclusive access to this file or its owner.
 * @param check runs just before the old file is replaced; may throw
 */
export async function replaceAlone(
  path: string,
  write: (temporary: string) => Promise<void>,
  check: (temporary: string) => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  const temporary = asideName(path, 'new');
  try {
    await write(temporary);
    await sync(temporary);
    await check(temporary);
    await rename(temporary, path);
    await sync(dirname(path));
  } catch (error) {
    await rm(temporary, { force: true });
    throw fileError(path, error, 'write');
  }
}

/** Flushes a file or folder to the disk. */
export async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } catch (error) {
    // Windows does not sync folders.
    if (process.platform !== 'win32') throw error;
  } finally {
    await handle.close();
  }
}

/** Temporary path for unfinished or replaced content. */
export function asideName(path: string, age: 'new' | 'old'): string {
  return join(dirname(path), `.${basename(path)}.safe-lora-${age}-${randomBytes(4).toString('hex')}`);
}

/** @throws SafeLoraError where a folder cannot be read */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw fileError(folder, error);
  }
}

/** Leftovers of a process that died while replacing a file or folder. */
export function asides(path: string): { path: string; isOld: boolean }[] {
  const folder = dirname(path);
  return namesIn(folder).flatMap((name) => {
    const [, of, kind, rest] = ASIDE.exec(name) ?? [];
    // Without a suffix it is the claim itself.
    return of === basename(path) && rest ? [{ path: join(folder, name), isOld: kind === 'old' }] : [];
  });
}

/**
 * Finishes or undoes what a killed run left beside the destination; needs exclusive access.
 * @param isSuccessor if false, the old content stays beside the destination under another name
 */
export async function recover(path: string, isSuccessor: IsSuccessor = () => Promise.resolve(true)): Promise<void> {
  for (const aside of asides(path)) {
    try {
      if (!aside.isOld) await rm(aside.path, { recursive: true, force: true });
      else if ((await kindOf(path)) === null) await rename(aside.path, path);
      else if (await isSuccessor(path)) removeOld(aside.path);
      else await rename(aside.path, earlierName(path));
    } catch (error) {
      throw fileError(aside.path, error, 'write');
    }
  }
}

/** A name that no later run treats as a leftover. */
export function earlierName(path: string): string {
  return `${path}.earlier-${Date.now()}`;
}

/** Removes a replaced folder. It may be read-only; failures are ignored, since its successor is in place. */
export function removeOld(folder: string): void {
  const remove = (): void => {
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    remove();
  } catch {
    try {
      makeWritable(folder);
      remove();
    } catch {
      // The next run tries again.
    }
  }
}

function makeWritable(folder: string): void {
  chmodSync(folder, 0o700);
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) makeWritable(join(folder, entry.name));
}
