// Download requests: encrypted, with redirects checked one by one, retried if that may help, and cancellable.
import { setTimeout as delay } from 'node:timers/promises';
import { TOLD_AFTER_MS } from '../core/aborting';
import { parseObject } from '../core/objects';

/** The used part of a `fetch`; its implementation chooses proxies. */
export type Fetch = (
  url: string,
  init: { headers: Record<string, string>; redirect: 'manual'; signal: AbortSignal },
) => Promise<Reply>;

export interface Reply {
  status: number;
  headers: { get(name: string): string | null };
  body: AsyncIterable<Uint8Array> | null;
}

export interface Network {
  fetch: Fetch;
  signal: AbortSignal;
  /** Waits that long, in milliseconds; replaced in tests. */
  wait?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** Timeout in milliseconds without a byte, or with too few. */
  stallAfter?: number;
  /** Called for waits of more than two seconds, past or expected. */
  onWait?: (text: string) => void;
}

/** What went wrong with one request. */
export class RequestFailure extends Error {
  override readonly name = 'RequestFailure';

  constructor(
    readonly url: string,
    readonly reason: string,
    /** Whether a retry may help; after how many milliseconds, if the server says so. */
    readonly again: boolean,
    readonly retryAfter?: number,
    options?: ErrorOptions,
  ) {
    super(`${url}: ${reason}`, options);
  }
}

/** Slower than any working connection: counts as if no bytes came. */
class TooSlow extends RequestFailure {}

/** The progress of one attempt. */
export class Advance {
  private readonly began = performance.now();
  private bytes = 0;

  add(bytes: number): void {
    this.bytes += bytes;
  }

  get isAny(): boolean {
    return this.bytes > 0;
  }

  /** The minimum of a slow but working connection. */
  get isEnough(): boolean {
    return this.bytes >= LEAST_RATE * Math.max(1, (performance.now() - this.began) / 1000);
  }
}

/** Failures in a row before giving up. */
const TRIES = 4;
/** Attempts with too few bytes before giving up: a server that sends a byte and disconnects, again and again, makes no progress. */
const MEAGRE_TRIES = 20;
const FIRST_WAIT_MS = 500;
/** Longer pauses requested by a server are reported to the user. */
const MAX_WAIT_MS = 120_000;
const STALL_MS = 60_000;
/** Bytes per second, below the slowest modem. */
const LEAST_RATE = 1000;
const MAX_REDIRECTS = 5;
/** Of a redirect or a refusal: a sentence. Longer bodies are not read. */
const MAX_ASIDE_BYTES = 64_000;

/** Without user, password and query, which may contain secrets. */
export function shownUrl(url: string): string {
  if (!URL.canParse(url)) return 'an unreadable address';
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}

/**
 * One request, from its start to the last byte that `use` reads.
 * @param headers `authorization` is sent only to the address's own origin
 * @param use must call `alive` with the bytes of each piece it reads; `at` is the address after redirects
 * @throws RequestFailure, or the signal's reason
 */
export async function request<T>(
  { fetch, signal, stallAfter = STALL_MS, onWait }: Network,
  url: string,
  headers: Record<string, string>,
  use: (reply: Reply, alive: (bytes: number) => void, at: string) => Promise<T>,
): Promise<T> {
  const { authorization, ...open } = headers;
  const stalled = new AbortController();
  const seconds = stallAfter / 1000;
  const timer = setTimeout(() => {
    stalled.abort(new RequestFailure(shownUrl(at), `sent nothing for ${seconds} seconds`, true));
  }, stallAfter);
  const slow = setTimeout(() => onWait?.(`waiting for ${new URL(at).host} to answer`), TOLD_AFTER_MS);
  let rate: NodeJS.Timeout | undefined;
  let bytes = 0;
  const measure = (): void => {
    const reason = `sent ${Math.round(bytes / seconds)} bytes a second for ${seconds} seconds, fewer than ${LEAST_RATE}`;
    if (bytes < LEAST_RATE * seconds) stalled.abort(new TooSlow(shownUrl(at), reason, true));
    bytes = 0;
  };
  const alive = (count: number): void => {
    timer.refresh();
    bytes += count;
  };
  const either = AbortSignal.any([signal, stalled.signal]);
  let at = url;
  try {
    for (let hops = 0; ; hops++) {
      requireSecure(at);
      const isOwn = authorization !== undefined && new URL(at).origin === new URL(url).origin;
      const sent = isOwn ? { ...open, authorization } : open;
      const reply = await fetch(at, { headers: sent, redirect: 'manual', signal: either });
      const location = [301, 302, 303, 307, 308].includes(reply.status) ? reply.headers.get('location') : null;
      if (location === null) {
        clearTimeout(slow);
        rate = setInterval(measure, stallAfter);
        return await use(reply, alive, at);
      }
      // Read to the end, so that the connection can be reused.
      await readBytes(reply, MAX_ASIDE_BYTES);
      if (hops === MAX_REDIRECTS) throw new RequestFailure(shownUrl(url), 'is redirected without end', false);
      if (!URL.canParse(location, at)) throw new RequestFailure(shownUrl(at), 'is redirected to nowhere', false);
      at = new URL(location, at).href;
    }
  } catch (error) {
    signal.throwIfAborted();
    if (stalled.signal.aborted) throw stalled.signal.reason as RequestFailure;
    throw networkFailure(at, error);
  } finally {
    for (const each of [timer, slow]) clearTimeout(each);
    clearInterval(rate);
    // Cancel the rest of an unread body.
    stalled.abort();
  }
}

