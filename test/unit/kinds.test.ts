// Kinds of adapters and models that people have, each in more forms than the one report that it came from: made here, name by name.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, it } from 'node:test';
import { openAdapter } from '../../src/core/adapter';
import { openCheckpoint } from '../../src/core/checkpoint';
import { SafeLoraError } from '../../src/core/errors';
import { parseJson, parseJsonBytes } from '../../src/core/json';
import { unquantisedName } from '../../src/core/model-names';
import { makePlan, type Plan } from '../../src/core/plan';
import {
  f32,
  plainConfig,
  randomTensor,
  randomTensors,
  safetensors,
  temporaryFolder,
  type TensorSpec,
  writeAdapter,
  writeModel,
} from '../fixtures/make';

const folder = temporaryFolder();
let cases = 0;
const own = (): string => join(folder, `case-${cases++}`);

type Shapes = Record<string, number[]>;

const Q = 'model.layers.0.self_attn.q_proj';

function adapterWith(modules: Record<string, [number, number]>, config: object = {}): string {
  const pairs = Object.entries(modules).map(([name, [out, width]]) => [
    name,
    { a: randomTensor(1, [2, width]), b: randomTensor(2, [out, 2]) },
  ]);
  return writeAdapter(own(), Object.fromEntries(pairs) as never, { ...plainConfig, ...config });
}

/** An adapter with these very keys. */
function adapterOf(keys: Shapes, config: object = {}): string {
  const path = own();
  writeAdapter(path, {}, { ...plainConfig, target_modules: '.*', ...config });
  writeFileSync(join(path, 'adapter_model.safetensors'), safetensors(randomTensors(5, keys)));
  return path;
}

interface Models {
  base: Shapes;
  aligned?: Shapes;
  config?: object;
}

async function planOf(adapter: string, { base, aligned = base, config = {} }: Models): Promise<Plan> {
  const [one, other] = [base, aligned].map((shapes, i) =>
    writeModel(join(own(), i === 0 ? 'base' : 'aligned'), randomTensors(10 * (i + 1), shapes), config),
  );
  return makePlan(await openAdapter(adapter), await openCheckpoint(one!), await openCheckpoint(other!));
}

/** The stored names of the weights that a plan takes, by module. */
async function foundIn(modules: Record<string, [number, number]>, models: Models): Promise<Record<string, string>> {
  const plan = await planOf(adapterWith(modules), models);
  return Object.fromEntries(plan.modules.map(({ name, weights }) => [name, weights!.aligned.name]));
}

async function refusal(attempt: Promise<unknown>): Promise<SafeLoraError> {
  try {
    await attempt;
  } catch (error) {
    assert.ok(error instanceof SafeLoraError, String(error));
    assert.match(error.message, /[;:] [^;]+\.$/, 'says what to do');
    return error;
  }
  assert.fail('it was not refused');
}

const codesOf = ({ notices }: { notices: readonly { code: string }[] }): string[] => notices.map(({ code }) => code);

describe('JSON as Python writes it', () => {
  it('holds Infinity, -Infinity and NaN, and the same words in strings', () => {
    const text = '{"a": [0.0, Infinity], "b": -Infinity, "NaN": NaN, "c": "Infinity \\" NaN, -Infinity"}';
    const value = parseJson(text);
    assert.deepEqual(value, { a: [0, Infinity], b: -Infinity, NaN, c: 'Infinity " NaN, -Infinity' });
  });
  it('may begin with a byte order mark, of UTF-8 or of UTF-16', () => {
    const big = Buffer.from('\ufeff{"r": 8}', 'utf16le').swap16();
    for (const bytes of [Buffer.from('\ufeff{"r": 8}'), Buffer.from('\ufeff{"r": 8}', 'utf16le'), big])
      assert.deepEqual(parseJsonBytes(bytes), { r: 8 });
  });
  it('is refused where Python refuses it', () => {
    for (const text of ['{"a": Infinity,}', "{'a': NaN}", '{"a": Infinityx}', '{"a": +Infinity}', '// NaN\n{}', '{"a": "NaN'])
      assert.throws(() => parseJson(text), SyntaxError, text);
  }); // prettier-ignore
  it('is read in every JSON of an adapter and a model', async () => {
    const adapter = adapterWith({ [Q]: [6, 4] });
    const config = JSON.stringify({ ...plainConfig, lora_dropout: 'HERE' }).replace('"HERE"', 'NaN');
    writeFileSync(join(adapter, 'adapter_config.json'), `\ufeff${config}`);
    assert.equal((await openAdapter(adapter)).modules.length, 1);
  });
});

