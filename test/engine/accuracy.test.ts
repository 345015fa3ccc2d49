// Accuracy on the processor: its own way, and the graphs of other providers on it.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { InferenceSession } from 'onnxruntime-node';
import { ModuleEngine } from '../../src/engine/module';
import { Engine } from '../../src/engine/pool';
import { valueOf } from '../../src/engine/protocol';
import { type Provider } from '../../src/engine/providers';
import { assertClose, assertMatches, type Computer, describeAccuracy, store, wide } from '../fixtures/accuracy';
import { byDefinition } from '../fixtures/float64';
import { childPath } from '../fixtures/make';

const MEMORY = 512 * 2 ** 20;

function start(memory: number): Engine {
  return new Engine({ childPath, memory, workers: 1 });
}

describeAccuracy('cpu', () => start(MEMORY));

describe('cpu: the memory it may use', () => {
  const engine = start(MEMORY);
  after(() => engine.end());

  it('computes weights of several blocks, and reads again only what does not fit, to the same numbers', async () => {
    // Single precision and double, so that an element of V costs 4 and 8 bytes of reading.
    for (const [transposed, base, aligned] of [
      [false, 'BF16', 'F32'],
      [true, 'BF16', 'F32'],
      [false, 'F64', 'F64'],
    ] as const) {
      const c = { ...wide, base, aligned, transposed };
      const [first, second] = [store(c), store({ ...c, rank: 3, adapter: 'F16' })];
      const task = { ...first.task, updates: [...first.task.updates, ...second.task.updates] };
      const needed = task.base.length + task.aligned.length;
      const whole = await engine.compute(task);
      assert.equal(whole.bytesRead, needed);
      for (const [i, { b, a }] of [first, second].entries()) {
        assertMatches(valueOf(whole.updates[i]!), byDefinition(first.v, b, a));
      }
      for (const [memory, least, most] of [
        // Room for about two of V's three blocks; for less than one; for more than any array may have.
        [191, 1.1, 1.9],
        [129, 2, 2],
        [2 ** 20, 1, 1],
      ] as const) {
        const other = start(memory * 2 ** 20);
        try {
          const partly = await other.compute(task);
          const times = partly.bytesRead / needed;
          assert.ok(transposed ? times === 1 : times >= least && times <= most, `${memory} MiB: read ${times} times`);
          assert.deepEqual(partly.updates, whole.updates);
        } finally {
          other.dispose();
        }
      }
    }
  });

  it('computes rows that are longer than what is decoded or multiplied in one run', async () => {
    const tight = start(129 * 2 ** 20);
    try {
      for (const [width, transposed] of [
        [300_000, false],
        [300_000, true],
        [1_200_000, false],
      ] as const) {
        const { task, v, a, b } = store({ ...wide, out: 3, width, rank: 1, transposed });
        const expected = byDefinition(v, b, a);
        for (const some of [engine, tight]) {
          const result = valueOf((await some.compute(task)).updates[0]!);
          if (width < 1_000_000) assertMatches(result, expected);
          // No model has rows so long: what single precision loses over them is seen in the gain, 1.3e-5 of it.
          else assertClose('similarity', result.measurement.similarity, expected.similarity, 1e-5);
        }
      }
    } finally {
      tight.dispose();
    }
  });
});

/** Sessions of another provider's graphs, on the processor. */
function onCpu(
  check: (feeds: Readonly<Record<string, { data: unknown }>>) => void = () => undefined,
  released: () => void = () => undefined,
) {
  const create = async (model: Uint8Array): Promise<InferenceSession> => {
    const session = await InferenceSession.create(model, { executionProviders: ['cpu'], logSeverityLevel: 3 });
    return Object.assign(Object.create(session) as InferenceSession, {
      run: (...args: Parameters<InferenceSession['run']>) => {
        check(args[0]);
        return session.run(...args);
      },
      release: () => {
        released();
        return session.release();
      },
    });
  };
  return { create } as unknown as typeof InferenceSession;
}

for (const provider of ['cuda', 'dml', 'coreml'] as const satisfies Provider[]) {
  for (const largestBlock of [undefined, 256]) {
    describeAccuracy(`the graphs of ${provider}${largestBlock ? ' in blocks' : ''}, on the processor`, (): Computer => {
      const engine = new ModuleEngine(onCpu(), { provider, memory: MEMORY, ...(largestBlock && { largestBlock }) });
      return { compute: (task) => engine.compute(task), end: () => undefined };
    });
  }
}

describe('a device whose memory runs out', () => {
  const engineWith = (most: number): { engine: ModuleEngine; sizes: number[]; releases: () => number } => {
    const sizes: number[] = [];
    let releases = 0;
    const check = (feeds: Readonly<Record<string, { data: unknown }>>): void => {
      const size = (feeds.base?.data as Uint16Array | undefined)?.length;
      if (size === undefined) return;
      sizes.push(size);
      if (size > most) throw new Error('WebGPU validation failed. [Invalid Buffer (unlabeled)] is invalid');
    };
    const factory = onCpu(check, () => releases++);
    return { engine: new ModuleEngine(factory, { provider: 'cuda', memory: MEMORY }), sizes, releases: () => releases };
  };

  it('goes on with half the block, and stays with it', async () => {
    const { task, v, a, b } = store({ ...wide, out: 64, width: 16_384 });
    const { engine, sizes, releases } = engineWith(2 ** 18);
    assertMatches(valueOf((await engine.compute(task)).updates[0]!), byDefinition(v, b, a));
    const tried = sizes.length;
    assert.equal(releases(), 2, 'the memory of each size that failed is given back');
    assert.deepEqual([...new Set(sizes)], [2 ** 20, 2 ** 19, 2 ** 18]);
    await engine.compute(task);
    assert.deepEqual([...new Set(sizes.slice(tried))], [2 ** 18]);
  });

  it('gives up where the smallest block does not fit, with what the device said', async () => {
    const { task } = store({ ...wide, out: 64, width: 16_384 });
    const { engine } = engineWith(2 ** 10);
    await assert.rejects(
      engine.compute(task),
      /^SafeLoraError: The device has no memory for a block of 65536 weights \(.*Invalid Buffer.*\); .* or use --device cpu\.$/,
    );
  });
});
