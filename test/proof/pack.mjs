// npm run gpu:bundle: the proof with this Node and onnxruntime for Linux x64 as one archive, for a machine without a network.
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { binaries, binaryFolder, runtimeScripts } from '../../runtime.mjs';

const target = 'linux-x64';
const name = `safe-lora-gpu-proof-${target}`;
const programs = [
  ...['gpu-proof.cjs', 'gpu-accuracy.cjs', 'gpu-models.cjs', 'bench.cjs', 'bench-worker.cjs'],
  ...['engine-child.js', 'model-child.js'],
];
/** In 10^6 bytes: it travels by whatever way there is. */
const limit = 60;

process.chdir(resolve(import.meta.dirname, '../..'));
if (`${process.platform}-${process.arch}` !== target) {
  console.error(
    `gpu:bundle: it holds this very Node, which must be for ${target}; this is ${process.platform}-${process.arch}.`,
  );
  process.exit(1);
}

const files = [
  // Its version, and that these programs are no ES modules, whatever lies around them.
  'package.json',
  'LICENSE',
  ...programs.map((program) => `dist/${program}`),
  // What Transformers recorded of models.
  'test/fixtures/language-models',
  ...[...runtimeScripts(), ...binaries[target].map((file) => `${binaryFolder(target)}/${file}`)].map(
    (path) => `node_modules/${path}`,
  ),
];
const scratch = mkdtempSync(join(realpathSync(tmpdir()), 'safe-lora-pack-'));
try {
  for (const file of files) {
    mkdirSync(dirname(join(scratch, name, file)), { recursive: true });
    cpSync(file, join(scratch, name, file), { recursive: true });
  }
  cpSync(realpathSync(process.execPath), join(scratch, name, 'node'));
  chmodSync(join(scratch, name, 'node'), 0o755);
  const { status, error } = spawnSync(
    'tar',
    ['-C', scratch, '--owner=0', '--group=0', '-cJf', `${name}.tar.xz`, name],
    {
      env: { ...process.env, XZ_OPT: '-9e -T0' },
      stdio: 'inherit',
    },
  );
  if (status !== 0) throw error ?? new Error(`tar: exit status ${status}`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

const megabytes = statSync(`${name}.tar.xz`).size / 1e6;
console.log(`${name}.tar.xz: ${megabytes.toFixed(1)} MB. On a machine with a GPU:`);
console.log(`  tar xf ${name}.tar.xz && cd ${name} && ./node dist/gpu-proof.cjs`);
if (megabytes > limit) {
  console.error(`gpu:bundle: that is more than ${limit} MB.`);
  process.exit(1);
}
