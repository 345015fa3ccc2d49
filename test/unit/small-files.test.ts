// Small files from anywhere: each is read or refused in a moment, in few words, whatever it holds. Every folder has 10 MB at most, but for
// those that are refused by their size.
import assert from 'node:assert/strict';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type Adapter, openAdapter } from '../../src/core/adapter';
import { openCheckpoint } from '../../src/core/checkpoint';
import { type ErrorCode, SafeLoraError } from '../../src/core/errors';
import { unmeasured } from '../../src/core/measure-names';
import { makeInspection, resultsOf } from '../../src/core/inspection';
import { positions } from '../../src/core/naming';
import { makeProjection } from '../../src/core/patch';
import { readPatch } from '../../src/core/patch-file';
import { makePlan, type Plan } from '../../src/core/plan';
import { type MeasuredModule, type Report } from '../../src/core/report';
import { MAX_NAME_LENGTH, MAX_NAME_PARTS, MAX_TENSORS } from '../../src/core/safetensors';
import { select } from '../../src/core/rules';
import { canonicalOf } from '../../src/models/canonical';
import {
  plainConfig,
  randomTensor,
  safetensors,
  smallCase,
  temporaryFolder,
  withHeader,
  writeAdapter,
} from '../fixtures/make';

/** Measured are up to 0.7 s; what these files showed took 5 s to minutes. */
const MOST_MS = 10_000;
/** Characters of a message. */
const MOST_LETTERS = 2000;

const folder = temporaryFolder();
let made = 0;

const entry = (name: string, begin = 0, end = begin, shape = '0'): string =>
  `"${name}":{"dtype":"F16","shape":[${shape}],"data_offsets":[${begin},${end}]}`;

/** A header of tensors without bytes. */
const empties = (count: number, name: (i: number) => string): string =>
  `{${Array.from({ length: count }, (_, i) => entry(name(i))).join(',')}}`;

/** The header and the bytes of modules of rank 1. */
function pairs(count: number, name: (i: number) => string, more: readonly string[] = []): Buffer {
  const entries = Array.from({ length: count }, (_, i) => [
    entry(`base_model.model.${name(i)}.lora_A.weight`, 4 * i, 4 * i + 2, '1,1'),
    entry(`base_model.model.${name(i)}.lora_B.weight`, 4 * i + 2, 4 * i + 4, '1,1'),
  ]);
  return withHeader(`{${[...entries.flat(), ...more].join(',')}}`, Buffer.alloc(4 * count, 1));
}

const config = (more: object): string => JSON.stringify({ ...plainConfig, r: 1, ...more });
const onePair = pairs(1, () => 'a.q_proj');
const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));
const patterns = (count: number, make: (i: number) => string): object =>
  Object.fromEntries(times(count, (i) => [make(i), 4]));
const expert = (i: number): string =>
  `model.layers.${Math.floor(i / 768)}.mlp.experts.${Math.floor((i % 768) / 3)}.${['gate', 'up', 'down'][i % 3]!}_proj`;

type Case = [what: string, outcome: ErrorCode | number | 'either', settings: string, weights?: Buffer];

