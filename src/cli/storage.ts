// The storage folder of the command line; the editor passes its own to the processes that it starts.
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

/** Set by the editor for its tasks, so that both share one install. */
const VARIABLE = 'SAFE_LORA_STORAGE';

export function storageFolder(env: NodeJS.ProcessEnv = process.env, platform = process.platform): string {
  const given = env[VARIABLE];
  if (given) return resolve(given);
  if (platform === 'win32') return join(env.LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local'), 'safe-lora');
  // The XDG base directory specification says to ignore relative paths.
  const data = env.XDG_DATA_HOME;
  return join(data && isAbsolute(data) ? data : join(homedir(), '.local', 'share'), 'safe-lora');
}
