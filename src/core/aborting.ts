// Waiting that can be given up, and that the user is told of.

/** A wait that lasts longer is told to the user. */
export const TOLD_AFTER_MS = 2_000;

/** Waits no longer than the signal lets; the work goes on for whoever waits for it, too. */
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
