// Bad input through the built command line: exit 1, one line that names the file, the cause and the next step, and nothing written.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import {
  bits16,
  cli,
  cliPath,
  f32,
  plainConfig,
  randomTensor,
  root,
  safetensors,
  smallCase,
  temporaryFolder,
  type TensorSpec,
  withHeader,
  writeAdapter,
  writeModel,
} from '../fixtures/make';

const folder = temporaryFolder();
let cases = 0;

interface Spoilt {
  base: string;
  aligned: string;
  adapter: string;
}

const Q0 = 'model.layers.0.self_attn.q_proj';
const Q1 = 'model.layers.1.self_attn.q_proj';

/** Every file below a folder with its bytes, so that a change shows. */
function snapshot(path: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const entry of readdirSync(path, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    if (entry.isFile() && (statSync(file).mode & 0o400) !== 0) found[file] = readFileSync(file).toString('base64');
    else found[file] = entry.isDirectory() ? 'folder' : 'other';
  }
  return found;
}

/** Spoils a valid case and runs `project` on it. */
async function refused(
  /** May give other paths than the valid ones. */
  spoil: (files: Spoilt) => unknown,
  file: string | RegExp,
  cause: RegExp,
  wrapper: string[] = [],
): Promise<void> {
  const own = join(folder, `case-${cases++}`);
  const valid = smallCase(own);
  const other = spoil(valid);
  const files: Spoilt = { ...valid, ...(typeof other === 'object' ? other : {}) };
  const before = snapshot(own);
  const result = await cli(
    [
      'project',
      files.adapter,
      '--base',
      files.base,
      '--aligned',
      files.aligned,
      '--count',
      '2',
      '--out',
      join(own, 'out', 'new'),
    ],
    { wrapper },
  );
  assert.equal(result.status, 1, `exit status of: ${result.stderr}`);
  assert.match(result.stderr, /^safe-lora: [^\n]+[.?]\n$/, 'exactly one line');
  assert.ok(!/\n\s+at /.test(result.stderr), 'no stack');
  assert.match(
    result.stderr,
    typeof file === 'string' ? new RegExp(file.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')) : file,
    'names the file',
  );
  assert.match(result.stderr, cause, 'names the cause');
  assert.match(result.stderr, /[;:,] [^;:,]*[.?]\n$/, 'says what to do');
  assert.equal(result.stdout, '');
  assert.deepEqual(snapshot(own), before, 'nothing was written or changed');
}

const weightsOf = (adapter: string): string => join(adapter, 'adapter_model.safetensors');
const configOf = (adapter: string): string => join(adapter, 'adapter_config.json');
const modelOf = (model: string): string => join(model, 'model.safetensors');

function setConfig(adapter: string, change: object): void {
  writeFileSync(configOf(adapter), JSON.stringify({ ...plainConfig, ...change }));
}

function entry(shape: number[], begin: number, end: number, dtype = 'F32'): string {
  return JSON.stringify({ dtype, shape, data_offsets: [begin, end] });
}

describe('a safetensors file that is not what it should be', () => {
  const headers: [string, Buffer, RegExp][] = [
    [
      'a Git LFS pointer',
      Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n'),
      /Git LFS pointer.*git lfs pull/,
    ],
    ['an empty file', Buffer.alloc(0), /cut off/],
    [
      'a header beyond the file',
      Buffer.concat([Buffer.from([200, 0, 0, 0, 0, 0, 0, 0]), Buffer.from('{}')]),
      /cut off: 208 bytes are needed, 10 are there/,
    ],
    [
      'a header over the format’s cap',
      Buffer.concat([Buffer.from([1, 225, 245, 5, 0, 0, 0, 0]), Buffer.from('{}')]),
      /100000001 bytes, the format allows 100000000/,
    ],
    [
      'a header length of 2^63',
      Buffer.concat([Buffer.from([0, 0, 0, 0, 0, 0, 0, 128]), Buffer.from('{}')]),
      /the format allows/,
    ],
    ['a header that is not JSON', withHeader('{"a": nonsense}'), /header/],
    [
      'a header that is not UTF-8',
      Buffer.concat([Buffer.from([4, 0, 0, 0, 0, 0, 0, 0]), Buffer.from([0x7b, 0xff, 0xfe, 0x7d])]),
      /UTF-8/,
    ],
    ['a header nested to exhaustion', withHeader(`{"a":${'['.repeat(1_000_000)}`), /header/],
    [
      'overlapping tensors',
      withHeader(`{"a":${entry([2], 0, 8)},"b":${entry([2], 4, 12)}}`, Buffer.alloc(12)),
      /overlaps/,
    ],
    [
      'a hole between tensors',
      withHeader(`{"a":${entry([1], 0, 4)},"b":${entry([1], 8, 12)}}`, Buffer.alloc(12)),
      /hole/,
    ],
    [
      'bytes that belong to no tensor',
      withHeader(`{"a":${entry([1], 0, 4)}}`, Buffer.alloc(12)),
      /8 bytes at its end belong to no tensor/,
    ],
    ['a negative offset', withHeader(`{"a":${entry([1], -4, 0)}}`), /whole number/],
    [
      'an offset that is no integer',
      withHeader('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4.0]}}', Buffer.alloc(4)),
      /whole number/,
    ],
    ['an offset beyond the file', withHeader(`{"a":${entry([2], 0, 8)}}`, Buffer.alloc(4)), /cut off/],
    ['an end before the beginning', withHeader(`{"a":${entry([1], 8, 4)}}`, Buffer.alloc(8)), /ends before it begins/],
    [
      'a shape that does not fit its bytes',
      withHeader(`{"a":${entry([3], 0, 8)}}`, Buffer.alloc(8)),
      /does not fit its 8 bytes/,
    ],
    [
      'the same tensor twice',
      withHeader(`{"a":${entry([1], 0, 4)},"a":${entry([1], 0, 4)}}`, Buffer.alloc(4)),
      /names "a" twice/,
    ],
    [
      'metadata that is not text',
      withHeader('{"__metadata__":{"epoch":3}}'),
      /__metadata__ value that is not a string/,
    ],
    [
      'a missing field',
      withHeader('{"a":{"dtype":"F32","shape":[1]}}', Buffer.alloc(4)),
      /does not give dtype, shape and data_offsets/,
    ],
  ];
  for (const [name, bytes, cause] of headers) {
    it(`refuses ${name}, in the adapter and in a model`, async () => {
      await refused(
        ({ adapter }) => {
          writeFileSync(weightsOf(adapter), bytes);
        },
        'adapter_model.safetensors',
        cause,
      );
      await refused(
        ({ aligned }) => {
          writeFileSync(modelOf(aligned), bytes);
        },
        join('aligned', 'model.safetensors'),
        cause,
      );
    });
  }

  it('refuses a file that was cut off while it was copied', async () => {
    await refused(
      ({ base }) => {
        writeFileSync(modelOf(base), readFileSync(modelOf(base)).subarray(0, -10));
      },
      join('base', 'model.safetensors'),
      /cut off/,
    );
  });

  it('refuses a needed tensor of another dtype, and does not mind one that is not needed', async () => {
    const odd: TensorSpec = { dtype: 'I32', shape: [6, 4], bytes: Buffer.alloc(96) };
    const spoil = (file: string, name: string): void => {
      writeFileSync(
        file,
        safetensors({
          [`${Q0}.weight`]: randomTensor(1, [6, 4]),
          [`${Q1}.weight`]: randomTensor(2, [6, 4]),
          [name]: odd,
        }),
      );
    };
    await refused(
      ({ base }) => {
        spoil(modelOf(base), `${Q0}.weight`);
      },
      join('base', 'model.safetensors'),
      /quantised at .*\(.*, I32\)/,
    );
    const own = smallCase(join(folder, 'unneeded'));
    spoil(modelOf(own.base), 'other');
    assert.equal((await cli(['inspect', own.adapter, '--base', own.base, '--aligned', own.aligned])).status, 0);
  });

  it('refuses a dtype that the format does not name, as the safetensors library does', async () => {
    await refused(
      ({ base }) => {
        const odd: TensorSpec = { dtype: 'X32', shape: [6, 4], bytes: Buffer.alloc(96) };
        writeFileSync(modelOf(base), safetensors({ [`${Q0}.weight`]: randomTensor(1, [6, 4]), other: odd }));
      },
      join('base', 'model.safetensors'),
      /tensor "other" has the dtype "X32", which is not known here/,
    );
  });
});

describe('an index that is not what it should be', () => {
  const shard = (model: string, weightMap: unknown): void => {
    renameSync(modelOf(model), join(model, 'model-00001-of-00001.safetensors'));
    writeFileSync(
      join(model, 'model.safetensors.index.json'),
      typeof weightMap === 'string' ? weightMap : JSON.stringify({ weight_map: weightMap }),
    );
  };
  const good = 'model-00001-of-00001.safetensors';
  const indexes: [string, unknown, RegExp][] = [
    [
      'a missing shard',
      { [`${Q0}.weight`]: good, [`${Q1}.weight`]: 'model-00002-of-00002.safetensors' },
      /names the shard model-00002-of-00002.safetensors, which is not there/,
    ],
    ['a path outside its folder', { a: '../base/model.safetensors' }, /outside its folder/],
    ['an absolute path', { a: '/etc/passwd' }, /outside its folder/],
    ['a shard that is no text', { a: 3 }, /gives no file for tensor a/],
    ['no weight_map', '{}', /has no weight_map/],
    ['no JSON', '{', /not valid JSON/],
  ];
  for (const [name, weightMap, cause] of indexes) {
    it(`refuses ${name}`, () =>
      refused(
        ({ aligned }) => {
          shard(aligned, weightMap);
        },
        'model.safetensors.index.json',
        cause,
      ));
  }
});

describe('an adapter that cannot be projected', () => {
  const a = randomTensor(1, [2, 4]);
  const b = randomTensor(2, [6, 2]);
  const key = (side: string): string => `base_model.model.${Q0}.lora_${side}.weight`;
  const files: [string, Record<string, TensorSpec>, RegExp][] = [
    ['no tensor', {}, /nothing to project/],
    ['only other tensors', { 'score.weight': a }, /only score.weight/],
    ['an A without its B', { [key('A')]: a }, /contains only lora_A/],
    ['an A and a B that do not multiply', { [key('A')]: a, [key('B')]: randomTensor(3, [6, 3]) }, /do not multiply/],
    ['the same module twice', { [key('A')]: a, [key('B')]: b, [`${Q0}.lora_A.weight`]: a }, /twice/],
    [
      'several adapters',
      {
        [`${Q0}.lora_A.one.weight`]: a,
        [`${Q0}.lora_B.one.weight`]: b,
        [`${Q1}.lora_A.two.weight`]: a,
        [`${Q1}.lora_B.two.weight`]: b,
      },
      /several adapters \(one, two\)/,
    ],
    [
      'DoRA magnitudes',
      { [key('A')]: a, [key('B')]: b, [`base_model.model.${Q0}.lora_magnitude_vector`]: f32([6], [1, 1, 1, 1, 1, 1]) },
      /DoRA/,
    ],
    [
      'a bias on B',
      { [key('A')]: a, [key('B')]: b, [`base_model.model.${Q0}.lora_B.bias`]: f32([6], [1, 1, 1, 1, 1, 1]) },
      /lora_bias/,
    ],
    [
      'stacked experts',
      { [key('A')]: randomTensor(1, [2, 2, 4]), [key('B')]: randomTensor(2, [2, 6, 2]) },
      /three-dimensional/,
    ],
    ['integer weights', { [key('A')]: { dtype: 'I8', shape: [2, 4], bytes: Buffer.alloc(8) }, [key('B')]: b }, /is I8/],
  ];
  for (const [name, tensors, cause] of files) {
    it(`refuses ${name}`, () =>
      refused(
        ({ adapter }) => {
          writeFileSync(weightsOf(adapter), safetensors(tensors));
        },
        'adapter_model.safetensors',
        cause,
      ));
  }

  const configurations: [string, object, RegExp][] = [
    ['another kind of adapter', { peft_type: 'LOHA' }, /peft_type is "LOHA"/],
    ['no kind of adapter', { peft_type: undefined }, /has no peft_type/],
    ['DoRA', { use_dora: true }, /DoRA/],
    ...['pissa', 'pissa_niter_16', 'olora', 'corda', 'loftq'].map((init): [string, object, RegExp] => [
      `init_lora_weights ${init}`,
      { init_lora_weights: init },
      /changed base model.*path_initial_model_for_weight_conversion/,
    ]),
    ['layer_replication', { layer_replication: [[0, 2]] }, /layer_replication/],
    ['QALoRA', { use_qalora: true }, /QALoRA/],
    ['lora_bias', { lora_bias: true }, /lora_bias/],
    ['a rank that is no number', { r: 'eight' }, /r is not a whole number above 0/],
    ['an alpha of 0', { lora_alpha: 0 }, /lora_alpha is 0, so the adapter does nothing/],
    ['targets that are no names', { target_modules: [3] }, /target_modules/],
    ['a pattern that is no object', { alpha_pattern: [] }, /alpha_pattern/],
    ['a flag that is neither true nor false', { use_rslora: 'yes' }, /use_rslora/],
  ];
  for (const [name, change, cause] of configurations) {
    it(`refuses ${name}`, () =>
      refused(
        ({ adapter }) => {
          setConfig(adapter, change);
        },
        /adapter_config\.json/,
        cause,
      ));
  }

  it('refuses a missing configuration', () =>
    refused(
      ({ adapter }) => {
        rmSync(configOf(adapter));
      },
      'adapter_config.json',
      /is missing/,
    ));
  it('refuses a malformed configuration', () =>
    refused(
      ({ adapter }) => {
        writeFileSync(configOf(adapter), '{"r": 8');
      },
      'adapter_config.json',
      /not valid JSON/,
    ));
  it('refuses a configuration that is a list', () =>
    refused(
      ({ adapter }) => {
        writeFileSync(configOf(adapter), '[]');
      },
      'adapter_config.json',
      /not a JSON object/,
    ));

  it('refuses a pickle, and says how to convert it', async () => {
    await refused(
      ({ adapter }) => {
        renameSync(weightsOf(adapter), join(adapter, 'adapter_model.bin'));
      },
      'adapter_model.bin',
      /pickle.*save_pretrained/,
    );
    await refused(
      ({ base }) => {
        renameSync(modelOf(base), join(base, 'pytorch_model.bin'));
      },
      join('base', 'pytorch_model.bin'),
      /pickle.*save_pretrained/,
    );
  });

  it('refuses metadata of an earlier projection that cannot be read', () =>
    refused(
      ({ adapter }) => {
        writeFileSync(weightsOf(adapter), safetensors({ [key('A')]: a, [key('B')]: b }, { safe_lora: '{' }));
      },
      'adapter_model.safetensors',
      /"safe_lora" metadata does not fit its tensors/,
    ));
});

describe('models that do not belong together', () => {
  it('refuses the same folder given twice, also through a link', async () => {
    await refused(({ base }) => ({ aligned: base }), join('base'), /same model given twice\?/);
    await refused(
      ({ base }) => {
        symlinkSync(base, join(dirname(base), 'link'));
        return { aligned: join(dirname(base), 'link') };
      },
      'base',
      /same model given twice\?/,
    );
  });

  it('refuses a copy of the same model', () =>
    refused(
      ({ base, aligned }) => {
        writeFileSync(modelOf(aligned), readFileSync(modelOf(base)));
      },
      'aligned',
      /same model given twice\?/,
    ));

  it('names both weights where their shapes differ', () =>
    refused(
      ({ base }) =>
        void writeModel(base, { [`${Q0}.weight`]: randomTensor(1, [6, 5]), [`${Q1}.weight`]: randomTensor(1, [6, 5]) }),
      join('base', 'model.safetensors'),
      /\[6, 5\], but .*aligned.* is \[6, 4\]; base and aligned must be the same architecture/,
    ));

  it('names the weight that does not fit the adapter', () =>
    refused(
      ({ base, aligned }) => {
        for (const model of [base, aligned])
          writeModel(model, { [`${Q0}.weight`]: randomTensor(1, [7, 4]), [`${Q1}.weight`]: randomTensor(1, [7, 4]) });
      },
      join('aligned', 'model.safetensors'),
      /updates a weight of \[6, 4\]/,
    ));

  it('lists up to five missing targets and says how many more there are', () =>
    refused(
      ({ adapter }) => {
        const names = Array.from({ length: 9 }, (_, layer) => `model.layers.${layer}.self_attn.q_proj`);
        writeAdapter(
          adapter,
          Object.fromEntries(names.map((name) => [name, { a: randomTensor(1, [2, 4]), b: randomTensor(2, [6, 2]) }])),
        );
      },
      'base',
      /no weight for 7 of the adapter's 9 modules \(model\.layers\.2\.self_attn\.q_proj, .*layers\.6\.self_attn\.q_proj and 2 more\)/,
    ));

  it('says so when only the aligned model lacks a target', () =>
    refused(
      ({ aligned }) => void writeModel(aligned, { [`${Q0}.weight`]: randomTensor(1, [6, 4]) }),
      'aligned',
      /aligned model has no weight for 1 of/,
    ));

  it('lists the candidates where a name fits two weights', () =>
    refused(
      ({ base }) => {
        const weight = randomTensor(1, [6, 4]);
        writeModel(base, { [`one.${Q0}.weight`]: weight, [`two.${Q0}.weight`]: weight, [`${Q1}.weight`]: weight });
      },
      'base',
      new RegExp(`could be one.${Q0}.weight or two.${Q0}.weight`),
    ));

  it('refuses quantised models before it misses any target, and names the original', async () => {
    await refused(
      ({ base }) => void writeModel(base, { [`${Q0}.qweight`]: randomTensor(1, [2, 2]) }),
      'base',
      /quantised at model\.layers\.0\.self_attn\.q_proj \(.*q_proj\.qweight, F32\)/,
    );
    await refused(
      ({ base }) => {
        const named = join(dirname(base), 'toy-bnb-4bit');
        renameSync(base, named);
        writeModel(named, { [`${Q0}.weight`]: { dtype: 'U8', shape: [12, 1], bytes: Buffer.alloc(12) } });
        return { base: named };
      },
      'toy-bnb-4bit',
      /quantised.*give the unquantised toy\./,
    );
  });

  it('refuses an adapter given as a model', () =>
    refused(({ adapter }) => ({ base: adapter }), 'adapter', /is an adapter, not a whole model/));
});

describe('weights that are not numbers', () => {
  const values = (bad: number): TensorSpec => f32([6, 4], [...new Array<number>(23).fill(0.5), bad]);
  for (const bad of [NaN, Infinity, -Infinity]) {
    it(`names the tensor that holds ${bad}`, async () => {
      for (const role of ['base', 'aligned'] as const) {
        await refused(
          (files) =>
            void writeModel(files[role], { [`${Q0}.weight`]: values(bad), [`${Q1}.weight`]: randomTensor(3, [6, 4]) }),
          join(role, 'model.safetensors'),
          new RegExp(`${Q0}.weight contains NaN or infinity`),
        );
      }
      const pairs = (a: TensorSpec, b: TensorSpec) => ({
        [Q0]: { a: randomTensor(1, [2, 4]), b: randomTensor(1, [6, 2]) },
        [Q1]: { a, b },
      });
      await refused(
        ({ adapter }) =>
          void writeAdapter(adapter, pairs(f32([2, 4], [1, 1, 1, 1, 1, 1, 1, bad]), randomTensor(1, [6, 2]))),
        'adapter_model',
        /layers\.1\.self_attn\.q_proj\.lora_A\.weight contains NaN/,
      );
      await refused(
        ({ adapter }) =>
          void writeAdapter(
            adapter,
            pairs(randomTensor(1, [2, 4]), f32([6, 2], [...new Array<number>(11).fill(1), bad])),
          ),
        'adapter_model',
        /lora_B\.weight contains NaN/,
      );
    });
  }

  it('refuses a projection that F16 cannot hold', () =>
    refused(
      ({ base, aligned, adapter }) => {
        const large = (value: number): TensorSpec => f32([6, 4], new Array<number>(24).fill(value));
        writeModel(base, { [`${Q0}.weight`]: large(0), [`${Q1}.weight`]: large(0) });
        writeModel(aligned, { [`${Q0}.weight`]: large(1000), [`${Q1}.weight`]: large(1000) });
        const b = bits16('F16', [6, 2], new Array<number>(12).fill(0x7bff));
        writeAdapter(adapter, { [Q0]: { a: randomTensor(1, [2, 4]), b }, [Q1]: { a: randomTensor(2, [2, 4]), b } });
      },
      'adapter_model.safetensors',
      /exceeds the range of F16/,
    ));
});

describe('files that cannot be read', () => {
  it('says which path does not exist', async () => {
    await refused(({ adapter }) => ({ adapter: `${adapter}-not-there` }), 'adapter-not-there', /does not exist/);
    await refused(({ adapter }) => ({ adapter: join(weightsOf(adapter), 'adapter') }), 'adapter', /does not exist/);
    await refused(({ base }) => ({ base: `${base}-not-there` }), 'base-not-there', /does not exist/);
    await refused(({ base }) => ({ base: modelOf(base) }), 'model.safetensors', /is not a folder/);
    await refused(({ base }) => ({ adapter: modelOf(base) }), 'model.safetensors', /is not an adapter/);
    await refused(
      ({ adapter }) => {
        rmSync(weightsOf(adapter));
      },
      'adapter',
      /contains adapter_config\.json but no adapter_model\.safetensors/,
    );
    await refused(
      ({ base }) => {
        rmSync(modelOf(base));
      },
      'base',
      /contains config\.json but no weights/,
    );
    await refused(
      ({ base }) => {
        rmSync(modelOf(base));
        mkdirSync(modelOf(base));
      },
      join('base', 'model.safetensors'),
      /is a folder/,
    );
  });

  it('refuses a pipe instead of waiting for it', () =>
    refused(
      ({ adapter }) => {
        rmSync(weightsOf(adapter));
        execFileSync('mkfifo', [weightsOf(adapter)]);
      },
      'adapter_model.safetensors',
      /special file/,
    ));

  it('says that this user may not read a file', () => {
    const user = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
    // The other user needs the program within reach, wherever the checkout is.
    const program = join(folder, 'program');
    cpSync(join(root, 'dist'), join(program, 'dist'), { recursive: true });
    for (const name of ['onnxruntime-node', 'onnxruntime-common'])
      cpSync(join(root, 'node_modules', name), join(program, 'node_modules', name), { recursive: true });
    cpSync(process.execPath, join(program, 'node'));
    const own = smallCase(join(folder, 'unreadable'));
    chmodSync(folder, 0o755);
    chmodSync(join(folder, 'unreadable'), 0o777);
    const call = [
      ...user.slice(1),
      join(program, 'node'),
      join(program, 'dist', 'cli.js'),
      'inspect',
      own.adapter,
      '--base',
      own.base,
      '--aligned',
      own.aligned,
    ];
    const run = () => spawnSync(user[0]!, call, { encoding: 'utf8' });
    assert.equal(run().status, 0, 'the other user can run the program on readable files');
    for (const path of [modelOf(own.base), weightsOf(own.adapter), configOf(own.adapter)]) {
      chmodSync(path, 0o000);
      assert.throws(
        () => execFileSync(user[0]!, [...user.slice(1), 'cat', path], { stdio: 'pipe' }),
        'the precondition: this user cannot read the file',
      );
      const { status, stderr } = run();
      assert.equal(status, 1);
      assert.match(
        stderr,
        new RegExp(`^safe-lora: ${path}: cannot read it: this user may not read it; change its permissions\\.\\n$`),
      );
      chmodSync(path, 0o644);
    }
  });
});

describe('a call that is wrong', () => {
  const models = ['--base', 'b', '--aligned', 'a'];
  const calls: [string[], RegExp][] = [
    [[], /no command given; use inspect, project/],
    [['frobnicate'], /unknown command 'frobnicate'/],
    [['inspct'], /unknown command 'inspct' \(Did you mean inspect\?\)/],
    [['inspect', ...models], /missing required argument 'ADAPTER'/],
    [['inspect', '', ...models], /argument value '' is invalid for argument 'ADAPTER'. Name a folder/],
    [['inspect', 'x', '--aligned', 'a'], /--base MODEL is missing/],
    [['inspect', 'x', '--base', 'b'], /--aligned MODEL is missing/],
    [['inspect', 'x'], /--base MODEL and --aligned MODEL are missing/],
    [['project', 'x', ...models], /--out DIR is missing/],
    [['inspect', 'x', ...models, '--out', 'y'], /unknown option '--out'/],
    [['inspect', 'x', ...models, '--treshold', '0.3'], /unknown option '--treshold' \(Did you mean --threshold\?\)/],
    ...['1.5', '-0.1', 'high', '', ' ', 'NaN'].map((value): [string[], RegExp] => [
      ['inspect', 'x', ...models, `--threshold=${value}`],
      /--threshold .*Use a number from 0 to 1/,
    ]),
    ...['0', '-1', '2.5', 'all', '', '9'.repeat(400)].map((value): [string[], RegExp] => [
      ['inspect', 'x', ...models, `--count=${value}`],
      /--count .*Use a whole number from 1/,
    ]),
    [
      ['inspect', 'x', ...models, '--threshold', '0.3', '--count', '2'],
      /'--threshold <T>' cannot be used with option '--count <K>'/,
    ],
    [['inspect', 'x', ...models, '--device', 'tpu'], /'tpu' is invalid. Allowed choices are auto, /],
    [['inspect', 'x', ...models, '--memory', '10'], /'10' is invalid. Use a whole number from 256/],
    [['inspect', 'x', ...models, '--json='], /Name a file/],
    [['evaluate', 'x', 'y', ...models], /too many arguments for 'evaluate'/],
    [
      ['evaluate', 'x', ...models, '--score', '--choose', 'asr <= 0.1'],
      /'--score' cannot be used with option '--choose/,
    ],
    [['evaluate', 'x', ...models, '--choose', 'asr = 0'], /Use a list such as "asr <= 0.1/],
    [['evaluate', 'x', ...models, '--points', 'some'], /Use auto, or a list of numbers/],
    [['evaluate', 'x', ...models, '--prompts', ''], /Name a file/],
    [['evaluate', 'x', ...models, '--json', 'f', '--html', './f'], /need different files/],
    [['doctor', 'x'], /too many arguments for 'doctor'/],
    [['pairs', 'frob'], /too many arguments for 'list'/],
    [['pairs', 'remove'], /missing required argument 'ID'/],
    [['pairs', 'remove', 'x', '--json', '-'], /unknown option '--json'/],
  ];
  for (const [args, cause] of calls) {
    it(`exits with 2 for: safe-lora ${args.join(' ')}`, async () => {
      const result = await cli(args);
      assert.equal(result.status, 2);
      assert.match(result.stderr, /^safe-lora: [^\n]+\nRun node \S*cli\.js( [a-z-]+)? --help to see the options\.\n$/);
      assert.match(result.stderr, cause);
      assert.equal(result.stdout, '');
    });
  }
});

it('says that standard output is full', () => {
  const { status, stderr } = spawnSync('sh', ['-c', `'${process.execPath}' '${cliPath}' --help > /dev/full`], {
    encoding: 'utf8',
  });
  assert.equal(status, 1);
  assert.match(stderr, /^safe-lora: standard output: cannot write it: ENOSPC[^\n]*; make room[^\n]*\n$/);
});