describe('a quantised model', () => {
  const modules: Record<string, [number, number]> = { [Q]: [6, 4] };
  const packed = async (more: Record<string, TensorSpec>, config: object = {}): Promise<Plan> => {
    const weights = { [`${Q}.weight`]: randomTensor(1, [6, 4]), ...more };
    const base = writeModel(join(own(), 'base'), { [`${Q}.weight`]: randomTensor(2, [6, 4]) });
    const aligned = writeModel(join(own(), 'aligned'), weights, config);
    return makePlan(await openAdapter(adapterWith(modules)), await openCheckpoint(base), await openCheckpoint(aligned));
  };
  const bytes: TensorSpec = { dtype: 'U8', shape: [24], bytes: Buffer.alloc(24) };

  it('is measured where the weights that the adapter touches are exact', async () => {
    const experts = { 'model.layers.0.mlp.experts.gate_up_proj_blocks': bytes };
    const plan = await packed(experts, { quantization_config: { quant_method: 'mxfp4' } });
    assert.deepEqual(codesOf(plan), ['quantisation-left-over']);
  });
  for (const companion of ['weight_scale', 'weight_scale_inv', 'weight.absmax', 'SCB', 'weight_scale_2']) {
    it(`is refused where a needed weight has ${companion} beside it`, async () => {
      const error = await refusal(packed({ [`${Q}.${companion}`]: bytes }));
      assert.equal(error.code, 'quantised');
      assert.ok(error.message.includes(`${Q}.${companion}`));
    });
  }
  const attention = 'model.layers.0.self_attn';
  const stored = [
    ...['qweight', 'weight_packed', 'W_q', 'weight._data', 'weight._data._data', '_weight_qdata', 'trellis', 'q_weight'].map(
      (instead) => `${Q}.${instead}`,
    ),
    `${attention}.qkv_proj.weight`,
    `${attention}.qkv_proj.qweight`,
    `${attention}.query_key_value.weight_packed`,
  ]; // prettier-ignore
  for (const name of stored) {
    it(`is refused where a needed weight is ${name}`, async () => {
      const base = writeModel(join(own(), 'base'), { [name]: bytes });
      const aligned = writeModel(join(own(), 'aligned'), { [`${Q}.weight`]: randomTensor(1, [6, 4]) });
      const plan = openAdapter(adapterWith(modules)).then(async (adapter) =>
        makePlan(adapter, await openCheckpoint(base), await openCheckpoint(aligned)),
      );
      const error = await refusal(plan);
      assert.equal(error.code, 'quantised');
      assert.ok(error.message.includes(`contains ${name}, U8`), error.message);
    });
  }
  it('is refused where the parts of a needed weight are packed', async () => {
    const fused = adapterWith({ [`${attention}.qkv_proj`]: [12, 4] });
    const parts = Object.fromEntries(['q', 'k', 'v'].map((part) => [`${attention}.${part}_proj.qweight`, bytes]));
    const [base, aligned] = [parts, { [`${attention}.qkv_proj.weight`]: randomTensor(1, [12, 4]) }].map((weights) =>
      writeModel(own(), weights),
    );
    const plan = openAdapter(fused).then(async (adapter) =>
      makePlan(adapter, await openCheckpoint(base!), await openCheckpoint(aligned!)),
    );
    assert.equal((await refusal(plan)).code, 'quantised');
  });
  it('is called by names that lead to the exact one', () => {
    const names = [
      'bnb-4bit', 'unsloth-bnb-4bit', 'GPTQ', 'GPTQ-Int4', 'AWQ', 'AWQ-INT4', 'FP8', 'FP8-dynamic', 'FP8-KV', 'quantized.w4a16',
      'quantized.w8a8', 'NVFP4', 'NVFP4A16', 'FP4', 'MXFP4', 'MXFP4-Q8', '4bit', '8bit', '4bit-DWQ', 'MLX-4bit', 'mlx-8Bit', 'GGUF',
      'Q4_K_M-GGUF', 'i1-GGUF', 'HQQ-4bit', 'AQLM-2Bit-1x16', 'GPTQ-4bit-128g', 'w4a16-g128', 'int8', 'nf4', 'EXL2', 'bnb-8-bit',
      'int4-ov', 'onnx-int4', '4.65bpw-h6-exl2', 'exl3-4bpw', 'q4f16_1-MLC', 'UD-Q4_K_XL-GGUF', 'UD-MLX-4bit', 'int4-awq-block-128',
      'MXFP4-MOE', 'w8a8-dynamic-per-token', 'QLORA_INT4_EO8', 'SpinQuant_INT4_EO8', 'AutoRound-GPTQ-asym-4bit', 'int4-inc', 'NVFP4-QAD',
      '4bit-DWQ-053125', '4bit-dwq-v2', 'AQLM-PV-2Bit-1x16-hf', 'fp8-e4m3', 'W4AFP8', 'FP8-Tensorwise', 'WMXFP4-AMXFP4', 'W4A16_ASYM',
      'float8dq', '8da4w', 'qint4', 'Marlin-AWQ', 'ModelOpt-FP8', 'GPTQ-4bit-32g-actorder_True', 'bnb-4bit-smashed', '2bit', 'hqq-1bit',
    ]; // prettier-ignore
    for (const ending of names) assert.equal(unquantisedName(`org/Model-7B-Instruct-v0.2-${ending}`), 'org/Model-7B-Instruct-v0.2');
    for (const name of ['gpt-oss-20b', 'Qwen3-8B', 'Phi-4-mini-instruct', 'Model-MLX', 'Model-Dynamic', 'Mistral-7B-v0.1', 'toy-v2', 'gemma-3-4b-it-qat-int4-unquantized', 'Model-fp16', 'Llama-2-7b-hf'])
      assert.equal(unquantisedName(name), null, name);
  }); // prettier-ignore
});

