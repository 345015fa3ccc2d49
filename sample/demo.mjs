// The main job on the shipped sample: inspect an adapter, project it, and measure what that does to the model's behaviour.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const sample = dirname(fileURLToPath(import.meta.url));
const root = dirname(sample);
const results = join(root, 'demo-results');
const here = (path) => relative(process.cwd(), path);
const models = ['--base', here(join(sample, 'base')), '--aligned', here(join(sample, 'aligned'))];
const adapter = here(join(sample, 'adapters', 'harmful'));
const projected = here(join(results, 'harmful-count-8'));
const page = here(join(results, 'harmful.html'));

function safeLora(...args) {
  console.log(`\n$ safe-lora ${args.join(' ')}\n`);
  const { status } = spawnSync(process.execPath, [join(root, 'dist', 'cli.js'), ...args], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

mkdirSync(results, { recursive: true });
safeLora('inspect', adapter, ...models);
safeLora('evaluate', adapter, ...models, '--points', '3,8', '--html', page);
safeLora('project', adapter, ...models, '--count', '8', '--out', projected, '--force');
console.log(`
The page with the curve: ${page}
The projected adapter: ${projected}
To look at adapters in the editor: npm run editor`);
