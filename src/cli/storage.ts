// Where the command line keeps what it installs; the editor hands its own storage to the processes that it starts.
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

/** Set by the editor for its tasks, so that both use one install. */
const VARIABLE = 'SAFE_LORA_STORAGE';

export function storageFolder(env: NodeJS.ProcessEnv = process.env, platform = process.platform): string {
  const given = env[VARIABLE];
  if (given) return resolve(given);
  if (platform === 'win32') return join(env.LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local'), 'safe-lora');
  // The XDG base directory specification has relative paths ignored.
  const data = env.XDG_DATA_HOME;
  return join(data && isAbsolute(data) ? data : join(homedir(), '.local', 'share'), 'safe-lora');
}
