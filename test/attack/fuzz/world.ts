// Small valid inputs: pairs of models with an adapter, in several dtypes and layouts, fresh, projected, as a patch and as a result.
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Adapter, openAdapter } from '../../../src/core/adapter';
import { encode, type FloatDtype } from '../../../src/core/dtype';
import { originalHashes } from '../../../src/core/originals';
import { checkDestination, writeFolder } from '../../../src/core/output';
import { writeAdapterFile } from '../../../src/core/patch';
import { writePatch } from '../../../src/core/patch-file';
import { saveInPlace } from '../../../src/core/save';
import { plainConfig, randoms, safetensors, type TensorSpec, writeAdapter, writeModel } from '../../fixtures/make';
import { markedProjection } from '../../fixtures/projection';
import { pathsIn } from '../operations';

/** Contents of files by their paths in a folder. */
export type Tree = ReadonlyMap<string, Buffer>;

/** One model pair with its adapter. */
export interface Setting {
  fresh: Tree;
  /** After a save in place. */
  projected: Tree;
}

interface Variant {
  models: FloatDtype;
  adapter: FloatDtype;
  /** [out, in] by module */
  modules: Record<string, [number, number]>;
  /** Stored [in, out], as GPT-2's Conv1D. */
  transposed?: boolean;
  sharded?: boolean;
  config?: object;
}

const LAYERS = ['model.layers.0', 'model.layers.1'];
const variants: readonly Variant[] = [
  {
    models: 'F32',
    adapter: 'F32',
    modules: {
      [`${LAYERS[0]}.self_attn.q_proj`]: [6, 4],
      [`${LAYERS[1]}.self_attn.q_proj`]: [6, 4],
      [`${LAYERS[0]}.mlp.down_proj`]: [4, 8],
    },
    sharded: true,
    config: {
      target_modules: ['q_proj', 'down_proj'],
      rank_pattern: { down_proj: 2 },
      alpha_pattern: { 'layers.1.self_attn.q_proj': 8 },
    },
  },
  {
    models: 'BF16',
    adapter: 'BF16',
    modules: {
      [`${LAYERS[0]}.self_attn.k_proj`]: [4, 4],
      [`${LAYERS[1]}.self_attn.k_proj`]: [4, 4],
      [`${LAYERS[1]}.mlp.up_proj`]: [8, 4],
    },
    config: { target_modules: '.*\\.(k_proj|up_proj)', task_type: 'CAUSAL_LM', lora_dropout: 0.05, bias: 'none' },
  },
  {
    models: 'F16',
    adapter: 'F16',
    modules: { 'h.0.attn.c_attn': [6, 4], 'h.1.attn.c_attn': [6, 4] },
    transposed: true,
    config: { target_modules: ['c_attn'], fan_in_fan_out: true },
  },
  {
    models: 'F64',
    adapter: 'F32',
    modules: { [`${LAYERS[0]}.self_attn.o_proj`]: [4, 6], lm_head: [8, 4] },
    config: {
      target_modules: ['o_proj', 'lm_head'],
      use_rslora: true,
      lora_alpha: -4,
      base_model_name_or_path: 'org/aligned',
      revision: 'main',
    },
  },
];

/** Makes the settings, in a folder of their own. */
export async function makeSettings(folder: string): Promise<Setting[]> {
  return Promise.all(variants.map((variant, i) => makeSetting(join(folder, String(i)), variant, 100 * i)));
}

async function makeSetting(root: string, variant: Variant, seed: number): Promise<Setting> {
  const { adapter: path, originals, patch, out } = pathsIn(root);
  const tensor = (salt: number, shape: number[], dtype: FloatDtype): TensorSpec => {
    const values = Float64Array.from(
      randoms(
        seed + salt,
        shape.reduce((a, b) => a * b, 1),
      ),
    );
    return { dtype, shape, bytes: Buffer.from(encode(values, dtype)) };
  };
  const modules = Object.entries(variant.modules);
  ['base', 'aligned'].forEach((model, side) => {
    const weights = modules.flatMap(([name, [out, width]], i): [string, TensorSpec][] => [
      [`${name}.weight`, tensor(10 * side + i, variant.transposed ? [width, out] : [out, width], variant.models)],
      ...(variant.transposed ? [[`${name}.bias`, tensor(50, [out], variant.models)] as [string, TensorSpec]] : []),
    ]);
    if (variant.sharded && model === 'aligned') writeShards(join(root, model), weights);
    else
      writeModel(join(root, model), Object.fromEntries(weights), { model_type: 'llama', tie_word_embeddings: false });
  });
  const pairs = modules.map(
    ([name, [out, width]], i) =>
      [name, { a: tensor(20 + i, [2, width], variant.adapter), b: tensor(30 + i, [out, 2], variant.adapter) }] as const,
  );
  writeAdapter(path, Object.fromEntries(pairs), { ...plainConfig, ...variant.config });
  writeFileSync(join(path, 'README.md'), '# An adapter\n');

  const adapter = await openAdapter(path, originals);
  const names = modules.map(([name]) => name);
  await writePatch(patch, adapter, await originalHashes(adapter), markedProjection(adapter, names.slice(1), 2));
  await writeOut(out, adapter, names);
  const fresh = readTree(root);
  await saveInPlace(adapter, markedProjection(adapter, names.slice(0, 2), 1), originals, '{"report":1}\n');
  return { fresh, projected: readTree(root) };
}

async function writeOut(out: string, adapter: Adapter, names: readonly string[]): Promise<void> {
  const projection = markedProjection(adapter, names.slice(0, 1), 3);
  await writeFolder(
    await checkDestination(out, adapter, false),
    adapter,
    (path) => writeAdapterFile(path, adapter, projection),
    () => '{"report":4}\n',
  );
}

/** One tensor a shard. */
function writeShards(folder: string, weights: readonly (readonly [string, TensorSpec])[]): void {
  mkdirSync(folder, { recursive: true });
  const shard = (i: number): string => `model-0000${i + 1}-of-0000${weights.length}.safetensors`;
  weights.forEach(([name, tensor], i) => {
    writeFileSync(join(folder, shard(i)), safetensors({ [name]: tensor }, { format: 'pt' }));
  });
  const index = {
    metadata: { total_size: 1 },
    weight_map: Object.fromEntries(weights.map(([name], i) => [name, shard(i)])),
  };
  writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify(index));
  writeFileSync(
    join(folder, 'config.json'),
    JSON.stringify({ model_type: 'llama', torch_dtype: 'float32', num_hidden_layers: 2 }),
  );
}

export function readTree(root: string): Tree {
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' });
  return new Map(
    names.filter((name) => statSync(join(root, name)).isFile()).map((name) => [name, readFileSync(join(root, name))]),
  );
}

/** @param isWanted of the paths */
export function writeTree(root: string, tree: Tree, isWanted: (path: string) => boolean = () => true): void {
  const made = new Set<string>();
  for (const [name, bytes] of tree) {
    if (!isWanted(name)) continue;
    const path = join(root, name);
    if (!made.has(dirname(path))) mkdirSync(dirname(path), { recursive: true });
    made.add(dirname(path));
    writeFileSync(path, bytes);
  }
}
