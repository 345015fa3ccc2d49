// Files and folders put in place as a whole: written beside, synced, renamed. A kill leaves the old one or the new one.
import { readdirSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileError } from './errors';
import { kindOf } from './files';

/**
 * Replaces or creates one file.
 * @param write creates the file at the path that it is given
 * @throws SafeLoraError; what was there before is then untouched
 */
export async function replaceFile(path: string, write: (temporary: string) => Promise<void>): Promise<void> {
  await recover(path);
  const temporary = asideName(path, 'new');
  try {
    await write(temporary);
    await sync(temporary);
    await rename(temporary, path);
    await sync(dirname(path));
  } catch (error) {
    await rm(temporary, { force: true });
    throw fileError(path, error, 'write');
  }
}

/** Brings a file's or folder's content to the disk. */
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

/** Where something unfinished, or about to be replaced, lies meanwhile. */
export function asideName(path: string, age: 'new' | 'old'): string {
  return join(dirname(path), `.${basename(path)}.safe-lora-${age}-${process.pid}`);
}

/** Finishes or undoes what a killed run left beside the destination. */
export async function recover(path: string): Promise<void> {
  const parent = dirname(path);
  if ((await kindOf(parent)) !== 'folder') return;
  const pattern = new RegExp(`^${basename(path).replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')}\\.safe-lora-(new|old)-(\\d+)$`);
  for (const name of readdirSync(parent)) {
    const [, age, pid] = pattern.exec(name.slice(1)) ?? [];
    if (!name.startsWith('.') || age === undefined || isRunning(Number(pid))) continue;
    const aside = join(parent, name);
    try {
      if (age === 'old' && (await kindOf(path)) === null) await rename(aside, path);
      else await rm(aside, { recursive: true, force: true });
    } catch (error) {
      throw fileError(aside, error, 'write');
    }
  }
}

/** True for another process that lives. */
export function isRunning(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