describe('names of weights', () => {
  const layer = 'layers.0.self_attn.q_proj';
  const pairs: [string, string][] = [
    ['language_model.layers.0.self_attn.q_proj', `model.${layer}`],
    [`model.${layer}`, 'language_model.layers.0.self_attn.q_proj'],
    [`model.language_model.${layer}`, `language_model.model.${layer}`],
    [`language_model.${layer}`, `language_model.model.${layer}`],
    [`model.${layer}`, `model.${layer}.base_layer`],
    [`model.${layer}`, `base_model.model.model.${layer}.base_layer`],
    [`_orig_mod.model.${layer}`, `model.${layer}`],
    ['model.layers.0._fsdp_wrapped_module.self_attn.q_proj', `model.${layer}`],
    ['model.layers.0._checkpoint_wrapped_module.self_attn.q_proj', `model.${layer}`],
    [`module.model.${layer}`, `model.${layer}`],
    [`model.${layer}`, `module.model.${layer}`],
    [`base_model.model.model.${layer}`, `model.${layer}`],
    [`pretrained_model.model.${layer}`, `model.${layer}`],
    ['model.layers.0.mixer.q_proj', 'backbone.layers.0.mixer.q_proj'],
    ['model.layers.0.mlp.gate', 'model.layers.0.block_sparse_moe.gate'],
    [`model.${layer}`, 'model.layers.0._fsdp_wrapped_module._fpw_module.self_attn.q_proj'],
    [`model.${layer}`, `_forward_module.model.${layer}`],
    [`model.language_model.model.${layer}`, `model.language_model.${layer}`],
    [`model.vision_tower.encoder.${layer}`, `vision_tower.vision_model.encoder.${layer}`],
    [`vision_tower.vision_model.encoder.${layer}`, `model.vision_tower.encoder.${layer}`],
    ['model.layers.0.mlp.router', 'model.layers.0.block_sparse_moe.gate'],
    ['model.layers.0.block_sparse_moe.experts.3.w1', 'model.layers.0.mlp.experts.3.gate_proj'],
    ['model.layers.0.mlp.experts.3.down_proj', 'model.layers.0.block_sparse_moe.experts.3.w2'],
    ['lm_head', 'embed_out'],
    ['embed_out', 'lm_head'],
    ['lm_head', 'transformer.output_layer'],
    ['lm_head', 'language_model.output'],
    ['language_model.lm_head', 'lm_head'],
    ['model.unembed_tokens', 'lm_head'],
    ['output', 'output'],
    ['lm_head', 'base_model.model.lm_head.original_module'],
    ['score', 'score.original_module'],
    ['lm_head', 'model.transformer.ff_out'],
    ['unembed_tokens', 'lm_head'],
    [`model.${layer}`, 'model.layers.0._fpw_module.self_attn.q_proj'],
    [`_forward_module.model.${layer}`, `model.${layer}`],
    [`model.language_model.${layer}`, `model.language_model.model.${layer}`],
    ['model.layers.0.mlp.experts.3.gate_proj', 'model.layers.0.block_sparse_moe.experts.3.w1'],
    ['model.layers.0.mlp.experts.3.down_proj', 'model.layers.0.block_sparse_moe.experts.3.w2'],
    ['model.layers.0.mlp.router', 'model.layers.0.block_sparse_moe.gate'],
    [`model.vision_tower.${layer}`, `vision_tower.vision_model.${layer}`],
  ];
  for (const [module, stored] of pairs) {
    it(`${module} is ${stored}`, async () => {
      assert.deepEqual(await foundIn({ [module]: [6, 4] }, { base: { [`${stored}.weight`]: [6, 4] } }), {
        [module]: `${stored}.weight`,
      });
    });
  }

  it('that two parts of a model have are told by the shape', async () => {
    const base = { [`thinker.model.${layer}.weight`]: [6, 4], [`talker.model.${layer}.weight`]: [3, 2] };
    const found = (shape: [number, number]) => foundIn({ [`model.${layer}`]: shape }, { base });
    assert.deepEqual(await found([6, 4]), { [`model.${layer}`]: `thinker.model.${layer}.weight` });
    assert.deepEqual(await found([3, 2]), { [`model.${layer}`]: `talker.model.${layer}.weight` });
    const same = { ...base, [`talker.model.${layer}.weight`]: [6, 4] };
    assert.equal((await refusal(foundIn({ [`model.${layer}`]: [6, 4] }, { base: same }))).code, 'model-ambiguous');
  });
  it('of layers that predict further tokens are taken only where nothing else has them', async () => {
    const ahead = { [`mtp.${layer}.weight`]: [6, 4] };
    const both = { ...ahead, [`model.language_model.${layer}.weight`]: [6, 4] };
    assert.deepEqual(await foundIn({ [layer]: [6, 4] }, { base: both }), { [layer]: `model.language_model.${layer}.weight` });
    assert.deepEqual(await foundIn({ [`mtp.${layer}`]: [6, 4] }, { base: both }), { [`mtp.${layer}`]: `mtp.${layer}.weight` });
  }); // prettier-ignore

  it('that only a part of the model has in common are no match', async () => {
    const error = await refusal(
      foundIn({ [Q]: [6, 4] }, { base: { 'encoder.layers.1.self_attn.q_proj.weight': [6, 4] } }),
    );
    assert.equal(error.code, 'model-missing-target');
  });

  it('of a head whose vocabulary was resized leave that module out', async () => {
    for (const head of [
      'lm_head',
      'output',
      'output_layer',
      'embed_out',
      'proj_out',
      'cls.predictions.decoder',
      'model.unembed_tokens',
    ]) {
      const modules: Record<string, [number, number]> = { [Q]: [6, 4], [head]: [9, 4] };
      const plan = await planOf(adapterWith(modules), {
        base: { [`${Q}.weight`]: [6, 4], [`${head}.weight`]: [8, 4] },
      });
      assert.deepEqual(codesOf(plan), ['vocabulary-differs'], head);
      assert.equal(plan.modules.find(({ name }) => name === head)!.weights, null);
    }
  });
});

describe('a head or a projector that a model does not have', () => {
  const weight = `${Q}.weight`;
  const left = async (name: string, models: Models): Promise<string> => {
    const plan = await planOf(adapterWith({ [Q]: [6, 4], [name]: [2, 4] }), models);
    const [notice, ...more] = plan.notices;
    assert.deepEqual([notice!.code, notice!.modules, more], ['weight-missing', [name], []]);
    assert.deepEqual(
      plan.modules.map(({ name, weights, notice }) => [name, weights !== null, notice]),
      [[Q, true, null], [name, false, 'weight-missing']],
    ); // prettier-ignore
    return notice!.message;
  };
  it('is left out, and the notice says which model lacks it', async () => {
    const none = { [weight]: [6, 4] };
    for (const name of ['score', 'custom_text_proj', 'v_head.summary', 'lm_head', 'multi_modal_projector.linear_1']) {
      assert.equal(await left(name, { base: none }), `Not measured: base and aligned have no weight for ${name}.`);
      const has = { ...none, [`${name}.weight`]: [2, 4] };
      assert.match(await left(name, { base: none, aligned: has }), /: the base model has no weight for/);
      assert.match(await left(name, { base: has, aligned: none }), /: the aligned model has no weight for/);
    }
  });
  it('is not where nothing else can be measured, nor within layers', async () => {
    const models = { base: { [weight]: [6, 4] } };
    for (const modules of [{ score: [2, 4] }, { [Q]: [6, 4], 'model.layers.0.self_attn.gate': [2, 4] }] as Record<
      string,
      [number, number]
    >[])
      assert.equal((await refusal(planOf(adapterWith(modules), models))).code, 'model-missing-target');
  });
  it('is not where the index places it in a shard that lacks it', async () => {
    const shard = 'model-00001-of-00001.safetensors';
    const model = own();
    mkdirSync(model);
    writeFileSync(join(model, shard), safetensors(randomTensors(1, { [weight]: [6, 4] })));
    const map = { weight_map: { [weight]: shard, 'score.weight': shard } };
    writeFileSync(join(model, 'model.safetensors.index.json'), JSON.stringify(map));
    const aligned = writeModel(own(), randomTensors(2, { [weight]: [6, 4], 'score.weight': [2, 4] }));
    const adapter = await openAdapter(adapterWith({ [Q]: [6, 4], score: [2, 4] }));
    const [one, other] = [await openCheckpoint(model), await openCheckpoint(aligned)];
    assert.match(
      (await refusal(Promise.resolve().then(() => makePlan(adapter, one, other)))).message,
      /the index places it in/,
    );
  });
});