/** A whole short body; null if it is too long. */
export async function readBytes(
  { body }: Reply,
  most: number,
  alive?: (bytes: number) => void,
): Promise<Uint8Array | null> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of body ?? []) {
    alive?.(piece.length);
    size += piece.length;
    if (size > most) return null;
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** The body of a refusal: an object, or nothing usable. */
export async function readRefusal(reply: Reply): Promise<Record<string, unknown>> {
  const bytes = await readBytes(reply, MAX_ASIDE_BYTES);
  return parsedObject(bytes ?? new Uint8Array()) ?? {};
}

/** @returns null for anything but a JSON object */
export function parsedObject(bytes: Uint8Array): Record<string, unknown> | null {
  return parseObject(Buffer.from(bytes).toString('utf8'));
}

function requireSecure(url: string): void {
  const { protocol, hostname, username, password } = new URL(URL.canParse(url) ? url : 'none:');
  if (username !== '' || password !== '')
    throw new RequestFailure(shownUrl(url), 'contains a user name or a password, which no request may', false);
  const isLoopback = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(hostname);
  if (protocol === 'https:' || (protocol === 'http:' && isLoopback)) return;
  throw new RequestFailure(shownUrl(url), 'is not an https address, and nothing else is trusted', false);
}

/** The reason that fetch gives only in its error's cause. */
function networkFailure(url: string, error: unknown): Error {
  // Disk errors explain themselves.
  if (!(error instanceof Error) || error instanceof RequestFailure || !isNetworkError(error)) return error as Error;
  const { code = '', message } = (error.cause ?? error) as NodeJS.ErrnoException;
  const isCertificate = /CERT|SELF_SIGNED|UNABLE_TO_(?:GET|VERIFY)/.test(code);
  const reasons: Record<string, string> = {
    ENOTFOUND: 'no address is known for that host',
    EAI_AGAIN: 'no address is known for that host',
    ECONNREFUSED: 'nothing answers there',
    ENETUNREACH: 'there is no way to that network',
    EHOSTUNREACH: 'there is no way to that host',
    ECONNRESET: 'the connection was lost',
    UND_ERR_SOCKET: 'the connection was lost',
    UND_ERR_CONNECT_TIMEOUT: 'nothing answers there in time',
    ETIMEDOUT: 'nothing answers there in time',
  };
  const reason = isCertificate
    ? `its certificate is not trusted (${code}); NODE_EXTRA_CA_CERTS names further ones`
    : (reasons[code] ?? `${error.message}${error.cause ? `: ${message || code}` : ''}`);
  return new RequestFailure(shownUrl(url), `cannot be reached: ${reason}`, !isCertificate, undefined, { cause: error });
}

/** Undici throws a TypeError both when no reply came ("fetch failed") and when one broke off ("terminated"). */
function isNetworkError(error: Error): boolean {
  const code = error.cause instanceof Error ? (error.cause as NodeJS.ErrnoException).code : undefined;
  return error instanceof TypeError || /^(?:E[A-Z]+|UND_ERR_\w+)$/.test(code ?? '');
}

/** @throws RequestFailure for any other status */
export function requireStatus(url: string, { status, headers }: Reply, ...wanted: number[]): void {
  if (wanted.includes(status)) return;
  if (status === 429 || status >= 500) {
    const retryAfter = retryAfterOf(headers.get('retry-after'));
    const reason = `the server answers ${status}${retryAfter === undefined ? '' : ` and asks to retry after ${Math.ceil(retryAfter / 1000)} seconds`}`;
    throw new RequestFailure(shownUrl(url), reason, (retryAfter ?? 0) <= MAX_WAIT_MS, retryAfter);
  }
  const why = status === 404 ? ' (it is not there)' : status === 407 ? ' (the proxy wants a login)' : '';
  throw new RequestFailure(shownUrl(url), `the server answers ${status}${why}`, false);
}

/** In milliseconds. The header contains seconds or a date. */
function retryAfterOf(header: string | null): number | undefined {
  if (header === null) return undefined;
  const value = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(value) ? Math.max(0, value) : undefined;
}

/**
 * @param attempt must add the bytes that it receives
 * @throws RequestFailure, or the signal's reason
 */
export async function withRetries<T>(
  { signal, wait = (milliseconds) => delay(milliseconds, undefined, { signal }), onWait }: Network,
  attempt: (advance: Advance) => Promise<T>,
): Promise<T> {
  let meagre = 0;
  for (let failures = 1; ; failures++) {
    const advance = new Advance();
    try {
      return await attempt(advance);
    } catch (error) {
      if (!(error instanceof RequestFailure) || !error.again) throw error;
      // The connection is slow, not dead.
      if (advance.isAny && !(error instanceof TooSlow)) failures = 1;
      meagre = advance.isEnough ? 0 : meagre + 1;
      if (failures === TRIES || meagre === MEAGRE_TRIES) throw error;
      const pause = error.retryAfter ?? FIRST_WAIT_MS * 2 ** (failures - 1);
      if (pause > TOLD_AFTER_MS) onWait?.(`${error.message}; trying again in ${Math.ceil(pause / 1000)} seconds`);
      try {
        await wait(pause, signal);
      } finally {
        signal.throwIfAborted();
      }
    }
  }
}
