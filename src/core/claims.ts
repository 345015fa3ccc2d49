// Claims of running processes, in files that other processes see: a claim is valid while its process renews it.
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

/** Interval at which a process renews its claims. */
const BEAT_MS = 5_000;
/** A claim not renewed for this long is void: its process hangs, or its process id was reused. */
const VOID_AFTER_MS = 60_000;
/** Maximum difference between two machines' clocks. */
const ANY_CLOCK_MS = 3_600_000;
/** A live process renews its claim within this time. */
const STILL_MS = 3 * BEAT_MS;
const POLL_MS = 100;

/** Releases a claim. */
export type Release = () => void;

/** Releases of this process's claims, by path. */
const held = new Map<string, Release>();

let tell: (text: string) => void = () => undefined;

/** @param listener is called once per wait for another process that takes more than two seconds */
export function announceWaits(listener: (text: string) => void): void {
  tell = listener;
}

process.on('exit', () => {
  for (const release of held.values()) release();
});

/**
 * Scope of a process id: containers may share the host's name without sharing its processes.
 */
export const machine = ((): string => {
  try {
    return `${hostname()} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return hostname();
  }
})();

/**
 * Synchronous, like the release: a signal handler ends the process with `process.exit` and must find all releases.
 * @throws the system's error, EEXIST if a claim exists
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
    // If it may already look void, another process may have replaced it: let it expire.
    if (performance.now() - renewed < VOID_AFTER_MS / 2 && isOurs()) rmSync(path, { force: true });
  };
  held.set(path, release);
  return release;
}

/** Writes the claim atomically: an empty claim would have no known owner. */
function createWhole(path: string, text: string): void {
  const aside = `${path}.${randomUUID()}`;
  try {
    writeFileSync(aside, text, { flag: 'wx' });
    linkSync(aside, path);
  } catch (error) {
    const { code = '', syscall } = error as NodeJS.ErrnoException;
    if (syscall !== 'link' || code === 'EEXIST') throw error;
    // The claim's owner removed it as the leftover of a killed process.
    if (code === 'ENOENT') createWhole(path, text);
    // The file system has no hard links.
    else writeFileSync(path, text, { flag: 'wx' });
  } finally {
    rmSync(aside, { force: true });
  }
}

/** Claims of running jobs name files; a far larger file is no claim. */
const MOST_BYTES = 2 ** 24;

/** The content of a claim's file; null for anything else: reading a pipe in a stranger's folder would never end. */
function stored(path: string): { content: Record<string, unknown>; modified: number } | null {
  let file: number | undefined;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
    const found = fstatSync(file);
    if (!found.isFile() || found.size > MOST_BYTES) return null;
    // An empty one is being written on a file system without links.
    return { content: parseObject(readFileSync(file, 'utf8')) ?? {}, modified: found.mtimeMs };
  } catch {
    return null;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** The claim's content, or null if it is void or gone. */
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

/** Clocks differ, and a machine that slept has not renewed yet: a claim that looks void must stay unchanged for a while. */
function standsStill(path: string, { content, modified }: { content: object; modified: number }): boolean {
  const seen = `${modified} ${JSON.stringify(content)}`;
  const known = suspects.get(path);
  if (known?.seen === seen) return performance.now() - known.since > STILL_MS;
  suspects.set(path, { seen, since: performance.now() });
  return false;
}

/**
 * @returns the release, or the content of another's claim
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

/** If two processes find a claim void at once, the later would remove the earlier's new claim: they take turns. */
async function removeVoid(path: string): Promise<void> {
  const release = await claimInTurn(`${path}.void`);
  try {
    // If it is already gone, do not remove it: that would remove the next claim.
    if (existsNow(path) && readClaim(path) === null) rmSync(path, { recursive: true, force: true });
  } catch (error) {
    throw fileError(path, error, 'write');
  } finally {
    release();
  }
}

/**
 * Waits until no other process has the claim.
 * @throws SafeLoraError where it cannot be written; the signal's reason
 */
export async function claimInTurn(path: string, signal?: AbortSignal): Promise<Release> {
  return (await claimWhile(path, () => Promise.resolve(true), signal))!;
}

/**
 * The same for work that another process may finish meanwhile.
 * @param isWanted is checked periodically while another has it
 * @returns null if it is no longer wanted
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
      tell(`waiting for ${holderText(claimed)}, which uses ${path}`);
      isTold = true;
    }
    await delay(POLL_MS, undefined, signal ? { signal } : {}).catch(() => undefined);
  }
}

function holderText({ pid, host }: Record<string, unknown>): string {
  if (typeof pid !== 'number') return 'another process';
  return host === machine || typeof host !== 'string' ? `process ${pid}` : `process ${pid} on ${host.split(' ')[0]!}`;
}

/** True for another live process. */
export function isRunning(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
