// One install at a time, in this process and in all others that share the storage.
import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileError, SafeLoraError } from '../core/errors';
import { isRunning } from '../core/replace';

const held = new Set<string>();

/** @throws SafeLoraError where somebody else has it; a process that died without giving it back has it no longer */
export async function withLock<T>(path: string, use: () => Promise<T>): Promise<T> {
  if (held.has(path)) throw busy(path, process.pid);
  held.add(path);
  try {
    await take(path);
    try {
      return await use();
    } finally {
      await rm(path, { force: true });
    }
  } finally {
    held.delete(path);
  }
}

async function take(path: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await create(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw fileError(path, error, 'write');
    const owner = Number(await readFile(path, 'utf8').catch(() => ''));
    if (owner > 0 && isRunning(owner)) throw busy(path, owner);
    await rm(path, { force: true });
    await create(path).catch((second: unknown) => {
      throw fileError(path, second, 'write');
    });
  }
}

/** Whole from the first moment on: an empty one would pass for that of a dead process. */
async function create(path: string): Promise<void> {
  const aside = `${path}.${randomUUID()}`;
  await writeFile(aside, `${process.pid}\n`);
  try {
    await link(aside, path);
  } finally {
    await rm(aside, { force: true });
  }
}

function busy(path: string, owner: number): SafeLoraError {
  return new SafeLoraError(
    'provider-busy',
    `${path}: the CUDA provider is being installed or removed by process ${owner}; wait until that is done, or delete this file where that process is something else.`,
  );
}
