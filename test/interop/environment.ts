// The Python that the interop test runs on: an environment of its own outside the repository, made once for each lock file and Python.
// As a program it makes the environment, or says in one line why it cannot and ends with status 1.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { root } from '../fixtures/make';

const programs = join(root, 'test/interop');
const lockFile = join(programs, 'requirements.txt');
/** transformers 5.24 and numpy 2.4 want it. */
const OLDEST: readonly [number, number] = [3, 11];

/** Why there is no environment, in one line with what to do. */
export class NoEnvironment extends Error {}

/**
 * @returns the environment's python
 * @throws NoEnvironment
 */
export async function pythonEnvironment(): Promise<string> {
  const base = findPython();
  const lock = readFileSync(lockFile);
  const key = createHash('sha256').update(lock).update(base.version).digest('hex').slice(0, 16);
  const cache = process.env.XDG_CACHE_HOME ?? '';
  const folder = join(cache === '' ? join(homedir(), '.cache') : cache, `safe-lora-interop-${key}`);
  const python = pythonOf(folder);
  if (existsSync(folder)) {
    if (spawnSync(python, ['--version']).status === 0) return python;
    // The Python that it was made from is gone.
    rmSync(folder, { recursive: true });
  }
  console.log(`Installing ${basename(lockFile)} into ${folder}; this takes minutes, once.`);
  await install(base.command, folder);
  return python;
}

/** Runs one of the Python programs beside this file, which share nothing with what they test. */
export function program(python: string, name: string, ...args: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(python, [join(programs, name), ...args], {
      // No compiled copies beside the programs.
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
      stdio: ['ignore', 'inherit', 'pipe'],
    });
    let text = '';
    child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.on('error', reject);
    child.on('close', (status) => {
      if (status === 0) resolve();
      else reject(new Error(`${name} ended with status ${status ?? 'none'}:\n${text}`));
    });
  });
}

interface Python {
  command: string;
  /** Three numbers with dots between. */
  version: string;
}

function findPython(): Python {
  const named = process.env.SAFE_LORA_PYTHON ?? '';
  const commands = named === '' ? ['python3', 'python'] : [named];
  const wanted = `Python ${OLDEST.join('.')} or later`;
  const remedy = `install ${wanted}, or name one in SAFE_LORA_PYTHON`;
  const found = commands
    .map((command): Python | null => {
      const program = 'import sys; print(".".join(map(str, sys.version_info[:3])))';
      const { status, stdout } = spawnSync(command, ['-c', program], { encoding: 'utf8' });
      return status === 0 ? { command, version: stdout.trim() } : null;
    })
    .filter((python) => python !== null);
  if (found.length === 0) throw new NoEnvironment(`${commands.join(' and ')} cannot be run: ${remedy}.`);
  const fit = found.find(({ version }) => isRecent(version));
  if (!fit) {
    const [{ command, version }] = found as [Python];
    throw new NoEnvironment(`${command} is Python ${version}, and PEFT's libraries want ${wanted}: ${remedy}.`);
  }
  // Debian's python3 comes without ensurepip, which venv needs.
  if (spawnSync(fit.command, ['-c', 'import venv, ensurepip']).status !== 0) {
    throw new NoEnvironment(
      `${fit.command} has no venv: install python3-venv, or name another Python in SAFE_LORA_PYTHON.`,
    );
  }
  return fit;
}

function isRecent(version: string): boolean {
  const [major, minor] = version.split('.').map(Number) as [number, number];
  return major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]);
}

function pythonOf(folder: string): string {
  return process.platform === 'win32' ? join(folder, 'Scripts', 'python.exe') : join(folder, 'bin', 'python');
}

/** Under a name of this process's own until it is whole, so that what was broken off is never used. */
async function install(python: string, folder: string): Promise<void> {
  makeCache(dirname(folder));
  removeAbandoned(folder);
  const draft = `${folder}.${process.pid}`;
  try {
    await run(python, ['-m', 'venv', draft], 'install python3-venv, or name another Python in SAFE_LORA_PYTHON');
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--requirement', lockFile];
    await run(pythonOf(draft), pip, 'see that pip reaches a package index that has it, then run this again');
    if (!existsSync(folder)) renameSync(draft, folder);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

function makeCache(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    const { message } = error as Error;
    throw new NoEnvironment(`the cache cannot be made: ${message}: name another folder in XDG_CACHE_HOME.`);
  }
}

/** What a killed process left. */
function removeAbandoned(folder: string): void {
  for (const name of readdirSync(dirname(folder))) {
    const [stem, pid] = name.split('.');
    if (stem !== basename(folder) || pid === undefined || isAlive(Number(pid))) continue;
    rmSync(join(dirname(folder), name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** @throws NoEnvironment with the last line that the command wrote, which is where Python and pip say why */
function run(command: string, args: readonly string[], remedy: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const stop = (): void => void child.kill();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop);
    child.on('error', reject);
    child.on('close', (status) => {
      process.off('SIGINT', stop).off('SIGTERM', stop);
      const what = `${basename(command)} ${args.slice(0, 3).join(' ')}`;
      if (status === 0) resolve();
      else if (status === null) reject(new NoEnvironment(`${what} was stopped: run this again.`));
      else reject(new NoEnvironment(`${what} failed: ${text.trim().split('\n').at(-1)!}: ${remedy}.`));
    });
  });
}

if (process.argv[1] === import.meta.filename) {
  pythonEnvironment().catch((error: unknown) => {
    if (!(error instanceof NoEnvironment)) throw error;
    console.error(`test:interop: ${error.message}`);
    process.exitCode = 1;
  });
}
