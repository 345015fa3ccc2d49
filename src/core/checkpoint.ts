// A model folder: one safetensors file or shards with an index, found by name, read by range.
import { createHash } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileError, SafeLoraError, someNames } from './errors';
import { kindOf, readJsonObject } from './files';
import { isObject } from './objects';
import { openSafetensors, type SafetensorsFile, type TensorInfo } from './safetensors';

const SINGLE_FILE = 'model.safetensors';
const INDEX_FILE = 'model.safetensors.index.json';

/** The names of a model's tensors and where each lies; no weight has been read. */
export interface Checkpoint {
  /** As the user gave it. */
  path: string;
  /** Repository id or folder name, see `folderName`. */
  name: string;
  tensors: ReadonlyMap<string, TensorInfo>;
  config: Readonly<Record<string, unknown>>;
  /** In the order of their names. */
  files: readonly SafetensorsFile[];
  /** SHA-256 over the headers of all files, in that order. */
  headersHash: string;
  /** The folder after resolving symbolic links. */
  realPath: string;
}

/** @throws SafeLoraError for everything that keeps the folder from being an unquantised safetensors model */
export async function openCheckpoint(path: string): Promise<Checkpoint> {
  const kind = await kindOf(path);
  if (kind === null)
    throw new SafeLoraError('file-access', `${path}: the model folder does not exist; check the path.`);
  if (kind !== 'folder')
    throw new SafeLoraError(
      'file-access',
      `${path}: is not a folder; give the folder that holds the model's config.json and safetensors files.`,
    );
  const realPath = await realpath(path).catch((error: unknown) => {
    throw fileError(path, error);
  });
  const config = await readConfig(path);
  const name = folderName(realPath);
  refuseQuantised(path, name, config, []);
  const files = await openFiles(path);
  const tensors = new Map<string, TensorInfo>();
  for (const file of files) {
    for (const [tensorName, tensor] of file.tensors) {
      const other = tensors.get(tensorName);
      if (other)
        throw new SafeLoraError(
          'model-index',
          `${file.path}: tensor ${tensorName} is also in ${other.path}; download the model again.`,
        );
      tensors.set(tensorName, tensor);
    }
  }
  refuseQuantised(path, name, config, [...tensors.keys()]);
  const headersHash = createHash('sha256')
    .update(files.map((file) => file.headerHash).join('\n'))
    .digest('hex');
  return { path, name, tensors, config, files, headersHash, realPath };
}

async function readConfig(folder: string): Promise<Record<string, unknown>> {
  const path = join(folder, 'config.json');
  if ((await kindOf(path)) === null) return {};
  return readJsonObject(
    path,
    (reason) => new SafeLoraError('model-config', `${path}: ${reason}; download the model again.`),
  );
}

/** What a model or adapter folder is called: its repository id where the path tells it (the hub's cache), else the folder's name. */
export function folderName(realPath: string): string {
  return cachedRepository(realPath) ?? basename(realPath);
}

/** The repository id in a path into the hub's cache, also another machine's; null for any other path. */
export function cachedRepository(path: string): string | null {
  const cached = /(?:^|[\\/])models--([^\\/]+)[\\/]snapshots[\\/][^\\/]+[\\/]?$/.exec(path)?.[1];
  return cached?.replace('--', '/') ?? null;
}

async function openFiles(folder: string): Promise<SafetensorsFile[]> {
  const single = join(folder, SINGLE_FILE);
  if ((await kindOf(single)) !== null) return [await openSafetensors(single)];
  const index = join(folder, INDEX_FILE);
  if ((await kindOf(index)) !== null) return openShards(folder, index);
  for (const pickle of ['pytorch_model.bin', 'pytorch_model.bin.index.json']) {
    if ((await kindOf(join(folder, pickle))) !== null) {
      throw new SafeLoraError(
        'format-pickle',
        `${join(folder, pickle)}: the weights are in PyTorch's pickle format, which is not read; convert them with transformers: AutoModelForCausalLM.from_pretrained(DIR).save_pretrained(NEW_DIR, safe_serialization=True).`,
      );
    }
  }
  if ((await kindOf(join(folder, 'adapter_config.json'))) !== null) {
    throw new SafeLoraError(
      'file-access',
      `${folder}: is an adapter, not a whole model; give the folder of the model itself.`,
    );
  }
  throw new SafeLoraError(
    'file-access',
    `${folder}: holds neither ${SINGLE_FILE} nor ${INDEX_FILE}; give the folder of a model in safetensors format.`,
  );
}

