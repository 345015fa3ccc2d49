// How a test waits: for a condition, never for a time, and with one limit that a machine loaded tenfold keeps.
import { setTimeout as sleep } from 'node:timers/promises';

/** What takes a quiet machine half a minute. Only what never comes is waited for to the end. */
export const PATIENCE_MS = 300_000;
const POLL_MS = 50;
/** Of something that an editor may miss: soon enough for a quiet machine to lose little. */
const FIRST_TRY_MS = 3000;

/** Waits until a condition holds. */
export async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end;) {
    if (await holds()) return;
    await sleep(POLL_MS);
  }
  throw new Error(`waited in vain: ${what}`);
}

/**
 * Repeats what an editor that is busy may have missed, each time with twice the patience.
 * @param act takes how long each of its steps may take, in milliseconds
 */
export async function again(act: (timeout: number) => Promise<void>): Promise<void> {
  for (let timeout = FIRST_TRY_MS; ; timeout *= 2) {
    try {
      await act(timeout);
      return;
    } catch (error) {
      if (timeout > PATIENCE_MS) throw error;
    }
  }
}