describe('names that PEFT does not load', () => {
  const keys = (a: string): Shapes => ({ [a]: [2, 4], [a.replace('lora_A', 'lora_B')]: [6, 2] });
  const wrong = [
    `${Q}.lora_A.weight`,
    `module.base_model.model.${Q}.lora_A.weight`,
    `_orig_mod.base_model.model.${Q}.lora_A.weight`,
    `base_model.model._fsdp_wrapped_module.${Q}.lora_A.weight`,
    `base_model.model.base_model.model.${Q}.lora_A.weight`,
    `base_model.model.${Q}.lora_A.default.weight`,
    // with the task of an adapter to a language model with a head
    `base_model.${Q}.lora_A.weight`,
    `base_model.model.model.${Q}.lora_A.weight`,
    `base_model.model.${Q}.base_layer.lora_A.weight`,
    `_forward_module.base_model.model.${Q}.lora_A.weight`,
    `pretrained_model.base_model.model.${Q}.lora_A.weight`,
    `model.${Q}.lora_A.weight`,
  ];
  for (const key of wrong) {
    it(`${key}: measured, with a notice that says what the name should be`, async () => {
      const adapter = adapterOf(keys(key), { task_type: 'CAUSAL_LM' });
      const plan = await planOf(adapter, { base: { [`${Q}.weight`]: [6, 4] } });
      const notice = plan.notices.find(({ code }) => code === 'names-not-loaded');
      assert.match(notice!.message, /does nothing/);
      assert.ok(notice!.message.includes(` to base_model.model.${Q}.lora_B.weight`), notice!.message);
    });
  }
  it('base_model.model.… and nested parameters are loaded', async () => {
    assert.deepEqual(codesOf(await openAdapter(adapterOf(keys(`base_model.model.${Q}.lora_A.weight`)))), []);
  });
  it('a part of the model alone may have been adapted', async () => {
    const base = { [`${Q}.weight`]: [6, 4], 'model.visual.blocks.0.attn.qkv.weight': [6, 4] };
    const layers = adapterOf(keys(`base_model.${Q}.lora_A.weight`), { task_type: 'FEATURE_EXTRACTION' });
    assert.deepEqual(codesOf(await planOf(layers, { base })), []);
    const tower = adapterOf(keys('base_model.model.visual.blocks.0.attn.qkv.lora_A.weight'), { task_type: 'CAUSAL_LM' });
    assert.deepEqual(codesOf(await planOf(tower, { base })), []);
  }); // prettier-ignore
  it('a "module" in the middle is a wrapper only where the model has none', async () => {
    const name = 'model.layers.0.module.self_attn.q_proj';
    const adapter = adapterWith({ [name]: [6, 4] });
    assert.deepEqual(codesOf(await planOf(adapter, { base: { [`${name}.weight`]: [6, 4] } })), []);
    assert.deepEqual(codesOf(await planOf(adapter, { base: { [`${Q}.weight`]: [6, 4] } })), ['names-not-loaded']);
  });
});

describe('weights that a model keeps fused', () => {
  const at = 'model.layers.0.self_attn';
  const attention: Record<string, [number, number]> = {
    [`${at}.q_proj`]: [8, 4],
    [`${at}.k_proj`]: [2, 4],
    [`${at}.v_proj`]: [2, 4],
  };
  const rows = ({ modules }: Plan): [string, number, number][] =>
    modules.map(({ name, weights }) => {
      const { within, offset, shape } = weights!.aligned;
      const first = (offset - within!.offset) / 16;
      return [name.slice(at.length + 1), first, first + shape[0]!];
    });

  it('are measured by the rows of the part', async () => {
    for (const fused of ['qkv_proj', 'Wqkv', 'W_pack']) {
      const plan = await planOf(adapterWith(attention), { base: { [`${at}.${fused}.weight`]: [12, 4] } });
      assert.deepEqual(rows(plan), [['q_proj', 0, 8], ['k_proj', 8, 10], ['v_proj', 10, 12]]); // prettier-ignore
      assert.deepEqual(codesOf(plan), ['fused-weights']);
    }
  });
  it('are found from any one of the parts', async () => {
    for (const [name, shape] of Object.entries(attention)) {
      const plan = await planOf(adapterWith({ [name]: shape }), { base: { [`${at}.qkv_proj.weight`]: [12, 4] } });
      const first = { q_proj: 0, k_proj: 8, v_proj: 10 }[name.slice(at.length + 1)]!;
      assert.deepEqual(rows(plan)[0]!.slice(1), [first, first + shape[0]]);
    }
  });
  it('are halves where there are two', async () => {
    const mlp = 'model.layers.0.mlp';
    const plan = await planOf(adapterWith({ [`${mlp}.up_proj`]: [6, 4] }), {
      base: { [`${mlp}.gate_up_proj.weight`]: [12, 4] },
    });
    assert.equal(plan.modules[0]!.weights!.base.offset - plan.modules[0]!.weights!.base.within!.offset, 6 * 16);
  });
  it('are refused where the sizes, or the configured heads, do not add up, or the order is not known', async () => {
    const model = (name: string, count: number): Models => ({ base: { [`${at}.${name}.weight`]: [count, 4] } });
    const adapter = adapterWith({ [`${at}.q_proj`]: [8, 4] });
    for (const models of [
      model('qkv_proj', 13),
      { ...model('qkv_proj', 12), config: { num_attention_heads: 4, num_key_value_heads: 4 } },
      model('query_key_value', 12),
      model('wqkv', 12),
      { base: { 'model.layers.0.attention.wqkv.weight': [12, 4], 'model.layers.0.attention.wo.weight': [8, 8] } },
      { ...model('qkv_proj', 12), config: { model_type: 'codegen' } },
    ])
      assert.match((await refusal(planOf(adapter, models))).message, /keeps them fused in .*\[1[23], 4\].*; give models that keep them apart/);
  }); // prettier-ignore
  it('are refused the other way round, with the names of the parts', async () => {
    const base = Object.fromEntries(Object.entries(attention).map(([name, shape]) => [`${name}.weight`, shape]));
    const error = await refusal(planOf(adapterWith({ [`${at}.qkv_proj`]: [12, 4] }), { base }));
    assert.match(error.message, /keeps their parts apart \(.*q_proj\.weight, .*k_proj\.weight, .*v_proj\.weight\)/);
  });
});

