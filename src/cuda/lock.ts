// One install at a time, in this process and in all others that share the storage.
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { tryClaim } from '../core/claims';
import { SafeLoraError, unwritable } from '../core/errors';

/** @throws SafeLoraError where somebody else has it; a process that died without giving it back has it no longer */
export async function withLock<T>(path: string, use: () => Promise<T>): Promise<T> {
  await mkdir(dirname(path), { recursive: true }).catch(unwritable(dirname(path)));
  const claimed = await tryClaim(path);
  if (typeof claimed !== 'function') throw providerBusy(path, claimed.pid);
  try {
    return await use();
  } finally {
    claimed();
  }
}

function providerBusy(path: string, pid: unknown): SafeLoraError {
  return new SafeLoraError(
    'provider-busy',
    `${path}: the CUDA provider is being installed or removed by process ${String(pid)}; wait until that is done.`,
  );
}
