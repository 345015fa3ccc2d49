// Which libraries of CUDA are there, where a process is to look for them, and what brings the others.
import assert from 'node:assert/strict';
import { mkdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeEach, describe, it } from 'node:test';
import { thisMachine, type Machine } from '../../src/cuda/machine';
import { cudaState, type CudaState, librariesFolder, linkRuntime, providerFolder } from '../../src/cuda/state';
import { temporaryFolder } from '../fixtures/make';
import { elf, type ElfSpec } from './elf';

const folder = temporaryFolder();
const [storage, root, home] = ['storage', 'root', 'home'].map((name) => join(folder, name)) as [string, string, string];
const version = '1.30.0';
const provider = providerFolder(storage, version);

function library(path: string, spec: ElfSpec = {}): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, elf(spec));
  return path;
}

function machine(env: NodeJS.ProcessEnv = {}, loaderCache = ''): Machine {
  return { platform: 'linux', arch: 'x64', env, home, root, loaderCache: () => Promise.resolve(loaderCache) };
}

function install(...needed: string[]): void {
  library(join(provider, 'libonnxruntime_providers_cuda.so'), { needed: [...needed, 'libstdc++.so.6', 'libc.so.6'] });
  library(join(provider, 'libonnxruntime_providers_shared.so'), { needed: ['libc.so.6'] });
}

async function state<T extends CudaState['state']>(
  expected: T,
  on: Machine = machine(),
): Promise<Extract<CudaState, { state: T }>> {
  const found = await cudaState(storage, version, on);
  assert.equal(found.state, expected, JSON.stringify(found));
  return found as Extract<CudaState, { state: T }>;
}

beforeEach(() => {
  for (const path of [storage, root, home]) rmSync(path, { recursive: true, force: true });
});

