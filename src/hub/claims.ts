// What running processes have claimed, in files that the others see: a claim holds for as long as its process says so.
import { randomUUID } from 'node:crypto';
import { open, readFile, rm, stat, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { fileError } from '../core/errors';
import { parseObject } from '../core/objects';
import { isRunning } from '../core/replace';

/** A process renews its claims that often. */
const BEAT_MS = 5_000;
/** One that was not renewed for so long is void: its process hangs, or its number was given to another. */
const VOID_AFTER_MS = 60_000;
const POLL_MS = 100;

/** Of this process. */
const held = new Set<string>();

/**
 * @returns what gives it back
 * @throws the system's error, EEXIST where there is one
 */
export async function claim(path: string, content: object = {}): Promise<() => Promise<void>> {
  const handle = await open(path, 'wx');
  const nonce = randomUUID();
  try {
    await handle.writeFile(JSON.stringify({ pid: process.pid, host: hostname(), nonce, ...content }));
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
  held.add(path);
  // One that was taken for void may be another's by now.
  const isOurs = async (): Promise<boolean> =>
    parseObject(await readFile(path, 'utf8').catch(() => ''))?.nonce === nonce;
  const beat = setInterval(() => {
    const now = new Date();
    void isOurs().then(async (ours) => {
      if (ours) await utimes(path, now, now).catch(() => undefined);
    });
  }, BEAT_MS).unref();
  return async () => {
    clearInterval(beat);
    held.delete(path);
    if (await isOurs()) await rm(path, { force: true });
  };
}

/** What the claim says, or null where it is void or gone. */
export async function readClaim(path: string): Promise<Record<string, unknown> | null> {
  try {
    const [text, { mtimeMs }] = await Promise.all([readFile(path, 'utf8'), stat(path)]);
    // Being written, where it says nothing yet.
    const content = parseObject(text) ?? {};
    if (held.has(path)) return content;
    if (Date.now() - mtimeMs > VOID_AFTER_MS) return null;
    const { pid, host } = content;
    if (host !== hostname()) return content;
    return typeof pid === 'number' && isRunning(pid) ? content : null;
  } catch {
    return null;
  }
}

/**
 * Waits until nobody else has it.
 * @param meanwhile looks, while another has it, whether it is still wanted
 * @returns what gives it back; null where it is no longer wanted
 */
export async function claimInTurn(
  path: string,
  signal: AbortSignal | undefined,
  meanwhile: () => Promise<boolean> = () => Promise.resolve(true),
): Promise<(() => Promise<void>) | null> {
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await claim(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw fileError(path, error, 'write');
    }
    if ((await readClaim(path)) === null) {
      // Two that find it void at once may both end up with it, which what it guards must bear.
      await rm(path, { force: true });
      continue;
    }
    if (!(await meanwhile())) return null;
    await delay(POLL_MS, undefined, signal ? { signal } : {}).catch(() => undefined);
  }
}
