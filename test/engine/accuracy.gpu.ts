// Accuracy on a device, SAFE_LORA_TEST_PROVIDER or else WebGPU: the tests of the processor, whole and in blocks, and what computes each
// node. Where the device cannot run, they fail: `npm run test:webgpu` and `npm run gpu:proof` are there to know.
// The last tests run onnxruntime in this very process, whose LD_LIBRARY_PATH must lead to CUDA's provider: gpu:proof sees to that.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { floatDtypes } from '../../src/core/dtype';
import { type Source, sourceFor, type Step, stepGraph, storedInput } from '../../src/engine/graphs';
import { Engine } from '../../src/engine/pool';
import { type Provider, providers } from '../../src/engine/providers';
import { type Computer, describeAccuracy } from '../fixtures/accuracy';
import { openDevices } from '../fixtures/devices';
import { childPath, temporaryFolder } from '../fixtures/make';

const MEMORY = 512 * 2 ** 20;
/** What onnxruntime's profiles call the providers. */
const NAMES: Readonly<Record<Provider, string>> = {
  cuda: 'CUDAExecutionProvider',
  dml: 'DmlExecutionProvider',
  coreml: 'CoreMLExecutionProvider',
  webgpu: 'WebGpuExecutionProvider',
  cpu: 'CPUExecutionProvider',
};

const named = process.env.SAFE_LORA_TEST_PROVIDER ?? 'webgpu';
const provider = providers.find((name) => name === named);
if (!provider) throw new Error(`SAFE_LORA_TEST_PROVIDER: there is no ${named}`);
/** Of the cases that the tests draw. */
const share = Number(process.env.SAFE_LORA_TEST_SHARE ?? 1);
const environment = openDevices().process(provider);

function open(largestBlock?: number): Computer {
  const engine = environment.then(
    (started) =>
      new Engine({ ...started, childPath, memory: MEMORY, workers: 1, ...(largestBlock && { largestBlock }) }),
  );
  return {
    compute: async (task) => (await engine).compute(task),
    end: async () => (await engine).end(),
  };
}

describeAccuracy(provider, () => open(), share);
describeAccuracy(`${provider} in blocks`, () => open(256), share);

describe(`${provider}: where the graphs run`, () => {
  const folder = temporaryFolder();
  const steps: Step[] = ['whole', 'over', 'along', 'turned'];
  for (const dtype of floatDtypes) {
    const source = sourceFor(provider, dtype, dtype);
    it(`computes every node of every step on the device, for ${dtype}`, async () => {
      for (const step of steps) {
        const ran = await providersOfNodes(source, step, join(folder, `${dtype}-${step}`));
        assert.ok(ran.length >= 1);
        for (const { node, by } of ran) assert.equal(by, NAMES[provider], `${step}: ${node}`);
      }
    });
  }

  async function providersOfNodes(source: Source, step: Step, prefix: string): Promise<{ node: string; by: string }[]> {
    const session = await InferenceSession.create(stepGraph(provider!, source, step), {
      executionProviders: [provider!],
      logSeverityLevel: 3,
      enableProfiling: true,
      profileFilePrefix: prefix,
      extra: { session: { disable_cpu_ep_fallback: '1' } },
    });
    await session.run(feeds(source, step));
    session.endProfiling();
    await session.release();
    const file = readdirSync(folder).find((name) => join(folder, name).startsWith(`${prefix}_`));
    const events = JSON.parse(readFileSync(join(folder, file!), 'utf8')) as ProfileEvent[];
    return events
      .filter(({ cat, name }) => cat === 'Node' && name.endsWith('_kernel_time'))
      .map(({ name, args }) => ({ node: `${name} (${args.op_name ?? ''})`, by: args.provider ?? 'nothing' }));
  }
});

interface ProfileEvent {
  cat: string;
  name: string;
  args: { provider?: string; op_name?: string };
}

function feeds(source: Source, step: Step): Record<string, Tensor> {
  const [rows, columns, k] = [8, 16, 4];
  const matrix = (height: number, width: number): Tensor =>
    new Tensor('float32', new Float32Array(height * width).fill(0.5), [height, width]);
  const stored = (side: 'base' | 'aligned'): Tensor => {
    if (source === 'v') throw new Error('V is given whole');
    const { type, elementShape } = storedInput(provider!, source[side]);
    const shape = [rows, columns, ...elementShape];
    const count = shape.reduce((product, size) => product * size, 1);
    if (type === 'uint8') return new Tensor('uint8', new Uint8Array(count), shape);
    if (type === 'uint16') return new Tensor('uint16', new Uint16Array(count), shape);
    return new Tensor('float32', new Float32Array(count), shape);
  };
  const weights = source === 'v' ? { v: matrix(rows, columns) } : { base: stored('base'), aligned: stored('aligned') };
  switch (step) {
    case 'whole':
      return { ...weights, x: matrix(k, rows) };
    case 'over':
      return { ...weights, x: matrix(k, rows), sum: matrix(k, columns) };
    case 'along':
      return { ...weights, t: matrix(k, columns) };
    case 'turned':
      return { ...weights, x: matrix(k, columns), sum: matrix(k, columns) };
    default:
      throw new Error(`${step} is the processor's alone`);
  }
}
