// What the environment says of the hub, under the names that its own tools use.
import { homedir } from 'node:os';
import { join } from 'node:path';
import { SafeLoraError } from '../core/errors';
import { kindOf, ReadableFile } from '../core/files';

const ENDPOINT = 'https://huggingface.co';
const DEFAULT_LIMIT = 20e9;

/** Another hub where the environment names one. */
export function endpointOf({ HF_ENDPOINT: given }: NodeJS.ProcessEnv): string {
  return (filled(given) ?? ENDPOINT).replace(/\/+$/, '');
}

export function isOffline({ HF_HUB_OFFLINE: given }: NodeJS.ProcessEnv): boolean {
  return /^(?:1|on|yes|true)$/i.test(given ?? '');
}

/**
 * Bytes that the cache may take.
 * @throws SafeLoraError for what is no number
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
 * HF_TOKEN, else what the hub's own tools have stored.
 * @returns undefined where there is none
 * @throws SafeLoraError for one that no header can hold; it does not repeat it
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

/** What is not fit for a header would be repeated by the error of fetch. */
export function checked(token: string, source: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw holdsNoToken(source);
}

/** A variable that is set to nothing is not set. */
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
