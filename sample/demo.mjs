// The main job on the shipped sample: inspect an adapter, project it twice, and say where the results lie.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const sample = dirname(fileURLToPath(import.meta.url));
const root = dirname(sample);
const results = join(root, 'demo-results');
const here = (path) => relative(process.cwd(), path);
const models = ['--base', here(join(sample, 'base')), '--aligned', here(join(sample, 'aligned'))];
const adapter = here(join(sample, 'adapters', 'harmful'));
const recorded = JSON.parse(readFileSync(join(sample, 'behaviour.json'), 'utf8')).harmful;

function safeLora(...args) {
  console.log(`\n$ safe-lora ${args.join(' ')}\n`);
  const { status } = spawnSync(process.execPath, [join(root, 'dist', 'cli.js'), ...args], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

function project(name, ...selection) {
  const out = here(join(results, name));
  safeLora('project', adapter, ...models, ...selection, '--out', out, '--force');
  return out;
}

function recordedAttackSuccess(...keys) {
  const figures = keys.map(([label, key]) => `${label}: ${recorded[key].asr.toFixed(1)}`);
  console.log(
    `\nAttack success, recorded when the sample was made (sample/behaviour.json), not measured now:\n  ${figures.join(', ')}`,
  );
}

safeLora('inspect', adapter, ...models);
recordedAttackSuccess(['adapter as it is', 'adapter']);
const byThreshold = project('harmful-threshold-0.35', '--threshold', '0.35');
recordedAttackSuccess(['with 2 modules projected', 'count=2'], ['with 4', 'count=4']);
const byCount = project('harmful-count-8', '--count', '8');
recordedAttackSuccess(['with 8 modules projected', 'count=8']);
console.log(`
The projected adapters: ${byThreshold} and ${byCount}
To look at adapters in the editor: npm run editor`);
