// Small copies of what people reported, in test/cases/: measured as an independent reader in float64 measured them, or refused in words
// that name the true cause and a next step. Each folder is named after the project and the number of the report.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type Report } from '../../src/core/report';
import {
  cli,
  plainConfig,
  randomTensor,
  root,
  temporaryFolder,
  type TensorSpec,
  writeAdapter,
  writeModel,
} from '../fixtures/make';

const folder = join(root, 'test/cases');

interface Measured {
  modules: number;
  /** Codes of notices, and what their messages say. */
  notices?: Record<string, RegExp>;
  direction?: number;
}

const measured: Record<string, Measured> = {
  colqwen_language_model_layers_oldckpt: { modules: 3 },
  dynamo_3043_infinity: { modules: 4 },
  gpt2_lm_head_flag: { modules: 3 },
  hfhub_4728_ghost_mtp: { modules: 4 },
  index_bom: { modules: 4 },
  llamafactory_2888_head_resized: {
    modules: 5,
    notices: { 'vocabulary-differs': /lm_head was trained on a vocabulary of 72 rows, the models have 64/ },
  },
  llamafactory_7665_modules_to_save_empty: {
    modules: 4,
    notices: {
      'adapter-not-covered': /modules_to_save.*lm_head\.weight/,
      'tensors-empty':
        /PEFT cannot load.*lm_head\.weight.*embed_tokens\.weight.*stage3_gather_16bit_weights_on_model_save/,
    },
  },
  peft_2241_conv1d: { modules: 2, notices: { 'adapter-not-covered': /LoRA on a convolution: model\.encoder\.conv1/ } },
  peft_2957_orig_mod_layer: { modules: 4, notices: { 'names-not-loaded': /does nothing.*_orig_mod/ } },
  peft_python_regex_pattern: { modules: 4, direction: 0.000874 },
  soup_335_orig_mod: {
    modules: 4,
    notices: {
      'names-not-loaded': /does nothing.*to base_model\.model\.model\.layers\.0\.self_attn\.q_proj\.lora_B\.weight/,
    },
  },
  transformers_38395_base_layer: { modules: 4 },
  unsloth_1601_quantcfg_on_bf16: {
    modules: 4,
    notices: { 'quantisation-left-over': /aligned has a quantization_config/ },
  },
};

const refused: Record<string, RegExp> = {
  comfy_10784_kohya: /adapter_model\.safetensors: has the names of kohya .*; save or convert it in PEFT format/,
  llamacpp_gguf_adapter: /contains adapter\.gguf, a GGUF file.* not supported; give the adapter/,
  mistral_consolidated_only: /base: contains consolidated\.safetensors.*; give the version for transformers/,
  mlx_1119_native: /contains adapters\.safetensors, an adapter of MLX; save or convert it in PEFT format/,
  peft_1599_html: /adapter_model\.safetensors: is a web page, not safetensors; download the file itself/,
  peft_2500_zero3_empty: /8 of its 8 LoRA tensors are empty.*ZeRO-3.*stage3_gather_16bit_weights_on_model_save/,
  peft_bdlora: /use_bdlora makes A or B block-diagonal/,
  several_adapters_one_file: /contains several adapters \(default, reference\); save each in a folder of its own/,
  shard_noindex: /contains model-00001-of-00002\.safetensors but no index; download model\.safetensors\.index\.json/,
  torchtune_2537_native: /has the names of torchtune .*; save or convert it in PEFT format/,
  trl_subfolder_default: /contains no adapter_model\.safetensors, but an adapter in a subfolder; give .*adapter.other/,
  vllm_33259_fused_ckpt: /keeps its experts stacked in model\.layers\.0\.mlp\.experts\.gate_up_proj \[2, 48, 32\]/,
  vllm_41384_no_target_parameters: /stacked experts \(target_parameters\).*experts\.gate_up_proj \[2, 48, 32\]/,
};

async function inspect(name: string): Promise<{ status: number | null; stderr: string; report: Report | null }> {
  const own = join(folder, name);
  const models = ['--base', join(own, 'base'), '--aligned', join(own, 'aligned')];
  const { status, stderr, stdout } = await cli(['inspect', join(own, 'adapter'), ...models, '--json', '-', '--quiet']);
  return { status, stderr, report: status === 0 ? (JSON.parse(stdout) as Report) : null };
}

