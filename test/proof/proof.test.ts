// npm run gpu:proof on a machine where nothing can run: it says why for each provider, and is no success.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { bundle } from '../bundle';
import { elf } from '../cuda/elf';
import { elsewhere, root, temporaryFolder } from '../fixtures/make';
import { type ProofRecord } from './record';

describe('the proof of a GPU, where there is none', { skip: elsewhere }, () => {
  const folder = temporaryFolder();
  const program = join(root, 'dist/gpu-proof.cjs');
  before(() => bundle('gpu-proof'));

  const prove = (...args: string[]) =>
    spawnSync(process.execPath, [program, '--out', folder, ...args], {
      encoding: 'utf8',
      // Without nvidia-smi and lspci, and with no driver of Vulkan.
      env: { PATH: folder, HOME: folder, VK_ICD_FILENAMES: '/nonexistent' },
    });
  const record = (): ProofRecord => JSON.parse(readFileSync(join(folder, 'gpu-proof.json'), 'utf8')) as ProofRecord;

  it('says what it looked for and why each provider cannot run, and exits with 3', () => {
    const { status, stdout } = prove();
    assert.equal(status, 3, stdout);
    assert.match(stdout, /^GPUs: the system lists none$/m);
    assert.match(stdout, /^CUDA provider of onnxruntime: not here/m);
    for (const name of ['libcublas.so.12', 'libcudart.so.12']) assert.ok(stdout.includes(`  ${name}: `), stdout);
    assert.match(stdout, /^There is no GPU here: cuda: there is no NVIDIA driver; .*webgpu: Vulkan has no driver/m);
    const { providers, passed } = record();
    assert.equal(passed, null);
    assert.deepEqual(
      providers.map(({ provider, check, accuracy }) => [provider, check.usable, accuracy]),
      [
        ['cuda', false, null],
        ['webgpu', false, null],
      ],
    );
    assert.match(readFileSync(join(folder, 'gpu-proof.md'), 'utf8'), /\| webgpu \| not run: Vulkan has no driver/);
  });

  it('takes the CUDA provider from a folder, says what that needs, and leaves the folder as it was', () => {
    const libraries = join(folder, 'provider');
    mkdirSync(libraries);
    const needed = ['libcublas-of-no-machine.so.12', 'libcublas.so.12'];
    writeFileSync(join(libraries, 'libonnxruntime_providers_cuda.so'), elf({ needed }));
    writeFileSync(join(libraries, 'libonnxruntime_providers_shared.so'), elf({ needed: [] }));
    writeFileSync(join(libraries, 'libcublas.so.12'), elf({ needed: [] }));
    const { status, stdout } = prove('--provider-libs', libraries);
    assert.equal(status, 3, stdout);
    assert.ok(stdout.includes(`CUDA provider of onnxruntime: ${join(libraries, 'libonnxruntime_providers_cuda.so')}`));
    assert.match(stdout, /^ {2}libcublas\.so\.12: found, /m);
    assert.match(stdout, /^ {2}libcublas-of-no-machine\.so\.12: missing; /m);
    assert.match(stdout, /cuda: its provider needs libcublas-of-no-machine\.so\.12/);
    assert.ok(!existsSync(join(libraries, 'libonnxruntime.so.1')));
  });

  it('lists an NVIDIA GPU where there is no lspci, and tells that from no GPU', () => {
    const smi = join(folder, 'nvidia-smi');
    writeFileSync(smi, '#!/bin/sh\necho "NVIDIA H100 80GB HBM3, 81559, 550.54.15"\n', { mode: 0o755 });
    try {
      const { status, stdout } = prove();
      assert.equal(status, 3, stdout);
      assert.match(stdout, /^GPUs: NVIDIA H100 80GB HBM3, 81559 MiB, driver 550\.54\.15$/m);
      assert.match(stdout, /^No GPU provider can run here: /m);
    } finally {
      rmSync(smi);
    }
  });

  it('refuses a folder without the provider', () => {
    const { status, stderr } = prove('--provider-libs', join(folder, 'nowhere'));
    assert.equal(status, 2);
    assert.match(stderr, /libonnxruntime_providers_cuda\.so and libonnxruntime_providers_shared\.so not there/);
  });
});