describe('the state of CUDA', () => {
  it('is unsupported where onnxruntime has none, with what to use there', async () => {
    const on = (platform: NodeJS.Platform, arch: string): Machine => ({ ...machine(), platform, arch });
    assert.match((await state('unsupported', on('darwin', 'arm64'))).reason, /coreml/);
    assert.match((await state('unsupported', on('win32', 'x64'))).reason, /dml/);
    assert.match((await state('unsupported', on('linux', 'arm64'))).reason, /cpu/);
  });

  it('is absent until both libraries of this very version are there', async () => {
    await state('absent');
    install('libcudart.so.12');
    rmSync(join(provider, 'libonnxruntime_providers_shared.so'));
    await state('absent');
    install('libcudart.so.12');
    assert.equal((await cudaState(storage, '1.31.0', machine())).state, 'absent');
  });

  it('is ready with nothing to tell where the loader finds all by itself', async () => {
    install('libcudart.so.12', 'libcublas.so.12');
    const system = join(root, 'usr/lib/x86_64-linux-gnu');
    const cudart = library(join(system, 'libcudart.so.12'));
    const driver = library(join(system, 'libcuda.so.1'));
    // In a folder that only ldconfig knows.
    const cublas = library(join(root, 'elsewhere/libcublas.so.12'));
    const cache = `2 libs found in cache\n\tlibcublas.so.12 (libc6,x86-64) => ${cublas}\n`;
    const ready = await state('ready', machine({}, cache));
    assert.deepEqual(ready.searchPath, [provider]);
    assert.deepEqual(new Set(ready.libraries.map(({ path }) => path)), new Set([cudart, driver, cublas]));
  });

  it('takes the libraries that PyTorch brought, and names their folders after its own', async () => {
    install('libcudart.so.12', 'libcublas.so.12');
    const nvidia = join(home, '.local/lib/python3.12/site-packages/nvidia');
    library(join(nvidia, 'cuda_runtime/lib/libcudart.so.12'));
    library(join(nvidia, 'cublas/lib/libcublas.so.12'), { needed: ['libcublasLt.so.12'], runpath: '$ORIGIN' });
    library(join(nvidia, 'cublas/lib/libcublasLt.so.12'));
    library(join(root, 'usr/lib64/libcuda.so.1'));
    const { searchPath } = await state('ready');
    assert.deepEqual(searchPath, [provider, join(nvidia, 'cuda_runtime/lib'), join(nvidia, 'cublas/lib')]);
  });

  it('finds CUDA in each of the locations where it is put', async () => {
    const nvidia = 'lib/python3.11/site-packages/nvidia/cuda_runtime/lib';
    const locations: [string, NodeJS.ProcessEnv][] = [
      [join(folder, 'given'), { LD_LIBRARY_PATH: `:${join(folder, 'given')}` }],
      [join(folder, 'toolkit/lib64'), { CUDA_HOME: join(folder, 'toolkit') }],
      [join(folder, 'toolkit/targets/x86_64-linux/lib'), { CUDA_PATH: join(folder, 'toolkit') }],
      [join(root, 'usr/local/cuda/lib64'), {}],
      [join(root, 'usr/local/cuda-12.8/lib64'), {}],
      [join(folder, 'conda/lib'), { CONDA_PREFIX: join(folder, 'conda') }],
      [join(folder, 'conda', nvidia), { CONDA_PREFIX: join(folder, 'conda') }],
      [join(folder, 'venv', nvidia), { VIRTUAL_ENV: join(folder, 'venv') }],
      [join(root, 'usr/local/lib/python3.10/dist-packages/nvidia/cuda_runtime/lib'), {}],
      [librariesFolder(storage), {}],
      [join(librariesFolder(storage), nvidia), {}],
      [join(librariesFolder(storage), 'local/lib/python3.11/dist-packages/nvidia/cuda_runtime/lib'), {}],
    ];
    install('libcudart.so.12');
    library(join(root, 'usr/lib/wsl/lib/libcuda.so.1'));
    for (const [location, env] of locations) {
      assert.deepEqual(
        (await state('incomplete', machine(env))).missing.map(({ name }) => name),
        ['libcudart.so.12'],
      );
      const path = library(join(location, 'libcudart.so.12'));
      assert.ok((await state('ready', machine(env))).searchPath.includes(location), location);
      rmSync(path);
    }
  });

  it('passes over another processor’s library and one of another version, as the loader does', async () => {
    install('libcudart.so.12');
    library(join(root, 'usr/lib64/libcuda.so.1'));
    library(join(root, 'usr/lib/libcudart.so.12'), { machine: 183 });
    library(join(root, 'usr/local/cuda/lib64/libcudart.so.13'));
    await state('incomplete');
    const right = library(join(root, 'usr/local/cuda-12.4/lib64/libcudart.so.12'));
    assert.ok((await state('ready')).libraries.some(({ path }) => path === right));
  });

  it('says which packages bring what is missing, with versions from the libraries’ names', async () => {
    install(
      'libcublasLt.so.12',
      'libcublas.so.12',
      'libcudart.so.12',
      'libcudnn.so.9',
      'libcufft.so.11',
      'libcurand.so.10',
      'libnvrtc.so.12',
      'libz.so.1',
    );
    const { missing, command } = await state('incomplete');
    const advice = Object.fromEntries(missing.map(({ name, advice: text }) => [name, text]));
    assert.match(advice['libcublas.so.12']!, /pip's nvidia-cublas-cu12==12\.\* or apt's libcublas12$/);
    assert.match(advice['libcublasLt.so.12']!, /nvidia-cublas-cu12.*libcublaslt12$/);
    assert.match(advice['libcudart.so.12']!, /nvidia-cuda-runtime-cu12==12\.\*.*libcudart12$/);
    assert.match(advice['libcudnn.so.9']!, /nvidia-cudnn-cu12==9\.\*.*libcudnn9-cuda-12$/);
    assert.match(advice['libcufft.so.11']!, /nvidia-cufft-cu12==11\.\*/);
    assert.match(advice['libcurand.so.10']!, /nvidia-curand-cu12==10\.\*/);
    assert.match(advice['libnvrtc.so.12']!, /nvidia-cuda-nvrtc-cu12==12\.\*/);
    assert.match(advice['libcuda.so.1']!, /NVIDIA driver/);
    assert.match(advice['libz.so.1']!, /package of this system/);
    assert.ok(command !== null);
    assert.equal(command.match(/nvidia-cublas-cu12/g)?.length, 1);
    assert.ok(command.includes(`--prefix '${librariesFolder(storage)}' `), command);
    assert.ok(!/libstdc|libc\.so/.test(JSON.stringify(missing)));
  });

  it('follows the version that the provider asks for: names on PyPI changed with CUDA 13', async () => {
    install('libcublas.so.13', 'libcudnn.so.9');
    const { missing } = await state('incomplete');
    assert.match(missing[0]!.advice, /nvidia-cublas==13\.\*/);
    assert.match(missing[1]!.advice, /nvidia-cudnn-cu13==9\.\*/);
  });

  it('offers no pip for the driver alone', async () => {
    install('libcudart.so.12');
    library(join(root, 'usr/lib64/libcudart.so.12'));
    assert.equal((await state('incomplete')).command, null);
  });

  it('follows what CUDA’s libraries need themselves, with the folders that they ask for', async () => {
    install('libcublas.so.12');
    const toolkit = join(root, 'usr/lib64/toolkit');
    library(join(root, 'usr/lib64/libcublas.so.12'), { needed: ['libcublasLt.so.12'], runpath: '$ORIGIN/toolkit' });
    assert.deepEqual(
      (await state('incomplete')).missing.map(({ name }) => name),
      ['libcublasLt.so.12'],
    );
    const path = library(join(toolkit, 'libcublasLt.so.12'));
    const { libraries, searchPath } = await state('ready');
    assert.ok(libraries.some((found) => found.path === path));
    assert.deepEqual(searchPath, [provider]);
  });

  it('survives libraries that need each other', async () => {
    install('libcublas.so.12');
    library(join(root, 'usr/lib64/libcublas.so.12'), { needed: ['libcublasLt.so.12'] });
    library(join(root, 'usr/lib64/libcublasLt.so.12'), { needed: ['libcublas.so.12'] });
    await state('ready');
  });

  it('is found on this very machine without an error', async () => {
    install('libcudart.so.12', 'libz.so.1');
    const found = await cudaState(storage, version, { ...thisMachine(), platform: 'linux', arch: 'x64' });
    assert.ok(['ready', 'incomplete'].includes(found.state));
  });
});

describe('the link to onnxruntime', () => {
  it('is made, kept, and moved with the extension', async () => {
    install();
    const link = join(provider, 'libonnxruntime.so.1');
    for (const target of ['/ext-1/libonnxruntime.so.1', '/ext-1/libonnxruntime.so.1', '/ext-2/libonnxruntime.so.1']) {
      await linkRuntime(provider, target);
      assert.equal(readlinkSync(link), target);
    }
  });

  it('is made by several processes at once', async () => {
    install();
    await Promise.all(Array.from({ length: 8 }, () => linkRuntime(provider, '/ext-3/libonnxruntime.so.1')));
    assert.equal(readlinkSync(join(provider, 'libonnxruntime.so.1')), '/ext-3/libonnxruntime.so.1');
  });
});