describe('why a weight is missing', () => {
  it('is found in time, however many are', async () => {
    const many = (last: string): Record<string, [number, number]> =>
      Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`model.layers.${i}.mlp.${last}`, [1, 1]]));
    const weights = Object.fromEntries(
      Object.entries(many('up_proj')).map(([name, shape]) => [`${name}.weight`, shape]),
    );
    const started = process.cpuUsage();
    assert.match(await reason({ base: weights }, many('zzz')), /for 3000 of the adapter's 3000 modules/);
    const { user, system } = process.cpuUsage(started);
    assert.ok((user + system) / 1e6 < 5, `${(user + system) / 1e6} s of the processor`);
  });
  const reason = async (models: Models, modules: Record<string, [number, number]> = { [Q]: [6, 4] }): Promise<string> =>
    (await refusal(planOf(adapterWith(modules), models))).message;

  it('only one of the models has it', async () => {
    const there = { [`${Q}.weight`]: [6, 4] };
    assert.match(await reason({ base: { 'a.weight': [2, 2] }, aligned: there }), /only the aligned model has it, as/);
    assert.match(await reason({ base: there, aligned: { 'a.weight': [2, 2] } }), /only the base model has it, as/);
  });
  it('the model has fewer layers', async () => {
    const models = { base: { [`${Q}.weight`]: [6, 4] } };
    const far = { 'model.layers.40.self_attn.q_proj': [6, 4] as [number, number] };
    assert.match(await reason(models, far), /has 1 layers of such weights, none of them layer 40/);
  });
  it('the names are Mistral’s or Meta’s own', async () => {
    const base = { 'layers.0.attention.wq.weight': [6, 4] };
    assert.match(await reason({ base }), /its weights have the names of Mistral's or Meta's own code/);
    const adapter = { 'layers.0.attention.wq': [6, 4] as [number, number] };
    assert.match(
      await reason({ base: { [`${Q}.weight`]: [6, 4] } }, adapter),
      /the adapter has the names of Mistral's or/,
    );
  });
  it('the names are those of another code', async () => {
    assert.match(await reason({ base: { 'blk.0.attn_q.weight': [6, 4] } }), /the names of llama\.cpp/);
    assert.match(
      await reason({ base: { '_fsdp_wrapped_module._flat_param': [24] } }),
      /the names of FSDP's flat shards/,
    );
  });
  it('the experts are stacked, under the name of this version of transformers or another', async () => {
    const base = {
      'model.layers.0.mlp.experts.gate_up_proj': [2, 12, 4],
      'model.layers.0.mlp.experts.down_proj': [2, 4, 6],
    };
    for (const name of ['mlp.experts.1.down_proj', 'block_sparse_moe.experts.1.down_proj'])
      assert.match(
        await reason({ base }, { [`model.layers.0.${name}`]: [4, 6] }),
        /stacked in .*\.experts\.down_proj \[2, 4, 6\]/,
      );
  });
  it('the adapter adapts a stack that the model keeps apart, or calls otherwise', async () => {
    const apart = { 'model.layers.0.mlp.experts.0.gate_proj.weight': [6, 4] };
    const stack = { 'model.layers.0.mlp.experts': [12, 4] as [number, number] };
    assert.match(await reason({ base: apart }, stack), /adapts stacked experts \(target_parameters\)/);
    const granite = 'model.layers.0.block_sparse_moe.input_linear';
    const error = await reason({ base: { [`${granite}.weight`]: [2, 12, 4] } }, { [granite]: [12, 4] });
    assert.match(error, /\[2, 12, 4\] \(stacked experts\)/);
  });
  it('a weight that is empty or flat was not gathered when the model was saved', async () => {
    for (const [shape, cause] of [
      [[0], /ZeRO-3.*stage3_gather/],
      [[1], /ZeRO-3.*stage3_gather/],
      [[24], /FSDP.*FULL_STATE_DICT/],
    ] as const)
      for (const [base, aligned] of [
        [[6, 4], [...shape]],
        [[...shape], [6, 4]],
      ] as const)
        assert.match(
          await reason({ base: { [`${Q}.weight`]: [...base] }, aligned: { [`${Q}.weight`]: [...aligned] } }),
          cause,
        );
  });
  it('the names are others', async () => {
    const base = { 'transformer.h.0.attn.q.weight': [6, 4] };
    assert.match(await reason({ base }), /named like transformer\.h\.0\.attn\.q\.weight/);
  });
  const layer = 'layers.0.self_attn';
  for (const ghost of [
    Q,
    `model.language_model.${layer}.q_proj`,
    `model.${layer}.qkv_proj`,
    `model.${layer}.q_proj.base_layer`,
  ]) {
    it(`the index promises ${ghost}, which its shard does not hold`, async () => {
      const model = own();
      mkdirSync(model);
      const shard = 'model-00001-of-00001.safetensors';
      writeFileSync(join(model, shard), safetensors({ other: randomTensor(1, [2, 2]) }));
      const map = { weight_map: { other: shard, [`${ghost}.weight`]: shard } };
      writeFileSync(join(model, 'model.safetensors.index.json'), JSON.stringify(map));
      const base = await openCheckpoint(model);
      const aligned = await openCheckpoint(writeModel(own(), { [`${Q}.weight`]: randomTensor(1, [6, 4]) }));
      const adapter = await openAdapter(adapterWith({ [Q]: [6, 4] }));
      const error = await refusal(Promise.resolve().then(() => makePlan(adapter, base, aligned)));
      assert.match(error.message, /the index places it in model-00001-of-00001.* which does not hold it; download/);
    });
  }
});

describe('a tensor in two shards', () => {
  const [first, second] = [1, 2].map((n) => `model-0000${n}-of-00002.safetensors`) as [string, string];
  const modelWith = (weightMap: Record<string, string>): string => {
    const model = own();
    mkdirSync(model);
    writeFileSync(join(model, first), safetensors(randomTensors(1, { [`${Q}.weight`]: [6, 4], one: [1] })));
    writeFileSync(join(model, second), safetensors(randomTensors(2, { [`${Q}.weight`]: [6, 4], two: [1] })));
    writeFileSync(join(model, 'model.safetensors.index.json'), JSON.stringify({ weight_map: weightMap }));
    return model;
  };
  it('is the one that the index names', async () => {
    for (const shard of [first, second]) {
      const model = await openCheckpoint(modelWith({ one: first, two: second, [`${Q}.weight`]: shard }));
      assert.equal(basename(model.tensors.get(`${Q}.weight`)!.path), shard);
      assert.equal(model.tensors.size, 3);
    }
  });
  it('is refused where the index names none', async () => {
    const error = await refusal(openCheckpoint(modelWith({ one: first, two: second })));
    assert.match(error.message, /00002-of-00002.*self_attn\.q_proj\.weight is also in .*00001-of-00002/);
  });
});

