// What running processes have claimed, in files that the others see: a claim holds for as long as its process says so.
import { randomUUID } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  linkSync,
  lstatSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { TOLD_AFTER_MS } from './aborting';
import { fileError } from './errors';
import { parseObject } from './objects';

/** A process renews its claims that often. */
const BEAT_MS = 5_000;
/** One that was not renewed for so long is void: its process hangs, or its number was given to another. */
const VOID_AFTER_MS = 60_000;
/** No two machines' clocks differ by so much. */
const ANY_CLOCK_MS = 3_600_000;
/** A process that lives has renewed its claim within that time. */
const STILL_MS = 3 * BEAT_MS;
const POLL_MS = 100;

/** Gives a claim back. */
export type Release = () => void;

/** What gives back those of this process, by their paths. */
const held = new Map<string, Release>();

let tell: (text: string) => void = () => undefined;

/** @param listener is told once of each wait for another process that takes more than two seconds */
export function announceWaits(listener: (text: string) => void): void {
  tell = listener;
}

process.on('exit', () => {
  for (const release of held.values()) release();
});

/**
 * Where a process's number means something: containers may share the host's name without sharing its processes.
 */
export const machine = ((): string => {
  try {
    return `${hostname()} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return hostname();
  }
})();

/**
 * Synchronous, as is giving it back: a signal's handler ends the process with `process.exit`, and finds what is to be given back.
 * @throws the system's error, EEXIST where there is one
 */
export function claim(path: string, content: object = {}): Release {
  const nonce = randomUUID();
  createWhole(path, JSON.stringify({ pid: process.pid, host: machine, nonce, ...content }));
  let renewed = performance.now();
  const isOurs = (): boolean => stored(path)?.content.nonce === nonce;
  const beat = setInterval(() => {
    if (!isOurs()) return;
    const now = new Date();
    void utimes(path, now, now).then(
      () => (renewed = performance.now()),
      () => undefined,
    );
  }, BEAT_MS).unref();
  const release = (): void => {
    clearInterval(beat);
    held.delete(path);
    // One that may pass for void may be another's before it is removed; it is left to become void.
    if (performance.now() - renewed < VOID_AFTER_MS / 2 && isOurs()) rmSync(path, { force: true });
  };
  held.set(path, release);
  return release;
}

/** Whole from the first moment on: nobody could tell whose an empty one is. */
function createWhole(path: string, text: string): void {
  const aside = `${path}.${randomUUID()}`;
  try {
    writeFileSync(aside, text, { flag: 'wx' });
    linkSync(aside, path);
  } catch (error) {
    const { code = '', syscall } = error as NodeJS.ErrnoException;
    if (syscall !== 'link' || code === 'EEXIST') throw error;
    // One who holds the claim took it for what a killed process had left.
    if (code === 'ENOENT') createWhole(path, text);
    // A file system without links.
    else writeFileSync(path, text, { flag: 'wx' });
  } finally {
    rmSync(aside, { force: true });
  }
}

/** Those of running jobs name files; a claim far larger is none. */
const MOST_BYTES = 2 ** 24;

/** What is in a claim's file; null for anything else, which may stand there in a stranger's folder: a pipe would never end. */
function stored(path: string): { content: Record<string, unknown>; modified: number } | null {
  let file: number | undefined;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
    const found = fstatSync(file);
    if (!found.isFile() || found.size > MOST_BYTES) return null;
    // Where it says nothing, it is being written on a file system without links.
    return { content: parseObject(readFileSync(file, 'utf8')) ?? {}, modified: found.mtimeMs };
  } catch {
    return null;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** What the claim says, or null where it is void or gone. */
export function readClaim(path: string): Record<string, unknown> | null {
  const found = stored(path);
  if (!found || held.has(path)) return found?.content ?? null;
  const { pid, host } = found.content;
  if (host === machine && !(typeof pid === 'number' && isRunning(pid))) return null;
  const age = Math.abs(Date.now() - found.modified);
  if (age <= VOID_AFTER_MS) return found.content;
  return (host !== machine && age > ANY_CLOCK_MS) || standsStill(path, found) ? null : found.content;
}

/** Claims that looked void, and when this process first saw them so. */
const suspects = new Map<string, { seen: string; since: number }>();

/** The clocks of two machines may differ, and one that slept has not renewed yet: a claim that looks void must stay as it is for a while. */
function standsStill(path: string, { content, modified }: { content: object; modified: number }): boolean {
  const seen = `${modified} ${JSON.stringify(content)}`;
  const known = suspects.get(path);
  if (known?.seen === seen) return performance.now() - known.since > STILL_MS;
  suspects.set(path, { seen, since: performance.now() });
  return false;
}

/**
 * @returns what gives the claim back, or what the claim of another says
 * @throws SafeLoraError where it cannot be written
 */
export async function tryClaim(path: string): Promise<Release | Record<string, unknown>> {
  for (;;) {
    try {
      return claim(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw fileError(path, error, 'write');
    }
    const holder = readClaim(path);
    if (holder) return holder;
    await removeVoid(path);
  }
}

function existsNow(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** Of two that find a claim void at once, the later would remove the one that the earlier has made since: they take turns. */
async function removeVoid(path: string): Promise<void> {
  const release = await claimInTurn(`${path}.void`);
  try {
    // One that is gone is nobody's to remove: the next would be removed in its place.
    if (existsNow(path) && readClaim(path) === null) rmSync(path, { recursive: true, force: true });
  } catch (error) {
    throw fileError(path, error, 'write');
  } finally {
    release();
  }
}

/**
 * Waits until nobody else has it.
 * @throws SafeLoraError where it cannot be written; the signal's reason
 */
export async function claimInTurn(path: string, signal?: AbortSignal): Promise<Release> {
  return (await claimWhile(path, () => Promise.resolve(true), signal))!;
}

/**
 * The same for what another may make meanwhile.
 * @param isWanted looks now and then, while another has it
 * @returns null where it is no longer wanted
 */
export async function claimWhile(
  path: string,
  isWanted: () => Promise<boolean>,
  signal?: AbortSignal,
): Promise<Release | null> {
  const began = performance.now();
  let isTold = false;
  for (;;) {
    signal?.throwIfAborted();
    const claimed = await tryClaim(path);
    if (typeof claimed === 'function') return claimed;
    if (!(await isWanted())) return null;
    if (!isTold && performance.now() - began > TOLD_AFTER_MS) {
      tell(`waiting for ${holderText(claimed)}, which holds ${path}`);
      isTold = true;
    }
    await delay(POLL_MS, undefined, signal ? { signal } : {}).catch(() => undefined);
  }
}

function holderText({ pid, host }: Record<string, unknown>): string {
  if (typeof pid !== 'number') return 'another process';
  return host === machine || typeof host !== 'string' ? `process ${pid}` : `process ${pid} on ${host.split(' ')[0]!}`;
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
