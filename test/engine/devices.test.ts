// Which device is taken, and what is said of those that cannot be, by what a user sees: the command line.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { providerFolder } from '../../src/cuda/state';
import { type DoctorChecks } from '../../src/engine/doctor';
import { versions } from '../fixtures/devices';
import { cli, type CliResult, elsewhere, sample, temporaryFolder } from '../fixtures/make';
import { elf } from '../cuda/elf';

const version = versions.onnxruntime;
/** So that no driver of this machine is found. */
const NO_VULKAN = { VK_ICD_FILENAMES: '/nonexistent', VK_DRIVER_FILES: '/nonexistent' };

function inspect(device: string, env: NodeJS.ProcessEnv): Promise<CliResult> {
  const models = ['--base', join(sample, 'base'), '--aligned', join(sample, 'aligned')];
  const adapter = join(sample, 'adapters', 'benign');
  return cli(['inspect', adapter, ...models, '--device', device, '--json', '-'], { env: { ...NO_VULKAN, ...env } });
}

function deviceOf({ stdout }: CliResult): { requested: string; provider: string; fallbackReason: string | null } {
  return (JSON.parse(stdout) as { device: ReturnType<typeof deviceOf> }).device;
}

/** A storage where the CUDA provider is installed as these bytes. */
function storageWith(provider: Buffer): string {
  const storage = temporaryFolder();
  const folder = providerFolder(storage, version);
  mkdirSync(folder, { recursive: true });
  for (const name of ['cuda', 'shared']) writeFileSync(join(folder, `libonnxruntime_providers_${name}.so`), provider);
  return storage;
}

describe('a device asked for by name', { skip: elsewhere }, () => {
  it('that CUDA lacks a library for is an error with its name and what brings it', async () => {
    const SAFE_LORA_STORAGE = storageWith(elf({ needed: ['libcublas.so.99'] }));
    const { status, stderr } = await inspect('cuda', { SAFE_LORA_STORAGE });
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^safe-lora: The device cuda cannot be used: its provider needs libcublas\.so\.99; .*nvidia-cublas==99.*\n$/,
    );
  });

  it('whose library does not load is an error with the loader’s own words', async () => {
    // For another processor.
    const SAFE_LORA_STORAGE = storageWith(elf({ machine: 183 }));
    const { status, stderr } = await inspect('cuda', { SAFE_LORA_STORAGE });
    assert.equal(status, 1);
    assert.match(
      stderr,
      /its library cannot be loaded \(.*libonnxruntime_providers_shared\.so: cannot open shared object file/,
    );
  });

  it('that has no driver is an error with what to install', async () => {
    const { status, stderr } = await inspect('webgpu', {});
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^safe-lora: The device webgpu cannot be used: Vulkan has no driver; install the GPU's driver\.\n$/,
    );
  });

  it('that other platforms have is an error, too', async () => {
    const { status, stderr } = await inspect('dml', {});
    assert.equal(status, 1);
    assert.match(stderr, /onnxruntime for Node\.js does not have it on linux-x64; use --device auto or cpu\.\n$/);
  });

  it('runs where it can', async () => {
    assert.deepEqual(deviceOf(await inspect('cpu', {})), { requested: 'cpu', provider: 'cpu', fallbackReason: null });
  });
});

describe('auto', { skip: elsewhere }, () => {
  it('goes on with the CPU, and says of each faster device why it is not that one', async () => {
    const SAFE_LORA_STORAGE = storageWith(elf({ needed: ['libcublas.so.99'] }));
    const { requested, provider, fallbackReason } = deviceOf(await inspect('auto', { SAFE_LORA_STORAGE }));
    assert.deepEqual([requested, provider], ['auto', 'cpu']);
    assert.match(fallbackReason!, /^cuda: its provider needs libcublas\.so\.99; webgpu: Vulkan has no driver$/);
  });

  it('remembers what came of trying a device, for as long as the machine is the same', async () => {
    const SAFE_LORA_STORAGE = temporaryFolder();
    const reason = async (env: NodeJS.ProcessEnv = {}): Promise<string> =>
      deviceOf(await inspect('auto', { SAFE_LORA_STORAGE, ...env })).fallbackReason!;
    const first = await reason();
    const file = join(SAFE_LORA_STORAGE, 'devices.json');
    const kept = JSON.parse(readFileSync(file, 'utf8')) as { webgpu: { check: { reason: string } } };
    kept.webgpu.check.reason = 'remembered';
    writeFileSync(file, JSON.stringify(kept));
    assert.match(await reason(), /webgpu: remembered$/);
    assert.match(await reason({ LD_LIBRARY_PATH: '/nonexistent' }), /webgpu: Vulkan has no driver$/);
    const named = await inspect('webgpu', { SAFE_LORA_STORAGE });
    assert.match(named.stderr, /Vulkan has no driver/, 'who names a device may have mended what it lacked');
    for (const text of ['no JSON', 'null', '{"webgpu":{}}']) {
      writeFileSync(file, text);
      assert.equal(await reason(), first);
    }
  });
});

describe('doctor', { skip: elsewhere }, () => {
  it('lists every provider, usable or why not, the faster ones first, and what auto takes', async () => {
    const SAFE_LORA_STORAGE = storageWith(elf({ needed: ['libcublas.so.99'] }));
    const env = { ...NO_VULKAN, SAFE_LORA_STORAGE };
    const { status, stdout } = await cli(['doctor', '--json', '-'], { env });
    assert.equal(status, 0);
    const { schema, onnxruntime, providers, auto } = JSON.parse(stdout) as DoctorChecks;
    assert.deepEqual([schema, onnxruntime], ['safe-lora/doctor@1', version]);
    assert.deepEqual(
      providers.map(({ provider, usable }) => [provider, usable]),
      [
        ['cuda', false],
        ['dml', false],
        ['coreml', false],
        ['webgpu', false],
        ['cpu', true],
      ],
    );
    const [cuda, , , , cpu] = providers;
    assert.ok(!cuda!.usable && cuda!.reason.includes('libcublas.so.99') && cuda!.remedy!.includes('nvidia-cublas'));
    assert.ok(cpu!.usable && cpu!.selfTest.similarityError < 1e-5 && cpu!.selfTest.milliseconds > 0);
    assert.equal(auto.provider, 'cpu');
    const text = (await cli(['doctor'], { env })).stdout;
    assert.match(text, /^cuda {4}not usable: its provider needs libcublas\.so\.99; /m);
    assert.match(text, /^cpu {5}usable: similarity within \S+ of double precision, \d+ ms a 2048 x 2048 module/m);
    assert.match(text, /^auto {4}cpu \(cuda: .*; webgpu: .*\)$/m);
  });
});
