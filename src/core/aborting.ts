// Waits that can be cancelled, and are reported to the user.

/** Longer waits are reported to the user. */
export const TOLD_AFTER_MS = 2_000;

/** Waits until the signal aborts; the work itself continues for other waiters. */
export function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      reject(signal.reason as Error);
    };
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', abort);
    });
  });
}
