// The hub's settings in the environment, under the names of its own tools.
import { homedir } from 'node:os';
import { join } from 'node:path';
import { SafeLoraError } from '../core/errors';
import { kindOf, ReadableFile } from '../core/files';

const ENDPOINT = 'https://huggingface.co';
const DEFAULT_LIMIT = 20e9;

/** Another hub if the environment names one. */
export function endpointOf({ HF_ENDPOINT: given }: NodeJS.ProcessEnv): string {
  return (filled(given) ?? ENDPOINT).replace(/\/+$/, '');
}

export function isOffline({ HF_HUB_OFFLINE: given }: NodeJS.ProcessEnv): boolean {
  return /^(?:1|on|yes|true)$/i.test(given ?? '');
}

/**
 * Maximum bytes of the cache.
 * @throws SafeLoraError for an invalid number
 */
export function cacheLimit({ SAFE_LORA_CACHE_LIMIT: given }: NodeJS.ProcessEnv): number {
  const limit = filled(given);
  if (limit === undefined) return DEFAULT_LIMIT;
  if (/^\d+$/.test(limit)) return Number(limit);
  throw notBytes(limit);
}

/** Far more than any token has. */
const MOST_TOKEN_BYTES = 10_000;

/**
 * HF_TOKEN, else the token that the hub's own tools have stored.
 * @returns undefined if there is none
 * @throws SafeLoraError for a token that is no valid header value; the message does not repeat it
 */
export async function tokenOf(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const given = env.HF_TOKEN?.trim();
  if (given) return checked(given, 'HF_TOKEN');
  const home = filled(env.HF_HOME) ?? join(filled(env.XDG_CACHE_HOME) ?? join(homedir(), '.cache'), 'huggingface');
  const path = filled(env.HF_TOKEN_PATH) ?? join(home, 'token');
  if ((await kindOf(path)) === null) return undefined;
  const bytes = await ReadableFile.with(path, (file) => file.read(0, Math.min(file.size, MOST_TOKEN_BYTES)));
  const stored = Buffer.from(bytes).toString('utf8').trim();
  return stored === '' ? undefined : checked(stored, path);
}

/** fetch would repeat an invalid header value in its error. */
export function checked(token: string, source: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw holdsNoToken(source);
}

/** An empty variable counts as unset. */
function filled(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}

function notBytes(limit: string): SafeLoraError {
  return new SafeLoraError(
    'wrong-input',
    `SAFE_LORA_CACHE_LIMIT is "${limit}"; give a number of bytes, 20000000000 say.`,
  );
}

function holdsNoToken(source: string): SafeLoraError {
  return new SafeLoraError('hub-access', `${source}: does not contain a valid token; set it again.`);
}