/** With the code of the refusal, or the number of modules. */
const cases: Case[] = [
  ['a name of slashes', 'adapter-config', config({ base_model_name_or_path: `x${'/'.repeat(60_000)}a` })],
  ['a path of slashes', 1, config({ base_model_name_or_path: `x${'/'.repeat(4000)}a` })],
  [
    'an ending of a quantised name that can be read in many ways',
    1,
    config({ base_model_name_or_path: `x-q4${'_int8'.repeat(700)}!` }),
  ],
  ['a long name with dots', 'safetensors-format', config({}), pairs(1, () => `m${'.a'.repeat(24_000)}`)],
  ['many parts in a name', 'safetensors-format', config({}), pairs(1, () => `m${'.a'.repeat(100)}`)],
  [
    'a long name of lora_B',
    'safetensors-format',
    config({}),
    withHeader(`{${entry(`${'.lora_B.'.repeat(30_000)}x`)}}`),
  ],
  ['a string of escapes', 'safetensors-format', config({}), withHeader(`{${entry('\\"'.repeat(2_000_000))}}`)],
  [
    'a string of backslashes',
    'safetensors-format',
    config({}),
    withHeader(`{"${`${'\\'.repeat(99_999)}"`.repeat(50)}`),
  ],
  ['many tensors without bytes', 'adapter-empty', config({}), withHeader(empties(180_000, (i) => `x${i}`))],
  [
    'more tensors than any file has',
    'safetensors-format',
    config({}),
    withHeader(empties(MAX_TENSORS + 1, (i) => `${i}`)),
  ],
  [
    'names that repeat one of another format',
    'adapter-empty',
    config({}),
    withHeader(empties(18_000, (i) => `${'adapter'.repeat(68)}${i}`)),
  ],
  ['an adapter of every expert of a large model', 46_080, config({}), pairs(46_080, expert)],
  ['modules that differ in the first of many parts', 9_000, config({}), pairs(9_000, (i) => `m${i}${'.a'.repeat(55)}`)],
  [
    'targets without modules',
    20_000,
    config({ target_modules: times(20_000, (i) => `t${i}`) }),
    pairs(20_000, (i) => `m${i}`),
  ],
  ['more targets than any adapter has', 'adapter-config', config({ target_modules: times(90_000, (i) => `t${i}`) })],
  [
    'saved modules and other tensors',
    1,
    config({ modules_to_save: times(20_000, (i) => `m${i}`) }),
    pairs(
      1,
      () => 'q',
      times(20_000, (i) => entry(`x${i}`, 4)),
    ),
  ],
  [
    'a saved module that nearly occurs everywhere',
    1,
    config({ modules_to_save: [`${'a.'.repeat(40)}b`] }),
    pairs(
      1,
      () => 'q',
      times(40_000, (i) => entry(`x${i}${'.a'.repeat(60)}`, 4)),
    ),
  ],
  ['many patterns', 'adapter-config', config({ alpha_pattern: patterns(300_000, (i) => `a${i}.*b`) })],
  ['patterns within 1 MB', 'adapter-config', config({ alpha_pattern: patterns(30_000, (i) => `a${i}.*b`) })],
  [
    'many characters of regular expressions',
    'adapter-config',
    config({ rank_pattern: patterns(100, (i) => `${'(a|b)?'.repeat(100)}${i}`) }),
  ],
  [
    'as many names as patterns',
    9_000,
    config({ alpha_pattern: patterns(9_000, (i) => `m.layers.${i}.q_proj`) }),
    pairs(9_000, (i) => `m.layers.${i}.q_proj`),
  ],
  [
    'patterns that backtrack without end',
    'adapter-config',
    config({ rank_pattern: { '([a-z_.0-9]+)+X': 1 }, alpha_pattern: { '([a-z_.0-9]+)+Y': 1 } }),
    pairs(10, (i) => `m.${'a'.repeat(60)}${i}`),
  ],
  [
    'a pattern of nested groups',
    'adapter-config',
    config({ rank_pattern: patterns(1, () => `${'('.repeat(9000)}${')'.repeat(9000)}`) }),
  ],
  ['a pattern of nested repetitions', 1, config({ alpha_pattern: { '(?:(?:a{1000}){1000}){1000}': 4 } })],
  // Near its time, which is up or not.
  ['a pattern that is slow to compile', 'either', config({ alpha_pattern: patterns(1, () => '(a|b)?'.repeat(1500)) })],
  ['nested lists for a type', 'not-lora', `{"peft_type":${'['.repeat(200_000)}${']'.repeat(200_000)}}`],
  [
    'nested lists beside NaN',
    'adapter-config',
    `{"peft_type":"LORA","y":NaN,"x":${'['.repeat(200_000)}${']'.repeat(200_000)}}`,
  ],
  ['a type of spaces', 'not-lora', `{"peft_type":"${' '.repeat(900_000)}"}`],
  ['a type of lines', 'not-lora', `{"peft_type":"${'\\n '.repeat(300_000)}x"}`],
  [
    'an initialisation of many letters',
    'unsupported-adapter',
    config({ init_lora_weights: `pissa${'B'.repeat(900_000)}` }),
  ],
  ['settings of many letters', 1, config({ ['S'.repeat(400_000)]: 1, init_lora_weights: 'B'.repeat(400_000) })],
  ['a configuration above its cap', 'adapter-config', `{"peft_type":"LORA","x":[${'[],'.repeat(400_000)}[]]}`],
  ['an infinite alpha for some', 'adapter-config', config({}).replace('{', '{"alpha_pattern":{"a":1e999},')],
  ['a rank that is no number for some', 'adapter-config', config({}).replace('{', '{"rank_pattern":{"a":NaN},')],
  ['an infinite rank', 'adapter-config', config({}).replace('"r":1', '"r":1e999')],
];

function write(settings: string, weights: Buffer): string {
  const path = join(folder, String(made++));
  mkdirSync(path);
  writeFileSync(join(path, 'adapter_config.json'), settings);
  writeFileSync(join(path, 'adapter_model.safetensors'), weights);
  return path;
}

async function inTime<T>(job: () => T | Promise<T>): Promise<T> {
  const started = performance.now();
  const result = await job();
  assert.ok(performance.now() - started < MOST_MS, `${Math.round(performance.now() - started)} ms`);
  return result;
}

describe('a small adapter', () => {
  for (const [what, outcome, settings, weights = onePair] of cases) {
    it(`with ${what} is ${outcome === 'either' ? 'read or refused' : typeof outcome === 'number' ? 'read' : 'refused'}`, async () => {
      const path = write(settings, weights);
      const found = await inTime(() => openAdapter(path).catch((error: unknown) => error as Error));
      if (outcome === 'either') {
        assert.ok(!(found instanceof Error) || found instanceof SafeLoraError);
      } else if (typeof outcome === 'number') {
        assert.ok(!(found instanceof Error), found instanceof Error ? found.message : '');
        assert.equal(found.modules.length, outcome);
        for (const { message } of found.notices) assert.ok(message.length < MOST_LETTERS, `${message.length} letters`);
      } else {
        assert.ok(found instanceof SafeLoraError);
        assert.equal(found.code, outcome, found.message);
        assert.ok(found.message.length < MOST_LETTERS, `${found.message.length} letters`);
      }
    });
  }

  it('that fits no model is refused, however many modules it has', async () => {
    const { base, aligned } = smallCase(join(folder, 'models'));
    const models = [await openCheckpoint(base), await openCheckpoint(aligned)] as const;
    for (const name of [expert, (i: number) => `x${i}.lm_head`, (i: number) => `x${i}.layers.0.self_attn.k_proj`]) {
      const settings = config({ target_parameters: times(2000, (i) => `p${i}.weight`) });
      const adapter = await openAdapter(write(settings, pairs(10_000, name)));
      await inTime(() => {
        assert.throws(() => makePlan(adapter, ...models), refusal('model-missing-target'));
      });
    }
  });
});

describe('names', () => {
  it('have their kinds, however many there are and however alike', async () => {
    const long = times(5000, (i) => `m${i}${'.a'.repeat(MAX_NAME_PARTS - 10)}`);
    const kinds = await inTime(() => positions(long));
    assert.equal(kinds.get(long[1]!)!.kind, long[1]);
    const experts = await inTime(() => positions(times(100_000, expert)));
    assert.deepEqual(experts.get(expert(1)), { stack: null, layer: 0, kind: 'up_proj', expert: 0 });
  });

  it('of a few hundred characters are read', async () => {
    const adapter = await openAdapter(
      write(
        config({}),
        pairs(1, () => 'n'.repeat(MAX_NAME_LENGTH - 40)),
      ),
    );
    assert.equal(adapter.modules.length, 1);
  });

  it('that were added or removed by hand are found at once', async () => {
    const names = times(50_000, (i) => `m${i}`);
    const modules = names.map((name) => ({ ...unmeasured, name, similarity: 1, selectable: true }));
    const overrides = { added: names.toReversed(), removed: names.slice(1) };
    const selected = await inTime(() => select(modules, { mode: 'threshold', threshold: 0, overrides }));
    assert.deepEqual([...selected], ['m0']);
  });
});

describe('a module that is called as what every object has', () => {
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'];
  const measurement = {
    similarity: 0.1,
    nullSimilarity: 0,
    nullSpread: 0,
    direction: 0,
    gain: 1,
    participationRatio: 1,
    alignmentNorm: 1,
    updateNorm: 1,
    updateDotAlignment: 0,
  };

  async function measured(): Promise<{ adapter: Adapter; modules: MeasuredModule[] }> {
    const pair = { a: randomTensor(1, [1, 2]), b: randomTensor(2, [2, 1]) };
    const settings = { ...plainConfig, r: 1, target_modules: names };
    const path = writeAdapter(
      join(folder, `named-${made++}`),
      Object.fromEntries(names.map((name) => [name, pair])),
      settings,
    );
    const adapter = await openAdapter(path);
    const projected = { bytes: new Uint8Array(8), roundingLoss: 0, overflow: false };
    return {
      adapter,
      modules: adapter.modules.map((module) => ({ ...module, measurement, projected }) as MeasuredModule),
    };
  }

  it('is read, projected and recorded', async () => {
    const { adapter, modules } = await measured();
    assert.deepEqual(adapter.notices, []);
    assert.deepEqual(
      modules.map(({ name }) => name),
      names,
    );
    const model = { name: 'm', headersHash: '0' };
    const rule = { mode: 'threshold' as const, threshold: 1, overrides: { added: [], removed: [] } };
    const { tensors, provenance } = await makeProjection(
      { adapter, base: model, aligned: model } as Plan,
      modules,
      rule,
      '0',
    );
    assert.deepEqual([...tensors.keys()], names);
    const recorded = JSON.parse(JSON.stringify(provenance)) as typeof provenance;
    assert.deepEqual(recorded.modules, names);
    assert.deepEqual(Object.keys(recorded.sha256), names);
  });

  it('keeps its result', async () => {
    const { modules } = await measured();
    const report = {
      modules: modules.map((module) => ({ ...module, ...measurement, notice: null })),
    } as unknown as Report;
    const without = makeInspection(report, modules.slice(0, 1));
    const kept = JSON.parse(JSON.stringify(makeInspection(report, modules))) as typeof without;
    assert.deepEqual([...resultsOf(kept).keys()], names);
    assert.deepEqual([...resultsOf(without).keys()], names.slice(0, 1));
  });

  it('is no nickname of a model', () => {
    assert.equal(canonicalOf('unsloth/constructor').id, 'unsloth/constructor');
  });
});

describe('what a file says of itself', () => {
  const provenance = {
    schema: 'safe-lora/provenance@1',
    modules: ['a'],
    sha256: { a: '0' },
    selection: { mode: 'count', count: 1, overrides: { added: [], removed: [] } },
  };

  it('goes into no report but for what this tool writes', async () => {
    const nested = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    const text = JSON.stringify(provenance).replace('{', `{"more":${nested},"tool":${nested},`);
    const pair = { a: randomTensor(1, [1, 2]), b: randomTensor(2, [2, 1]) };
    const path = writeAdapter(join(folder, 'nested'), { a: pair }, plainConfig, { safe_lora: text });
    const adapter = await openAdapter(path);
    assert.deepEqual(adapter.provenance?.modules, ['a']);
    assert.ok(JSON.stringify(adapter.provenance).length < 1000);
  });

  it('cannot make a patch be read whose tensors are larger than the adapter’s', async () => {
    const { adapter: path } = smallCase(join(folder, 'patched'));
    const adapter = await openAdapter(path);
    const [module] = adapter.modules as [Adapter['modules'][0]];
    const patch = join(folder, 'large.safelora.safetensors');
    const { originalHashes } = await import('../../src/core/originals');
    const metadata = {
      safe_lora: JSON.stringify({ ...provenance, modules: [module.name], sha256: { [module.name]: '0' } }),
      safe_lora_patch: JSON.stringify({ schema: 'safe-lora/patch@1', sha256: await originalHashes(adapter) }),
    };
    const elements = 1_500_000_000;
    const header = JSON.stringify({
      __metadata__: metadata,
      [module.b.name]: { dtype: 'F32', shape: [elements, 1], data_offsets: [0, 4 * elements] },
    });
    writeFileSync(patch, withHeader(header));
    // A file with a hole takes no room on the disk.
    truncateSync(patch, 8 + header.length + 4 * elements);
    await inTime(() => assert.rejects(readPatch(patch, adapter), refusal('patch-format')));
  });

  it('is repeated without what a terminal would obey', async () => {
    const path = write(config({}), safetensors({ '\u001b[2J\u0007': randomTensor(1, [1]) }));
    await assert.rejects(openAdapter(path), ({ message }: Error) => !/\p{Cc}/u.test(message));
  });
});

function refusal(code: ErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof SafeLoraError && error.code === code && error.message.length < MOST_LETTERS;
}