describe('a reported input', () => {
  it('is measured or refused, each of them', () => {
    assert.deepEqual(readdirSync(folder).sort(), [...Object.keys(measured), ...Object.keys(refused)].sort());
  });

  for (const [name, { modules, notices = {}, direction }] of Object.entries(measured)) {
    it(`${name} is measured`, async () => {
      const { status, stderr, report } = await inspect(name);
      assert.equal(status, 0, stderr);
      assert.equal(report!.modules.length, modules);
      assert.deepEqual([...new Set(report!.notices.map(({ code }) => code))].sort(), Object.keys(notices).sort());
      for (const { code, message } of report!.notices) assert.match(message, notices[code]!);
      if (direction !== undefined) assert.ok(Math.abs(report!.totals.direction! - direction) < 1e-6);
      const path = join(folder, name, 'expected.json');
      if (!existsSync(path)) return;
      const expected = JSON.parse(readFileSync(path, 'utf8')) as Record<string, Record<string, number>>;
      assert.deepEqual(report!.modules.map((module) => module.name).sort(), Object.keys(expected).sort());
      for (const module of report!.modules) {
        const { similarity, direction: toward, gain } = expected[module.name]!;
        assert.ok(Math.abs(module.similarity! - similarity!) < 1e-6, `similarity of ${module.name}`);
        assert.ok(Math.abs(module.direction! - toward!) < 1e-6, `direction of ${module.name}`);
        assert.ok(Math.abs(module.gain! - gain!) < 1e-6, `gain of ${module.name}`);
      }
    });
  }

  for (const [name, cause] of Object.entries(refused)) {
    it(`${name} is refused with its cause and a next step`, async () => {
      const { status, stderr } = await inspect(name);
      assert.equal(status, 1);
      assert.match(stderr, /^safe-lora: [^\n]+\.\n$/);
      assert.match(stderr, cause);
    });
  }
});

describe('the same weights and updates in other forms', () => {
  const own = temporaryFolder();
  const at = 'model.layers.0.self_attn';
  const sizes = { q_proj: 8, k_proj: 2, v_proj: 2 };
  const pairs = Object.fromEntries(
    Object.entries(sizes).map(([name, out], i) => [
      `${at}.${name}`,
      { a: randomTensor(i, [2, 6]), b: randomTensor(i + 5, [out, 2]) },
    ]),
  );
  const apart = (seed: number): Record<string, TensorSpec> =>
    Object.fromEntries(
      Object.entries(sizes).map(([name, out], i) => [`${at}.${name}.weight`, randomTensor(seed + i, [out, 6])]),
    );
  const fused = (seed: number): Record<string, TensorSpec> => ({
    [`${at}.qkv_proj.weight`]: {
      dtype: 'F32',
      shape: [12, 6],
      bytes: Buffer.concat(Object.values(apart(seed)).map(({ bytes }) => bytes)),
    },
  });
  const numbers = async (name: string, alpha: number, weights: typeof apart): Promise<Report> => {
    const adapter = writeAdapter(join(own, name, 'adapter'), pairs, { ...plainConfig, lora_alpha: alpha });
    const base = writeModel(join(own, name, 'base'), weights(20));
    const aligned = writeModel(join(own, name, 'aligned'), weights(30));
    const { stdout, stderr } = await cli(['inspect', adapter, '--base', base, '--aligned', aligned, '--json', '-']);
    assert.notEqual(stdout, '', stderr);
    return JSON.parse(stdout) as Report;
  };

  it('a fused weight gives the numbers of its parts, bit for bit', async () => {
    const [one, other] = [await numbers('apart', 4, apart), await numbers('fused', 4, fused)];
    assert.deepEqual(other.modules, one.modules);
    assert.equal(other.totals.direction, one.totals.direction);
  });

  it('a negative lora_alpha turns every direction around, and changes nothing else', async () => {
    const [added, taken] = [await numbers('added', 4, apart), await numbers('taken', -4, apart)];
    assert.notEqual(added.totals.direction, 0);
    assert.equal(taken.totals.direction, -added.totals.direction!);
    for (const [i, module] of added.modules.entries())
      assert.deepEqual(taken.modules[i], { ...module, direction: -module.direction! });
  });
});