async function openShards(folder: string, index: string): Promise<SafetensorsFile[]> {
  const refuse = (reason: string): SafeLoraError =>
    new SafeLoraError('model-index', `${index}: ${reason}; download the model again.`);
  const weightMap = (await readJsonObject(index, refuse)).weight_map;
  if (!isObject(weightMap)) throw refuse('has no weight_map');
  const names = new Map<string, string[]>();
  for (const [tensor, shard] of Object.entries(weightMap)) {
    if (typeof shard !== 'string') throw refuse(`gives no file for tensor ${tensor}`);
    if (shard !== basename(shard) || shard.includes('\\') || shard === '' || shard === '.' || shard === '..') {
      throw refuse(`names a file outside its folder (${shard})`);
    }
    const listed = names.get(shard);
    if (listed) listed.push(tensor);
    else names.set(shard, [tensor]);
  }
  const files: SafetensorsFile[] = [];
  for (const shard of [...names.keys()].sort()) {
    const path = join(folder, shard);
    if ((await kindOf(path)) === null) throw refuse(`names the shard ${shard}, which is not there`);
    const file = await openSafetensors(path);
    const missing = names.get(shard)!.filter((tensor) => !file.tensors.has(tensor));
    if (missing.length > 0)
      throw refuse(
        `places ${someNames(missing)} in ${shard}, which does not hold ${missing.length === 1 ? 'it' : 'them'}`,
      );
    files.push(file);
  }
  return files;
}

// Companion tensors that quantisers store beside or instead of a weight.
const QUANTISED_TENSOR =
  /\.(?:qweight|qzeros|g_idx|absmax|quant_map|nested_absmax|SCB|weight_scale|weight_scale_inv|weight_packed)$|\.quant_state\./;
const QUANTISED_ENDING =
  /-(?:(?:unsloth-)?bnb-[48]bit|GPTQ(?:-\w+)?|AWQ(?:-\w+)?|4bit|8bit|int4|int8|nf4|FP8(?:-\w+)?|w4a16|w8a8|GGUF)$/i;

/** @returns null for a name that does not say that its weights are quantised */
export function unquantisedName(name: string): string | null {
  const original = name.replace(QUANTISED_ENDING, '');
  return original === name ? null : original;
}

/** What names of the same weights have in common: the last part in small letters, without what its owners add or leave out. */
export function plainName(name: string): string {
  return name
    .replace(/[\\/]+$/, '')
    .split(/[\\/]/)
    .at(-1)!
    .toLowerCase()
    .replace(/^meta-(?=llama)/, '')
    .replace(/^((?:code)?llama.*|mistral.*)-hf$/, '$1');
}

/** Rounded weights have no exact difference to another checkpoint's. */
function refuseQuantised(
  path: string,
  name: string,
  config: Readonly<Record<string, unknown>>,
  tensorNames: readonly string[],
): void {
  const companion = tensorNames.find((tensor) => QUANTISED_TENSOR.test(tensor));
  if (!isObject(config.quantization_config) && companion === undefined) return;
  const evidence = companion === undefined ? 'config.json has a quantization_config' : `it holds ${companion}`;
  const original = unquantisedName(name);
  const advice = original === null ? 'give the checkpoint that it was made from' : `give the unquantised ${original}`;
  throw new SafeLoraError(
    'quantised',
    `${path}: the model is quantised (${evidence}), its exact weights are gone; ${advice}.`,
  );
}
