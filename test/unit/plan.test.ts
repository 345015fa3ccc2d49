// Pairing by name, orientation by shape, and the order of every list, with the names that real models and adapters have.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { openAdapter } from '../../src/core/adapter';
import { openCheckpoint } from '../../src/core/checkpoint';
import { type Position, positions } from '../../src/core/naming';
import { makePlan, type Plan } from '../../src/core/plan';
import {
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

interface Setup {
  /** [out, in] of each adapted module, by its name in the adapter. */
  modules: Record<string, [number, number]>;
  /** Stored shape of each weight; the aligned model has the same unless given. */
  base: Record<string, [number, number]>;
  aligned?: Record<string, [number, number]>;
  config?: object;
  baseConfig?: object;
  alignedConfig?: object;
  names?: { base: string; aligned: string };
}

async function plan({
  modules,
  base,
  aligned = base,
  config = {},
  baseConfig = {},
  alignedConfig = baseConfig,
  names = { base: 'base', aligned: 'aligned' },
}: Setup): Promise<Plan> {
  const own = join(folder, `case-${cases++}`);
  const pairs = Object.fromEntries(
    Object.entries(modules).map(([name, [out, width]]) => [
      name,
      { a: randomTensor(1, [2, width]), b: randomTensor(2, [out, 2]) },
    ]),
  );
  const adapter = await openAdapter(
    writeAdapter(join(own, 'adapter'), pairs, { ...plainConfig, target_modules: '.*', ...config }),
  );
  return makePlan(
    adapter,
    await openCheckpoint(writeModel(join(own, names.base), randomTensors(10, base), baseConfig)),
    await openCheckpoint(writeModel(join(own, names.aligned), randomTensors(90, aligned), alignedConfig)),
  );
}

/** Which weight of the aligned model each module was paired with. */
const paired = ({ modules }: Plan): Record<string, string | undefined> =>
  Object.fromEntries(modules.map((module) => [module.name, module.weights?.aligned.name]));

describe('pairing modules with weights', () => {
  const pairs: [string, string, string][] = [
    ['Llama', 'model.layers.3.self_attn.q_proj', 'model.layers.3.self_attn.q_proj.weight'],
    ['GPT-2, whose checkpoint leaves out the model’s own prefix', 'transformer.h.0.mlp.c_fc', 'h.0.mlp.c_fc.weight'],
    ['OPT, whose checkpoint adds one', 'decoder.layers.0.fc1', 'model.decoder.layers.0.fc1.weight'],
    ['T5', 'decoder.block.1.layer.1.EncDecAttention.k', 'decoder.block.1.layer.1.EncDecAttention.k.weight'],
    [
      'Falcon, fused',
      'transformer.h.2.self_attention.query_key_value',
      'transformer.h.2.self_attention.query_key_value.weight',
    ],
    ['Phi-3, fused', 'model.layers.0.self_attn.qkv_proj', 'model.layers.0.self_attn.qkv_proj.weight'],
    [
      'Mixtral, an expert',
      'model.layers.0.block_sparse_moe.experts.7.w1',
      'model.layers.0.block_sparse_moe.experts.7.w1.weight',
    ],
    [
      'LLaVA, an older adapter on a newer checkpoint',
      'language_model.model.layers.0.self_attn.q_proj',
      'model.language_model.layers.0.self_attn.q_proj.weight',
    ],
    [
      'LLaVA, a newer adapter on an older checkpoint',
      'model.language_model.layers.0.self_attn.q_proj',
      'language_model.model.layers.0.self_attn.q_proj.weight',
    ],
    [
      'LLaVA, its vision tower',
      'model.vision_tower.encoder.layers.0.self_attn.q_proj',
      'vision_tower.encoder.layers.0.self_attn.q_proj.weight',
    ],
    [
      'Qwen2-VL, a newer adapter on an older checkpoint',
      'model.language_model.layers.0.mlp.up_proj',
      'model.layers.0.mlp.up_proj.weight',
    ],
    ['Qwen2-VL, its vision part', 'model.visual.blocks.0.attn.qkv', 'visual.blocks.0.attn.qkv.weight'],
  ];
  for (const [name, module, weight] of pairs) {
    it(`finds the weight of ${name}`, async () => {
      const found = await plan({ modules: { [module]: [6, 4] }, base: { [weight]: [6, 4] } });
      assert.deepEqual(paired(found), { [module]: weight });
    });
  }

  it('resolves base and aligned each by itself', async () => {
    const module = 'language_model.model.layers.0.self_attn.q_proj';
    const found = await plan({
      modules: { [module]: [6, 4] },
      base: { [`${module}.weight`]: [6, 4] },
      aligned: { 'model.language_model.layers.0.self_attn.q_proj.weight': [6, 4] },
    });
    assert.equal(found.modules[0]!.weights!.base.name, `${module}.weight`);
    assert.equal(found.modules[0]!.weights!.aligned.name, 'model.language_model.layers.0.self_attn.q_proj.weight');
  });

  it('never pairs by position: gaps in layers_to_transform keep their numbers', async () => {
    const name = (layer: number): string => `model.layers.${layer}.self_attn.v_proj`;
    const base = Object.fromEntries(
      [0, 1, 2, 3, 10].map((layer): [string, [number, number]] => [`${name(layer)}.weight`, [6, 4]]),
    );
    const found = await plan({
      modules: { [name(10)]: [6, 4], [name(2)]: [6, 4] },
      base,
      config: { layers_to_transform: [2, 10] },
    });
    assert.deepEqual(paired(found), { [name(2)]: `${name(2)}.weight`, [name(10)]: `${name(10)}.weight` });
    assert.deepEqual(
      found.modules.map((module) => module.layer),
      [2, 10],
    );
  });

  it('takes an exact name over any other', async () => {
    const found = await plan({
      modules: { 'h.0.attn.q': [6, 4] },
      base: { 'h.0.attn.q.weight': [6, 4], 'x.h.0.attn.q.weight': [6, 4] },
    });
    assert.deepEqual(paired(found), { 'h.0.attn.q': 'h.0.attn.q.weight' });
  });

  it('does not shorten a name so far that its layer is lost', async () => {
    await assert.rejects(plan({ modules: { 'model.layers.1.q_proj': [6, 4] }, base: { 'q_proj.weight': [6, 4] } }), {
      code: 'model-missing-target',
    });
  });

  it('resolves a tied output head to the input embedding', async () => {
    const setup = {
      modules: { lm_head: [9, 4] as [number, number] },
      base: { 'model.embed_tokens.weight': [9, 4] as [number, number] },
      config: { target_modules: ['lm_head'] },
    };
    assert.deepEqual(paired(await plan({ ...setup, baseConfig: { tie_word_embeddings: true } })), {
      lm_head: 'model.embed_tokens.weight',
    });
    await assert.rejects(plan({ ...setup, baseConfig: { tie_word_embeddings: false } }), {
      code: 'model-missing-target',
    });
  });

  it('leaves out, with a notice, a head whose vocabularies differ', async () => {
    const found = await plan({
      modules: { lm_head: [9, 4], 'model.layers.0.q_proj': [6, 4] },
      base: { 'lm_head.weight': [8, 4], 'model.layers.0.q_proj.weight': [6, 4] },
      aligned: { 'lm_head.weight': [9, 4], 'model.layers.0.q_proj.weight': [6, 4] },
    });
    assert.deepEqual(paired(found), { 'model.layers.0.q_proj': 'model.layers.0.q_proj.weight', lm_head: undefined });
    assert.deepEqual(
      found.notices.filter((notice) => notice.code === 'vocabulary-differs').map((notice) => notice.modules),
      [['lm_head']],
    );
  });
});

describe('orientation', () => {
  const module = 'h.0.attn.c_attn';
  const orientation = async (
    stored: [number, number],
    fanInFanOut: boolean,
    updated: [number, number],
  ): Promise<boolean> =>
    (
      await plan({
        modules: { [module]: updated },
        base: { [`${module}.weight`]: stored },
        config: { fan_in_fan_out: fanInFanOut },
      })
    ).modules[0]!.weights!.transposed;

  it('comes from the shapes', async () => {
    assert.equal(await orientation([12, 4], false, [12, 4]), false);
    assert.equal(await orientation([4, 12], true, [12, 4]), true);
  });

  it('comes from fan_in_fan_out where the weight is square', async () => {
    assert.equal(await orientation([4, 4], false, [4, 4]), false);
    assert.equal(await orientation([4, 4], true, [4, 4]), true);
  });

  it('comes from the shapes alone where the configuration contradicts them, as PEFT’s own files may', async () => {
    assert.equal(await orientation([4, 12], false, [12, 4]), true);
    assert.equal(await orientation([12, 4], true, [12, 4]), false);
  });

  it('of a square weight comes from the adapter’s other weights, then from the checkpoint’s biases, and then from the flag', async () => {
    const square = 'h.0.attn.c_proj';
    const of = async (setup: Partial<Setup>): Promise<boolean> => {
      const found = await plan({ modules: { [square]: [4, 4] }, base: { [`${square}.weight`]: [4, 4] }, ...setup });
      return found.modules.find(({ name }) => name === square)!.weights!.transposed;
    };
    const beside = {
      modules: { [square]: [4, 4], [module]: [12, 4], lm_head: [9, 4] } as Setup['modules'],
      base: { [`${square}.weight`]: [4, 4], [`${module}.weight`]: [4, 12], 'wte.weight': [9, 4] } as Setup['base'],
    };
    assert.equal(await of({ ...beside, config: { fan_in_fan_out: false } }), true);
    const biased = { ...beside.base, [`${module}.bias`]: [12] as unknown as [number, number] };
    assert.equal(await of({ base: biased, config: { fan_in_fan_out: false } }), true);
    const linear = { ...biased, [`${module}.bias`]: [4] as unknown as [number, number] };
    assert.equal(await of({ base: linear, config: { fan_in_fan_out: true } }), false);
    assert.equal(await of({ config: { fan_in_fan_out: true } }), true);
  });
});

describe('an adapter as PEFT saves it', () => {
  const name = 'model.layers.0.self_attn.q_proj';
  const open = (
    config: object,
    keys = { a: `base_model.model.${name}.lora_A.weight`, b: `base_model.model.${name}.lora_B.weight` },
    more: Record<string, TensorSpec> = {},
  ) => {
    const own = writeAdapter(join(folder, `adapter-${cases++}`), {}, { ...plainConfig, r: 4, ...config });
    writeFileSync(
      join(own, 'adapter_model.safetensors'),
      safetensors({ [keys.a]: randomTensor(1, [4, 6]), [keys.b]: randomTensor(2, [6, 4]), ...more }),
    );
    return openAdapter(own);
  };

  it('may carry the adapter’s name in its keys, or no prefix', async () => {
    const named = await open(
      {},
      { a: `base_model.model.${name}.lora_A.default.weight`, b: `base_model.model.${name}.lora_B.default.weight` },
    );
    const bare = await open({}, { a: `${name}.lora_A.weight`, b: `${name}.lora_B.weight` });
    assert.deepEqual(
      [named, bare].map((adapter) => adapter.modules[0]!.name),
      [name, name],
    );
  });

  it('scales by alpha / r, by alpha / √r with rsLoRA, and by alpha_pattern, with the rank that the tensors have', async () => {
    const scale = async (config: object): Promise<number> => (await open(config)).modules[0]!.scale;
    assert.equal(await scale({ r: 2, lora_alpha: 16 }), 4);
    assert.equal(await scale({ lora_alpha: 16, use_rslora: true }), 8);
    assert.equal(await scale({ lora_alpha: 16, alpha_pattern: { q_proj: 2 } }), 0.5);
    assert.equal(
      await scale({
        lora_alpha: 16,
        alpha_pattern: { 'layers\\.0\\..*q_proj': 8, v_proj: 1 },
        rank_pattern: { q_proj: 4 },
      }),
      2,
    );
    assert.equal(await scale({ lora_alpha: 16, alpha_pattern: { 'layers.1.self_attn.q_proj': 2 } }), 4);
  });

  it('may state its targets as a list, a regular expression or "all-linear", and have entries that newer versions added', async () => {
    for (const [targets, shown] of [
      [['q_proj'], ['q_proj']],
      ['.*q_proj', ['.*q_proj']],
      ['all-linear', ['all-linear']],
      [undefined, []],
    ] as const) {
      const adapter = await open({
        target_modules: targets,
        exclude_modules: ['lm_head'],
        layers_pattern: 'layers',
        layers_to_transform: 0,
        eva_config: null,
        future: { a: 1 },
      });
      assert.deepEqual(adapter.config.targetModules, shown);
      assert.equal(adapter.modules.length, 1);
    }
  });

  it('says what it holds that no projection reaches', async () => {
    const one = randomTensor(3, [2, 2]);
    const adapter = await open({ modules_to_save: ['score'] }, undefined, {
      'base_model.model.score.weight': one,
      'base_model.model.model.layers.0.self_attn.q_proj.bias': one,
      'base_model.model.model.embed_tokens.lora_embedding_A': one,
      'base_model.model.prompt': one,
    });
    assert.deepEqual(
      adapter.notices.map(({ code, modules }) => [code, modules]),
      [
        ['adapter-not-covered', ['score.weight']],
        ['adapter-not-covered', ['model.layers.0.self_attn.q_proj.bias']],
        ['adapter-not-covered', ['model.embed_tokens.lora_embedding_A']],
        ['adapter-not-covered', ['prompt']],
      ],
    );
  });

  it('says where its ranks are not those of its configuration, which PEFT cannot load', async () => {
    const codes = async (config: object): Promise<string[]> => (await open(config)).notices.map(({ code }) => code);
    assert.deepEqual(await codes({ r: 8 }), ['rank-differs']);
    assert.deepEqual(await codes({ r: 8, rank_pattern: { q_proj: 4 } }), []);
    assert.deepEqual(await codes({ r: 4, rank_pattern: { '.*q_proj': 8 } }), ['rank-differs']);
  });

  it('is refused where a pattern takes too long', async () => {
    await assert.rejects(open({ alpha_pattern: { '(?:[a-z_.0-9]+)+X': 1 } }), /alpha_pattern takes too long to match/);
  });

  it('says which listed targets it has no tensor of', async () => {
    const adapter = await open({ target_modules: ['q_proj', 'v_proj'] });
    assert.match(adapter.notices.find((notice) => notice.code === 'config-differs')!.message, /v_proj/);
  });
});

describe('what the adapter says it was trained on', () => {
  const setup = {
    modules: { 'layers.0.q': [6, 4] as [number, number] },
    base: { 'layers.0.q.weight': [6, 4] as [number, number] },
    names: { base: 'Llama-2-7b-hf', aligned: 'Llama-2-7b-chat-hf' },
  };
  const codes = async (trainedOn: string, more: Partial<Setup> = {}): Promise<string[]> =>
    (await plan({ ...setup, config: { base_model_name_or_path: trainedOn }, ...more })).notices.map(
      (notice) => notice.code,
    );

  it('is quiet where it is the aligned model, whatever the owner or path', async () => {
    assert.deepEqual(await codes('meta-llama/Llama-2-7b-chat-hf'), []);
    assert.deepEqual(await codes('/models/llama-2-7b-chat-hf/'), []);
    assert.deepEqual(await codes('mine', { alignedConfig: { _name_or_path: 'mine' } }), []);
  });

  it('is a notice where it is the base, or neither', async () => {
    assert.deepEqual(await codes('meta-llama/Llama-2-7b-hf'), ['trained-on-base']);
    assert.deepEqual(await codes('mistralai/Mistral-7B-Instruct-v0.2'), ['aligned-mismatch']);
    assert.deepEqual(await codes('org/Mistral-7B-Instruct-v0.2-bnb-4bit'), [
      'trained-on-quantised',
      'aligned-mismatch',
    ]);
    assert.deepEqual(await codes('org/Llama-2-7b-hf-GPTQ'), ['trained-on-quantised', 'trained-on-base']);
  });

  it('is another notice where it is the aligned model, quantised', async () => {
    assert.deepEqual(await codes('unsloth/Llama-2-7b-chat-hf-bnb-4bit'), ['trained-on-quantised']);
    assert.deepEqual(await codes('unsloth/llama-2-7b-chat-unsloth-bnb-4bit'), ['trained-on-quantised']);
    assert.deepEqual(await codes('unsloth/llama-2-7b-chat'), []);
    assert.deepEqual(await codes(`/cache/models--meta-llama--Llama-2-7b-chat-hf/snapshots/${'a'.repeat(40)}`), []);
    assert.deepEqual(await codes('/models/Llama-2-7b-chat-hf-AWQ'), ['trained-on-quantised']);
  });

  it('is told without the path of the machine that trained it', async () => {
    const { notices } = await plan({ ...setup, config: { base_model_name_or_path: '/home/someone/models/other' } });
    assert.match(notices[0]!.message, /was trained on other; the aligned model given is Llama-2-7b-chat-hf\./);
  });
});

describe('where a module sits', () => {
  const at = (...names: string[]): Record<string, Position> => Object.fromEntries(positions(names));

  it('is read from its name: stack, first number, kind, expert', () => {
    assert.deepEqual(at('model.layers.3.self_attn.q_proj', 'model.layers.3.mlp.experts.12.up_proj', 'lm_head'), {
      'model.layers.3.self_attn.q_proj': { stack: null, layer: 3, kind: 'q_proj', expert: null },
      'model.layers.3.mlp.experts.12.up_proj': { stack: null, layer: 3, kind: 'up_proj', expert: 12 },
      lm_head: { stack: null, layer: null, kind: 'lm_head', expert: null },
    });
  });

  it('takes the shortest tail that is unique within a layer, and the same one in every layer', () => {
    const t5 = at(
      'encoder.block.0.layer.0.SelfAttention.q',
      'decoder.block.0.layer.0.SelfAttention.q',
      'decoder.block.0.layer.1.EncDecAttention.q',
      'decoder.block.0.layer.2.DenseReluDense.wi',
    );
    assert.deepEqual(Object.values(t5), [
      { stack: 'encoder', layer: 0, kind: 'SelfAttention.q', expert: null },
      { stack: 'decoder', layer: 0, kind: 'SelfAttention.q', expert: null },
      { stack: 'decoder', layer: 0, kind: 'EncDecAttention.q', expert: null },
      { stack: 'decoder', layer: 0, kind: 'wi', expert: null },
    ]);
    const qwen = at(
      'model.layers.0.mlp.experts.0.gate_proj',
      'model.layers.0.mlp.shared_expert.gate_proj',
      'model.layers.0.mlp.experts.1.gate_proj',
    );
    assert.deepEqual(
      Object.values(qwen).map(({ kind, expert }) => [kind, expert]),
      [
        ['experts.gate_proj', 0],
        ['shared_expert.gate_proj', null],
        ['experts.gate_proj', 1],
      ],
    );
    const gpt2 = at(
      'transformer.h.0.attn.c_proj',
      'transformer.h.0.mlp.c_proj',
      'transformer.h.1.attn.c_proj',
      'transformer.h.0.attn.c_attn',
    );
    assert.deepEqual(
      Object.values(gpt2).map(({ kind }) => kind),
      ['attn.c_proj', 'mlp.c_proj', 'attn.c_proj', 'c_attn'],
    );
  });

  it('orders every list: stack, layer, kind, expert, name', async () => {
    const order = [
      'model.layers.0.self_attn.q_proj',
      'model.layers.0.self_attn.k_proj',
      'model.layers.0.self_attn.v_proj',
      'model.layers.0.self_attn.o_proj',
      'model.layers.0.mlp.experts.2.gate_proj',
      'model.layers.0.mlp.experts.10.gate_proj',
      'model.layers.0.mlp.up_proj',
      'model.layers.0.mlp.down_proj',
      'model.layers.0.mlp.router',
      'model.layers.2.self_attn.q_proj',
      'model.layers.10.self_attn.q_proj',
      'lm_head',
    ];
    const shuffled = [...order].sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
    const found = await plan({
      modules: Object.fromEntries(shuffled.map((name): [string, [number, number]] => [name, [6, 4]])),
      base: Object.fromEntries(shuffled.map((name): [string, [number, number]] => [`${name}.weight`, [6, 4]])),
    });
    assert.deepEqual(
      found.modules.map((module) => module.name),
      order,
    );
  });

  it('puts the encoder before the decoder', async () => {
    const names = ['decoder.block.0.layer.0.SelfAttention.q', 'encoder.block.5.layer.0.SelfAttention.q'];
    const found = await plan({
      modules: Object.fromEntries(names.map((name): [string, [number, number]] => [name, [6, 4]])),
      base: Object.fromEntries(names.map((name): [string, [number, number]] => [`${name}.weight`, [6, 4]])),
    });
    assert.deepEqual(
      found.modules.map((module) => module.stack),
      ['encoder', 'decoder'],
    );
  });
});
