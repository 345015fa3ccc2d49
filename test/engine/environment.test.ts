// What the processes that the engine starts see of the user's environment.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { childEnvironment } from '../../src/core/child-environment';
import { Devices } from '../../src/engine/devices';
import { examine } from '../../src/engine/doctor';
import { Engine } from '../../src/engine/pool';
import { childPath, root, temporaryFolder } from '../fixtures/make';
import { sampleTasks } from './tasks';

const secrets = {
  HF_TOKEN: 'hf_secretOne',
  SECRET: 'secretTwo',
  NVIDIA_API_KEY: 'secretThree',
  AWS_SESSION_TOKEN: 'secretFour',
  NODE_OPTIONS: '--no-warnings=secretFive',
  HTTPS_PROXY: 'http://me:secretSix@proxy.example',
};

describe('a started process', () => {
  Object.assign(process.env, secrets, { OMP_NUM_THREADS: '1' });

  it('that computes has no secret in its environment', { skip: process.platform !== 'linux' && '/proc' }, async () => {
    const engine = new Engine({ childPath, memory: 2 ** 29, workers: 1, environment: { LD_LIBRARY_PATH: '/given' } });
    try {
      await engine.compute((await sampleTasks())[0]!);
      const given = readFileSync(`/proc/${engine.pids[0]!}/environ`, 'utf8');
      assert.doesNotMatch(given, /secret(?:One|Two|Three|Four|Five|Six)/);
      const lines = given.split('\0');
      for (const line of [
        `PATH=${process.env.PATH}`,
        'OMP_NUM_THREADS=1',
        'LD_LIBRARY_PATH=/given',
        'ORT_DISABLE_TELEMETRY=1',
      ])
        assert.ok(lines.includes(line), line);
    } finally {
      engine.dispose();
    }
  });

  it('that looks for GPUs has none either', async () => {
    const folder = temporaryFolder();
    const program = join(folder, 'gpus.cjs');
    writeFileSync(program, 'process.send([{ name: JSON.stringify(process.env) }], () => process.disconnect());');
    const devices = new Devices({
      childPath: join(folder, 'none.js'),
      storage: folder,
      version: '',
      onnxruntimeVersion: '',
    });
    const { gpus } = await examine(devices, { tool: '', onnxruntime: '', gpusProgram: program });
    assert.match(gpus[0]!.name, /"PATH":/);
    assert.doesNotMatch(gpus[0]!.name, /secret(?:One|Two|Three|Four|Five|Six)/);
  });

  it('is given it wherever one is started', () => {
    const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.ts'),
    );
    const starting = sources.filter((name) =>
      readFileSync(join(root, 'src', name), 'utf8').includes("from 'node:child_process'"),
    );
    assert.ok(starting.length >= 4);
    for (const name of starting)
      assert.match(readFileSync(join(root, 'src', name), 'utf8'), /childEnvironment\(\)/, name);
  });
});

it('what a process needs stays, in any case of its letters', () => {
  const needed = {
    Path: 'C:\\Windows',
    SystemRoot: 'C:\\Windows',
    'ProgramFiles(x86)': 'C:\\x',
    CUDA_VISIBLE_DEVICES: '1',
  };
  const more = {
    VK_ICD_FILENAMES: '/icd',
    XDG_DATA_HOME: '/data',
    LC_ALL: 'C',
    ELECTRON_RUN_AS_NODE: '1',
    DYLD_LIBRARY_PATH: '/d',
  };
  assert.deepEqual(childEnvironment({ ...needed, ...more, ...secrets, VSCODE_PID: '1' }), { ...needed, ...more });
});
