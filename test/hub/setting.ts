// A hub on this machine with the sample's two models, and the command line with an environment of its own.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Report } from '../../src/core/report';
import { cli, cliPath, type CliResult, noProxy, sample } from '../fixtures/make';
import { HubServer } from './server';

export const BASE = 'toy/base';
export const ALIGNED = 'toy/aligned';
export const adapter = join(sample, 'adapters', 'mixed-all');

export function startSample(): Promise<HubServer> {
  return HubServer.start({ [BASE]: join(sample, 'base'), [ALIGNED]: join(sample, 'aligned') });
}

/** Nothing of the runner's own: no proxy, no token. */
export function environment(hub: HubServer, storage: string): NodeJS.ProcessEnv {
  const empty = { HF_TOKEN: '', HF_TOKEN_PATH: '', HF_HUB_OFFLINE: '', SAFE_LORA_CACHE_LIMIT: '' };
  const home = join(storage, 'no-home');
  return { ...noProxy, ...empty, HF_HOME: home, HF_ENDPOINT: hub.endpoint, SAFE_LORA_STORAGE: storage };
}

export const models = (base = `hf://${BASE}`, aligned = `hf://${ALIGNED}`): string[] => [
  '--base',
  base,
  '--aligned',
  aligned,
  '--device',
  'cpu',
];

export interface Inspected extends CliResult {
  report: Report;
}

/** @returns the report, too, where there is one */
export async function inspect(env: NodeJS.ProcessEnv, args: string[] = models()): Promise<Inspected> {
  const result = await cli(['inspect', adapter, ...args, '--json', '-'], { env });
  return { ...result, report: (result.status === 0 ? JSON.parse(result.stdout) : {}) as Report };
}

/** Ends a run at once as soon as so many bytes of tensors have come, of which none is whole where `unfinished` is set. */
export async function killed(env: NodeJS.ProcessEnv, storage: string, bytes: number): Promise<void> {
  const child = spawn(process.execPath, [cliPath, 'inspect', adapter, ...models()], {
    env: { ...process.env, ...env },
    stdio: 'ignore',
  });
  const ended = new Promise((resolve) => child.on('close', resolve));
  while (child.exitCode === null && sizes(storage, /\.tensor(?:\.part)?$/).reduce((a, b) => a + b, 0) < bytes)
    await delay(10);
  child.kill('SIGKILL');
  await ended;
}

/** Paths of files in the cache. */
export function cached(storage: string, pattern: RegExp): string[] {
  const folder = join(storage, 'hub', 'models');
  if (!existsSync(folder)) return [];
  return (
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => pattern.test(name))
      .map((name) => join(folder, name))
      // A part is renamed as soon as it is whole, perhaps after it was listed.
      .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile())
  );
}

export function sizes(storage: string, pattern: RegExp): number[] {
  return cached(storage, pattern).map((path) => {
    try {
      return statSync(path).size;
    } catch {
      return 0;
    }
  });
}

/** Every byte below a folder, as text. */
export function everything(folder: string): string {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => path + readFileSync(path, 'latin1'))
    .join('\n');
}

/** Bytes of the weights that the adapter touches, and of what has to be read to find them. */
export function neededBytes(): { weights: number; all: number } {
  const targets = /\.(?:q|k|v|o|gate|up|down)_proj\.weight$/;
  let [weights, beside] = [0, 0];
  for (const model of ['base', 'aligned']) {
    for (const name of readdirSync(join(sample, model))) {
      const bytes = readFileSync(join(sample, model, name));
      if (name === 'config.json' || name.endsWith('.index.json')) beside += bytes.length;
      if (!name.endsWith('.safetensors')) continue;
      const length = Number(bytes.readBigUInt64LE());
      beside += 8 + length;
      const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<
        string,
        { data_offsets: [number, number] }
      >;
      for (const [tensor, { data_offsets: offsets }] of Object.entries(header)) {
        if (targets.test(tensor)) weights += offsets[1] - offsets[0];
      }
    }
  }
  return { weights, all: weights + beside };
}