describe('tensors of an adapter', () => {
  const key = (side: string, module = Q): string => `base_model.model.${module}.lora_${side}.weight`;

  it('that are empty, some or all, of A or of B, are said to be, with how to save', async () => {
    for (const [a, b] of [[[0], [0]], [[2, 4], [0]], [[0, 4], [6, 0]], [[1], [1]]] as [number[], number[]][]) {
      const error = await refusal(openAdapter(adapterOf({ [key('A')]: a, [key('B')]: b })));
      assert.match(error.message, /of its 2 LoRA tensors are empty.*stage3_gather_16bit_weights_on_model_save/);
    }
  }); // prettier-ignore
  it('of one dimension are shards of FSDP', async () => {
    const error = await refusal(openAdapter(adapterOf({ [key('A')]: [8], [key('B')]: [12] })));
    assert.match(error.message, /have one dimension.*FSDP/);
  });
  it('of a convolution are left out, of one, two or three dimensions', async () => {
    for (const kernel of [[3], [3, 3], [3, 3, 3]]) {
      const conv = { [key('A', 'conv')]: [2, 4, ...kernel], [key('B', 'conv')]: [6, 2, ...kernel.map(() => 1)] };
      const adapter = await openAdapter(adapterOf({ [key('A')]: [2, 4], [key('B')]: [6, 2], ...conv }));
      assert.deepEqual(adapter.modules.map(({ name }) => name), [Q]); // prettier-ignore
      assert.match(adapter.notices[0]!.message, /LoRA on a convolution: conv\.lora_A/);
    }
  });
  it('of stacked experts are refused', async () => {
    for (const [a, b] of [
      [3, 3],
      [1, 3],
      [3, 1],
    ] as [number, number][]) {
      const stack = { [key('A', 'mlp.experts')]: [a, 2, 4], [key('B', 'mlp.experts')]: [b, 6, 2] };
      assert.match((await refusal(openAdapter(adapterOf(stack)))).message, /stacked experts/);
    }
  });
  it('of square weights are in the layout of their stack, whatever the flag says', async () => {
    const modules: Record<string, [number, number]> = {
      'encoder.layer.0.attention.query': [4, 4],
      'encoder.layer.0.intermediate.dense': [8, 4],
      'decoder.h.0.attn.c_attn': [12, 4],
      'decoder.h.0.attn.c_proj': [4, 4],
    };
    const base = Object.fromEntries(
      Object.entries(modules).map(([name, [out, width]]) => [
        `${name}.weight`,
        name.startsWith('decoder') ? [width, out] : [out, width],
      ]),
    );
    const layouts = async (parts: string[], fan_in_fan_out: boolean): Promise<Record<string, boolean>> => {
      const chosen = Object.fromEntries(Object.entries(modules).filter(([name]) => parts.some((part) => name.endsWith(part))));
      const plan = await planOf(adapterWith(chosen, { fan_in_fan_out }), { base });
      return Object.fromEntries(plan.modules.map(({ name, weights }) => [name.split('.').at(-1)!, weights!.transposed]));
    };
    for (const flag of [true, false])
      assert.deepEqual(await layouts(['query', 'dense', 'c_attn', 'c_proj'], flag), { query: false, dense: false, c_attn: true, c_proj: true });
    assert.deepEqual(await layouts(['query', 'c_proj'], true), { query: false, c_proj: true });
  }); // prettier-ignore
  it('of several adapters are said to be before any is held twice', async () => {
    const shapes = { [key('A')]: [2, 4], [key('B')]: [6, 2] };
    const named = Object.fromEntries(
      Object.entries(shapes).flatMap(([name, shape]) => [
        [name.replace('.weight', '.one.weight'), shape],
        [name.replace('.weight', '.two.weight'), shape],
      ]),
    );
    const magnitude = { [`base_model.model.${Q}.lora_magnitude_vector.one.weight`]: [6] };
    for (const tensors of [named, { ...named, ...magnitude }])
      assert.match((await refusal(openAdapter(adapterOf(tensors)))).message, /several adapters \(one, two\)/);
  });
  it('of a target parameter of two dimensions are an ordinary module', async () => {
    const router = 'model.layers.0.mlp.router';
    const adapter = adapterOf({ [key('A', router)]: [2, 4], [key('B', router)]: [6, 2] }, { target_parameters: ['mlp.router.scale'] });
    const plan = await planOf(adapter, { base: { [`${router}.scale`]: [6, 4] } });
    assert.equal(plan.modules[0]!.weights!.base.name, `${router}.scale`);
    const beside = await planOf(adapter, { base: { [`${router}.weight`]: [6, 4], [`${router}.scale`]: [6, 4] } });
    assert.equal(beside.modules[0]!.weights!.base.name, `${router}.scale`);
    const error = await refusal(planOf(adapter, { base: { [`${router}.scale`]: [2, 6, 4] } }));
    assert.equal(error.code, 'model-missing-target');
  }); // prettier-ignore
});

