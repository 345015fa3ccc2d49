// The machine for the search: its platform, its environment and its root folder.
import { execFile } from 'node:child_process';
import { homedir } from 'node:os';
import { promisify } from 'node:util';
import { childEnvironment } from '../core/child-environment';

export interface Machine {
  platform: NodeJS.Platform;
  arch: string;
  env: NodeJS.ProcessEnv;
  home: string;
  /** '/', or a test's fake root. */
  root: string;
  /** The output of `ldconfig -p`: the libraries that the loader finds by default. */
  loaderCache: () => Promise<string>;
}

export function thisMachine(): Machine {
  return {
    platform: process.platform,
    arch: process.arch,
    env: process.env,
    home: homedir(),
    root: '/',
    loaderCache,
  };
}

async function loaderCache(): Promise<string> {
  // Some users do not have /sbin on the path.
  for (const command of ['/sbin/ldconfig', '/usr/sbin/ldconfig', 'ldconfig']) {
    const options = {
      env: { ...childEnvironment(), LC_ALL: 'C' },
      timeout: 10_000,
      killSignal: 'SIGKILL',
      maxBuffer: 2 ** 26,
    } as const;
    const found = await promisify(execFile)(command, ['-p'], options).catch(() => null);
    if (found) return found.stdout;
  }
  return '';
}
