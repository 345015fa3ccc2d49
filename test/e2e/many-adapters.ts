// A workspace of many adapters: the sample's models once, its adapters over and over, in folders near and deep.
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sample } from '../fixtures/make';
import { rememberPair } from './session';

const places = [
  'adapters',
  'runs/2024-05',
  'runs/2024-06/learning-rate-sweep',
  'teams/support/experiments/summaries/llama',
  'archive/a/b/c/d/e',
];
const endings = ['', '-v2', '-lr-2e-4', '-r8-alpha16-epoch-3-checkpoint-1500'];

export function fillWithAdapters(workspace: string, count: number): void {
  for (const model of ['base', 'aligned']) cpSync(join(sample, model), join(workspace, model), { recursive: true });
  rememberPair(workspace);
  for (const path of adapterPaths(count)) copyAdapter(path.sample, join(workspace, path.folder));
}

/**
 * Copies one of the sample's adapters to a folder that is made.
 * @param trainedOn what it then says that it was trained on
 */
export function copyAdapter(name: string, folder: string, trainedOn?: string): void {
  const source = join(sample, 'adapters', name);
  mkdirSync(folder, { recursive: true });
  for (const file of readdirSync(source)) copyFileSync(join(source, file), join(folder, file));
  if (trainedOn === undefined) return;
  const path = join(folder, 'adapter_config.json');
  const config = JSON.parse(readFileSync(path, 'utf8')) as object;
  writeFileSync(path, JSON.stringify({ ...config, base_model_name_or_path: trainedOn }));
}

/** Where the adapters are: the same for the same count. */
function adapterPaths(count: number): { sample: string; folder: string }[] {
  const names = readdirSync(join(sample, 'adapters')).sort();
  return Array.from({ length: count }, (_, i) => {
    const name = names[i % names.length]!;
    const ending = endings[Math.floor(i / names.length) % endings.length]!;
    return { sample: name, folder: `${places[i % places.length]!}/${name}-${i}${ending}` };
  });
}
