// onnxruntime itself takes the provider from the storage, and what keeps it from loading is said with its real name.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { installFromArchive } from '../../src/cuda/install';
import { linkRuntime, providerFolder } from '../../src/cuda/state';
import { gramGraph } from '../../src/engine/graphs';
import { elsewhere, root, temporaryFolder } from '../fixtures/make';
import { elf } from './elf';
import { makePackage, NATIVE } from './package';

const runtime = join(root, 'node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime.so.1');

it('a provider in the storage is the one that is loaded', { skip: elsewhere }, async () => {
  const storage = join(temporaryFolder(), 'a place with spaces');
  const [version, archive] = ['1.30.0', `${storage}.nupkg`];
  // The part of the provider that is loaded first.
  const shared = elf({ needed: ['libcublas-of-no-machine.so.12'] });
  const files = { [`${NATIVE}/libonnxruntime_providers_shared.so`]: shared };
  writeFileSync(archive, await makePackage(version, { files }));
  await installFromArchive({ storage, version }, archive, new AbortController().signal);
  const folder = providerFolder(storage, version);
  await linkRuntime(folder, runtime);
  const program = `require('onnxruntime-node').InferenceSession.create(Buffer.from('${Buffer.from(gramGraph('float')).toString('base64')}', 'base64'),
    { executionProviders: ['cuda'] }).then(() => console.log('made'), (error) => console.log(error.message))`;
  const run = (searchPath: string) =>
    spawnSync(process.execPath, ['-e', program], {
      cwd: root,
      encoding: 'utf8',
      env: { ...process.env, LD_LIBRARY_PATH: searchPath },
    });
  const { stdout, stderr } = run(folder);
  assert.match(stdout, /Failed to load shared library/);
  assert.ok(stderr.includes(join(folder, 'libonnxruntime_providers_shared.so')), stderr);
  assert.ok(stderr.includes('libcublas-of-no-machine.so.12: cannot open shared object file'), stderr);
  assert.ok(!run('').stderr.includes(folder));
});