describe('settings of PEFT', () => {
  const adapter = (config: object) => openAdapter(adapterWith({ [Q]: [6, 4] }, config));

  for (const [key, value] of Object.entries({
    use_dora: true,
    kasa_config: { alpha: 1 },
    use_bdlora: { nblocks: 2 },
    use_qalora: true,
    arrow_config: {},
    lora_bias: true,
    layer_replication: [[0, 2]],
    init_lora_weights: 'lora_ga',
  })) {
    it(`${key} is refused by name`, async () => {
      const error = await refusal(adapter({ [key]: value }));
      assert.equal(error.code, 'unsupported-adapter');
      assert.ok(error.message.includes(key));
    });
  }
  it('that leave B·A the whole update pass without a word', async () => {
    const settings = {
      velora_config: { num_groups: 2 },
      monteclora_config: { num_samples: 8 },
      init_lora_weights: 'mica',
      eva_config: { rho: 2 },
      trainable_token_indices: null,
      ensure_weight_tying: true,
      exclude_modules: ['lm_head'],
      qalora_group_size: 16,
      layer_replication: [],
      peft_version: '0.21.2',
      revision: 'main',
      some_future_flag: false,
      another: null,
    };
    assert.deepEqual(codesOf(await adapter(settings)), []);
  });
  it('that act only after certain tokens are a notice', async () => {
    assert.deepEqual(codesOf(await adapter({ alora_invocation_tokens: [1, 2] })), ['token-activated']);
  });
  it('that are not known are a notice with their names', async () => {
    const { notices } = await adapter({ use_future_lora: true, xlora: {}, init_lora_weights: 'tomorrow' });
    assert.deepEqual(codesOf({ notices }), ['setting-unknown']);
    assert.match(notices[0]!.message, /use_future_lora, xlora, init_lora_weights "tomorrow"/);
  });
  it('a revision that the given model is not known to have is a notice', async () => {
    const path = adapterWith({ [Q]: [6, 4] }, { revision: 'step-1000' });
    const plan = await planOf(path, { base: { [`${Q}.weight`]: [6, 4] } });
    assert.ok(codesOf(plan).includes('revision-unconfirmed'));
  });
  it('an alpha of 0, a missing peft_type and a lost order of patterns are said', async () => {
    assert.match((await refusal(adapter({ lora_alpha: 0 }))).message, /lora_alpha is 0, so the adapter does nothing/);
    assert.match((await refusal(adapter({ peft_type: undefined }))).message, /has no peft_type/);
    const order = openAdapter(adapterWith({ 'mlp.0': [6, 4] }, { alpha_pattern: { 'mlp.0': 16, 0: 32 } }));
    assert.match((await refusal(order)).message, /a whole number as a pattern, which matches the same module/);
    const { modules } = await openAdapter(adapterWith({ 'mlp.0': [6, 4] }, { alpha_pattern: { 'mlp.1': 16, 0: 32 } }));
    assert.equal(modules[0]!.scale, 16);
  }); // prettier-ignore
  it('a negative alpha subtracts the adapter', async () => {
    const { modules } = await adapter({ lora_alpha: -8, r: 2 });
    assert.equal(modules[0]!.scale, -4);
  });
  it('patterns are Python’s', async () => {
    const scale = async (config: object): Promise<number> => (await adapter({ r: 2, lora_alpha: 2, ...config })).modules[0]!.scale;
    assert.equal(await scale({ alpha_pattern: { '(?P<x>q)_proj': 16 } }), 8);
    assert.equal(await scale({ alpha_pattern: { '(?i:Q_PROJ)': 16 } }), 8);
    assert.equal(await scale({ alpha_pattern: { 'q_proj\\Z': 16 } }), 8);
    assert.equal(await scale({ alpha_pattern: { 'q_pro++j': 16 } }), 8);
    for (const pattern of ['q_proj(', '(?P<x>q', 'a**', '\\y', '(?i)q_proj']) {
      const error = await refusal(adapter({ alpha_pattern: { [pattern]: 16 } }));
      assert.ok(error.message.includes(JSON.stringify(pattern)), error.message);
    }
    assert.match((await refusal(adapter({ target_modules: '(?P<x>q' }))).message, /target_modules contains/);
  }); // prettier-ignore
});

