// The machine as the search sees it: its platform, its environment and where its folders begin.
import { execFile } from 'node:child_process';
import { homedir } from 'node:os';
import { promisify } from 'node:util';
import { childEnvironment } from '../core/child-environment';

export interface Machine {
  platform: NodeJS.Platform;
  arch: string;
  env: NodeJS.ProcessEnv;
  home: string;
  /** '/', or where a test has built another machine. */
  root: string;
  /** What `ldconfig -p` prints: the libraries that the loader finds without being told. */
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
  // Not every user has /sbin on the path.
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
