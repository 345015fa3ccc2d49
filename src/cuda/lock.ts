// One install at a time, across all processes that share the storage.
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { tryClaim } from '../core/claims';
import { SafeLoraError, unwritable } from '../core/errors';

/** @throws SafeLoraError if another process has it; a dead process no longer does */
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
