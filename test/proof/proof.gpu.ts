// npm run gpu:proof runs through, on a Vulkan driver that computes on the processor: it is tried here, and proves no GPU.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { bundle } from '../bundle';
import { root, temporaryFolder } from '../fixtures/make';
import { type ProofRecord, type ProviderProof } from './record';

describe('the proof on a driver that computes on the processor', () => {
  const folder = temporaryFolder();
  before(() => bundle('bench', 'bench-worker', 'gpu-accuracy', 'gpu-models', 'gpu-proof'));

  const prove = (...args: string[]) =>
    spawnSync(process.execPath, [join(root, 'dist/gpu-proof.cjs'), '--out', folder, ...args], {
      encoding: 'utf8',
      env: { ...process.env, HOME: folder, XDG_DATA_HOME: folder },
    });
  const webgpu = (): ProviderProof & { record: ProofRecord } => {
    const record = JSON.parse(readFileSync(join(folder, 'gpu-proof.json'), 'utf8')) as ProofRecord;
    return { record, ...record.providers.find(({ provider }) => provider === 'webgpu')! };
  };

  it('runs the tests and the bench with --software, and writes both files with their numbers', () => {
    const { status, stdout, stderr } = prove('--software', '--quick', '--case', '7b-qv');
    assert.equal(status, 0, stdout + stderr);
    const { record, check, accuracy, bench } = webgpu();
    assert.ok(record.passed && record.software && record.quick);
    assert.ok(check.usable && check.selfTest.similarityError <= 1e-5 && check.selfTest.milliseconds > 0);
    assert.ok(accuracy?.passed && accuracy.tests >= 20 && accuracy.failed === 0);
    assert.ok(bench?.passed);
    assert.equal(bench.cases.length, 1);
    const { provider, engineMs, cpuMs, bytesRead, bytesNeeded } = bench.cases[0]!;
    assert.equal(provider, 'webgpu');
    assert.ok(engineMs > 0 && cpuMs! > 0);
    assert.equal(bytesRead, bytesNeeded);
    const text = readFileSync(join(folder, 'gpu-proof.md'), 'utf8');
    assert.match(text, /this is no proof of a GPU/);
    assert.ok(text.includes(`| webgpu | passed | ${accuracy.tests} of ${accuracy.tests} |`), text);
    assert.match(text, /\| webgpu \| 7b-qv \| [\d.]+ \| [\d.]+ \| [\d.]+ \|/);
  });

  it('does not take such a driver for a GPU', () => {
    const { status, stdout } = prove('--quick');
    assert.equal(status, 3, stdout);
    const { check, onGpu, accuracy } = webgpu();
    assert.ok(check.usable && !onGpu && accuracy === null);
    assert.match(stdout, /webgpu: .* computes on the processor.* --software/);
  });
});