describe('other formats and locations', () => {
  const inFolder = (files: Record<string, string | Buffer>): string => {
    const path = own();
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(join(path, name, '..'), { recursive: true });
      writeFileSync(join(path, name), content);
    }
    return path;
  };
  const config = JSON.stringify(plainConfig);

  const starts: [string, string | Buffer, RegExp][] = [
    ['GGUF', Buffer.from('GGUF\x03\0\0\0\0\0\0\0'), /is a GGUF file/],
    ['a zip archive', Buffer.from('PK\x03\x04\x14\0\0\0\x08\x08'), /is a zip archive/],
    ['a pickle', Buffer.from([0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20]), /is a pickle of PyTorch/],
    ['a gzip archive', Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]), /is a gzip archive/],
    ['a web page', '\n<!DOCTYPE html><html>', /is a web page/],
    ['an answer in words', 'Access to model is restricted', /is a text file/],
    ['JSON', '{"error": "not found"}', /is a text file/],
  ];
  for (const [name, start, cause] of starts) {
    it(`${name} under the name of an adapter or a model is named`, async () => {
      const adapter = inFolder({ 'adapter_config.json': config, 'adapter_model.safetensors': start });
      assert.match((await refusal(openAdapter(adapter))).message, cause);
      assert.match((await refusal(openCheckpoint(inFolder({ 'model.safetensors': start })))).message, cause);
    });
  }

  it('a web page or a Git LFS pointer under the name of a configuration is named', async () => {
    for (const [text, cause] of [
      ['\ufeff\n<!DOCTYPE html><html>', /config\.json.* is a web page, not JSON \(download the file itself/],
      ['version https://git-lfs.github.com/spec/v1\n', /config\.json: is a Git LFS pointer, not JSON \(run/],
    ] as const) {
      const weights = safetensors({ 'x.lora_A.weight': f32([1, 1], [1]), 'x.lora_B.weight': f32([1, 1], [1]) });
      const adapter = inFolder({ 'adapter_config.json': text, 'adapter_model.safetensors': weights });
      assert.match((await refusal(openAdapter(adapter))).message, cause);
      const model = inFolder({ 'config.json': text, 'model.safetensors': safetensors({ w: f32([1], [1]) }) });
      assert.match((await refusal(openCheckpoint(model))).message, cause);
    }
  });

  it('an adapter without any tensor is one that was not gathered', async () => {
    const adapter = inFolder({ 'adapter_config.json': config, 'adapter_model.safetensors': safetensors({}) });
    assert.match(
      (await refusal(openAdapter(adapter))).message,
      /contains no tensor, as DeepSpeed ZeRO-3 and FSDP.*stage3_gather/,
    );
  });

  const adapters: [string, Record<string, string>, RegExp][] = [
    ['MLX', { 'adapters.safetensors': '' }, /an adapter of MLX/],
    ['diffusers', { 'pytorch_lora_weights.safetensors': '' }, /an adapter of diffusers/],
    ['torchtune', { 'adapter_0.pt': '' }, /an adapter of torchtune/],
    ['a whole model', { 'config.json': '{}', 'model.safetensors': '' }, /a whole model and no adapter/],
    ['a sharded model', { 'model.safetensors.index.json': '{}' }, /a whole model and no adapter/],
    ['another name', { 'lora.safetensors': '' }, /lora\.safetensors, but PEFT loads/],
    ['shards', { 'adapter_model-00001-of-00002.safetensors': '' }, /an adapter in shards.*; join them/],
    ['DeepSpeed', { 'global_step9/a.pt': '', 'zero_to_fp32.py': '' }, /a checkpoint of a training in parts/],
    ['half a download', { 'adapter_model.safetensors.incomplete': '' }, /a download that is not done/],
    [
      'a configuration alone',
      { 'adapter_config.json': '{}', 'README.md': '' },
      /adapter_config\.json but no adapter_model/,
    ],
    ['a pickle inside', { 'checkpoint-5/adapter_model.bin': '' }, /in a subfolder; give .*checkpoint-5/],
    ['one adapter inside', { 'default/adapter_model.safetensors': '' }, /in a subfolder; give .*default/],
    [
      'several inside',
      { 'checkpoint-5/adapter_model.safetensors': '', 'checkpoint-10/adapter_model.safetensors': '' },
      /but 2 adapters in subfolders; give one of .*checkpoint-10, .*checkpoint-5/,
    ],
    [
      'one of verl',
      { 'global_step_7/actor/lora_adapter/adapter_model.safetensors': '', 'latest_checkpointed_iteration.txt': '7' },
      /give .*global_step_7.actor.lora_adapter/,
    ],
    ['one two levels down', { 'checkpoint-5/default/adapter_model.safetensors': '' }, /give .*checkpoint-5.default/],
  ];
  for (const [name, files, cause] of adapters)
    it(`a folder with ${name} is no adapter, and says so`, async () => {
      assert.match((await refusal(openAdapter(inFolder(files)))).message, cause);
    });

  const models: [string, Record<string, string>, RegExp][] = [
    ['consolidated.safetensors', { 'consolidated.safetensors': '', 'params.json': '' }, /Mistral's or Meta's own code/],
    ['consolidated.00.pth', { 'consolidated.00.pth': '' }, /Mistral's or Meta's own code/],
    ['shards alone', { 'model-00001-of-00002.safetensors': '' }, /but no index; download/],
    ['GGUF', { 'model-Q4_K_M.gguf': '' }, /a GGUF file/],
    ['a variant', { 'model.fp16.safetensors': '' }, /a variant/],
    ['TensorFlow', { 'tf_model.h5': '' }, /another framework/],
    ['diffusers', { 'model_index.json': '' }, /a model of diffusers/],
    ['a sharded pickle', { 'pytorch_model-00001-of-00002.bin': '' }, /PyTorch's pickle format/],
    ['a checkpoint inside', { 'checkpoint-5/model.safetensors': '' }, /no model, but checkpoint-5/],
    ['FSDP', { 'pytorch_model_fsdp_0/__0_0.distcp': '' }, /a checkpoint of a training in parts/],
    ['another name', { 'gptq_model-4bit-128g.safetensors': '' }, /but transformers loads model\.safetensors/],
    ['a configuration alone', { 'config.json': '{}' }, /config\.json but no weights; download/],
    ['a cache', { 'snapshots/abc/model.safetensors': '', 'refs/main': '' }, /repository of the hub cache/],
  ];
  for (const [name, files, cause] of models)
    it(`a folder with ${name} is no model that can be read, and says so`, async () => {
      assert.match((await refusal(openCheckpoint(inFolder(files)))).message, cause);
    });

  it('a file in place of a model’s folder is named', async () => {
    const path = inFolder({ 'm-Q4.gguf': 'GGUF', 'model.safetensors': '', 'config.json': '{}', 'notes.txt': '' });
    for (const [file, cause] of [
      ['m-Q4.gguf', /is not a folder \(m-Q4\.gguf, a GGUF file, .*\); give the adapter or model that/],
      ['model.safetensors', /is not a folder; give the folder that it is in, .*case-\d+\.$/],
      ['config.json', /is not a folder; give the folder that it is in, .*case-\d+\.$/],
      ['notes.txt', /is not a folder; give the folder that contains the model's config\.json/],
    ] as const)
      assert.match((await refusal(openCheckpoint(join(path, file)))).message, cause);
  });
  it('an adapter that is on the hub alone is to be downloaded', async () => {
    for (const path of ['some-org/some-adapter', 'hf://some-org/some-adapter'])
      assert.match(
        (await refusal(openAdapter(path))).message,
        /does not exist; check the path, or, if it is on the hub, download it: hf download some-org\/some-adapter --local-dir DIR\.$/,
      );
    for (const path of ['test/no-adapter', '/some-org/some-adapter', './some-org/some-adapter', 'adapter'])
      assert.match((await refusal(openAdapter(path))).message, /does not exist; check the path\.$/, path);
  });

  const names: [string, RegExp][] = [
    ['lora_unet_down.lora_down.weight', /kohya/],
    ['unet.attn.to_q.lora.up.weight', /diffusers/],
    ['unet.attn.processor.to_q_lora.down.weight', /diffusers/],
    ['transformer.h.0.attn.attn.lora_A', /loralib or LitGPT/],
    ['base_model.model.model.embed_tokens.lora_embedding_A', /nothing to project.*lora_embedding_A/],
    ['layers.0.attn.q_proj.lora_a.weight', /torchtune/],
    ['model.layers.0.self_attn.q_proj.lora_a', /MLX/],
    ['blk.0.attn_q.weight.lora_a', /llama\.cpp/],
    ['base_model.model.q_proj.hada_w1_a', /another method than LoRA/],
    ['model.embed_tokens.weight', /whole model's weights/],
  ];
  for (const [name, cause] of names)
    it(`a file with ${name} is named`, async () => {
      assert.match((await refusal(openAdapter(adapterOf({ [name]: [2, 2] })))).message, cause);
    });

  it('the names of another tool are named where the configuration is missing, too', async () => {
    const path = inFolder({ 'adapter_model.safetensors': safetensors(randomTensors(1, { 'lora_unet_a.alpha': [1] })) });
    assert.match((await refusal(openAdapter(path))).message, /the names of kohya/);
    const peft = inFolder({
      'adapter_model.safetensors': safetensors(randomTensors(1, { 'q.lora_A.weight': [1, 1] })),
    });
    assert.match((await refusal(openAdapter(peft))).message, /adapter_config\.json: is missing/);
  });
  it('a configuration of MLX is named', async () => {
    const path = adapterWith({ [Q]: [6, 4] });
    writeFileSync(join(path, 'adapter_config.json'), '{"fine_tune_type": "lora"}');
    assert.match((await refusal(openAdapter(path))).message, /MLX/);
  });
});
