// A PEFT LoRA folder: its configuration, its A and B tensors, and everything in it that Safe LoRA does not cover.
import { realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { folderName } from './checkpoint';
import { isFloatDtype } from './dtype';
import { fileError, type Notice, SafeLoraError, someNames } from './errors';
import { type FileStamp, kindOf, readJsonObject, stampOf } from './files';
import { targeted } from './naming';
import { isObject } from './objects';
import { firstFitting, isPattern } from './patterns';
import { belongTo, openOriginals, type Originals } from './originals';
import { type Provenance, PROVENANCE_KEY, readProvenance } from './provenance';
import { openSafetensors, type SafetensorsFile, type TensorInfo } from './safetensors';

export const ADAPTER_FILE = 'adapter_model.safetensors';
export const CONFIG_FILE = 'adapter_config.json';
/** What in-place saving keeps of the weights it replaced. */
export const ORIGINALS_FILE = 'safe_lora_original.safetensors';

/** The files that make an adapter what it is. */
export const ADAPTER_FILES = [ADAPTER_FILE, CONFIG_FILE, ORIGINALS_FILE] as const;

/** Of an adapter's weights, its configuration and its originals, in this order, also where they are not there. */
export function adapterStamps(folder: string, originalsPath: string): Promise<FileStamp[]> {
  return Promise.all([join(folder, ADAPTER_FILE), join(folder, CONFIG_FILE), originalsPath].map(stampOf));
}

/** One adapted weight: the update is B·A, times `scale` in the running model. */
export interface LoraModule {
  /** Without `base_model.model.`. */
  name: string;
  /** [r, in] */
  a: TensorInfo;
  /** [out, r], the original one also where the file holds a projected one and the original was kept. */
  b: TensorInfo;
  rank: number;
  /** alpha / r, or alpha / √r with rsLoRA. */
  scale: number;
  /** The file's B is a projection and its original is gone. */
  alreadyProjected: boolean;
}

export interface Adapter {
  /** The folder, as the user gave it. */
  path: string;
  realPath: string;
  name: string;
  file: SafetensorsFile;
  rank: number;
  alpha: number;
  targetModules: string[];
  fanInFanOut: boolean;
  /** `base_model_name_or_path`, or null where the configuration has none. */
  trainedOn: string | null;
  modules: LoraModule[];
  /** The `safe_lora` metadata of an adapter that was projected before. */
  provenance: Provenance | null;
  /** What was kept of the weights that saving in place replaced; null where nothing was, or where it is another adapter's. */
  originals: Originals | null;
  notices: Notice[];
  /** As it was opened, see `adapterStamps`. */
  stamps: FileStamp[];
}

/**
 * @param path the adapter's folder or the adapter_model.safetensors in it
 * @param originalsPath where the replaced weights were kept, if not beside it
 * @throws SafeLoraError for a folder that is no LoRA adapter, or one whose update is more than B·A on an unchanged weight
 */
export async function openAdapter(path: string, originalsPath?: string): Promise<Adapter> {
  const folder = await adapterFolder(path);
  const realPath = await realpath(folder).catch((error: unknown) => {
    throw fileError(folder, error);
  });
  const kept = originalsPath ?? join(folder, ORIGINALS_FILE);
  const stamps = await adapterStamps(folder, kept);
  const config = await readAdapterConfig(folder);
  const file = await openSafetensors(join(folder, ADAPTER_FILE));
  const notices: Notice[] = [];
  const pairs = pairTensors(file, config, notices);
  const provenance = provenanceOf(file);
  const originals = provenance ? await verifiedOriginals(kept, file, pairs, provenance, notices) : null;
  const projected = new Set(provenance?.modules ?? []);
  const names = pairs.map(({ name }) => name);
  const alphas = valuesOf(names, config, 'alphaPattern', config.alpha);
  const modules = pairs.map(({ name, a, b }, i): LoraModule => {
    const rank = a.shape[0]!;
    const original = projected.has(name) ? originals?.file.tensors.get(b.name) : b;
    const scale = loraScale(alphas[i]!, rank, config.useRslora);
    return { name, a, b: original ?? b, rank, scale, alreadyProjected: original === undefined };
  });
  explainTargets(config, modules, notices);
  explainRanks(config, modules, notices);
  return {
    path: folder,
    realPath,
    name: folderName(realPath),
    file,
    rank: config.rank ?? Math.max(...modules.map((module) => module.rank)),
    alpha: config.alpha,
    targetModules: config.targetModules,
    fanInFanOut: config.fanInFanOut,
    trainedOn: config.trainedOn,
    modules,
    provenance,
    originals,
    notices,
    stamps,
  };
}

/**
 * The model that an adapter's configuration names, or null; no tensor is looked at.
 * @throws SafeLoraError where the folder has no configuration of a LoRA adapter
 */
export async function readTrainedOn(folder: string): Promise<string | null> {
  return (await readAdapterConfig(folder)).trainedOn;
}

async function adapterFolder(path: string): Promise<string> {
  const kind = await kindOf(path);
  if (kind === null) throw new SafeLoraError('file-access', `${path}: the adapter does not exist; check the path.`);
  if (kind !== 'folder' && basename(path) !== ADAPTER_FILE) {
    throw new SafeLoraError('file-access', `${path}: is not an adapter; give its folder or the ${ADAPTER_FILE} in it.`);
  }
  const folder = kind === 'folder' ? path : dirname(path);
  if ((await kindOf(join(folder, ADAPTER_FILE))) === null) {
    const pickle = join(folder, 'adapter_model.bin');
    if ((await kindOf(pickle)) !== null) {
      throw new SafeLoraError(
        'format-pickle',
        `${pickle}: the adapter is in PyTorch's pickle format, which is not read; load it with PEFT and save it again with model.save_pretrained(NEW_DIR, safe_serialization=True).`,
      );
    }
    throw new SafeLoraError('file-access', `${folder}: holds no ${ADAPTER_FILE}; give the folder of a LoRA adapter.`);
  }
  return folder;
}

interface AdapterConfig {
  path: string;
  rank: number | null;
  alpha: number;
  /** By patterns of names, as sources of regular expressions. */
  rankPattern: [string, number][];
  alphaPattern: [string, number][];
  useRslora: boolean;
  fanInFanOut: boolean;
  targetModules: string[];
  /** True where `target_modules` is a list of name endings, which the tensors can be held against. */
  targetsAreList: boolean;
  modulesToSave: string[];
  trainedOn: string | null;
}

async function readAdapterConfig(folder: string): Promise<AdapterConfig> {
  const path = join(folder, CONFIG_FILE);
  const refuse = (reason: string): SafeLoraError =>
    new SafeLoraError(
      'adapter-config',
      `${path}: ${reason}; restore the ${CONFIG_FILE} that PEFT saved with the adapter.`,
    );
  if ((await kindOf(path)) === null) throw refuse('is missing');
  const raw = await readJsonObject(path, refuse);
  refuseUnsupported(path, raw);
  const numberOr = <T>(key: string, fallback: T): number | T => {
    const value = raw[key] ?? fallback;
    if (value !== fallback && (typeof value !== 'number' || !(value > 0)))
      throw refuse(`${key} is not a number above 0`);
    return value as number | T;
  };
  const flag = (key: string): boolean => {
    const value = raw[key] ?? false;
    if (typeof value !== 'boolean') throw refuse(`${key} is neither true nor false`);
    return value;
  };
  const names = (key: string): string[] => {
    const value = raw[key] ?? [];
    const list = typeof value === 'string' ? [value] : value;
    if (!Array.isArray(list) || !list.every((item) => typeof item === 'string'))
      throw refuse(`${key} is neither a string nor a list of strings`);
    return list;
  };
  const patterns = (key: string): [string, number][] => {
    const value = raw[key] ?? {};
    if (!isObject(value)) throw refuse(`${key} is not an object`);
    return Object.entries(value).map(([pattern, setting]) => {
      if (typeof setting !== 'number' || !(setting > 0)) throw refuse(`${key} gives ${pattern} no number above 0`);
      return [patternSource(pattern), setting];
    });
  };
  return {
    path,
    rank: numberOr('r', null),
    alpha: numberOr('lora_alpha', 8),
    rankPattern: patterns('rank_pattern'),
    alphaPattern: patterns('alpha_pattern'),
    useRslora: flag('use_rslora'),
    fanInFanOut: flag('fan_in_fan_out'),
    targetModules: names('target_modules'),
    targetsAreList: Array.isArray(raw.target_modules),
    modulesToSave: names('modules_to_save'),
    trainedOn:
      typeof raw.base_model_name_or_path === 'string' && raw.base_model_name_or_path !== ''
        ? raw.base_model_name_or_path
        : null,
  };
}

/** PEFT matches a pattern's key against the end of a module's name (`get_pattern_key` in peft/utils/other.py). */
function patternSource(pattern: string): string {
  const source = isPattern(pattern) ? `(?:${pattern})` : pattern.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  return `^(?:.*\\.)?${source}$`;
}

/** What a pattern of the configuration gives each module, else what holds for all. */
function valuesOf<T>(
  names: readonly string[],
  config: AdapterConfig,
  key: 'rankPattern' | 'alphaPattern',
  otherwise: T,
): (number | T)[] {
  const patterns = config[key];
  const fitting = firstFitting(
    patterns.map(([source]) => source),
    names,
  );
  if (fitting) return fitting.map((pattern) => patterns[pattern]?.[1] ?? otherwise);
  const name = key === 'rankPattern' ? 'rank_pattern' : 'alpha_pattern';
  throw new SafeLoraError(
    'adapter-config',
    `${config.path}: a pattern of ${name} takes without end to match; write the names of the modules instead.`,
  );
}

/** PEFT makes its matrices by the configuration's ranks, and then cannot load the file's. */
function explainRanks(config: AdapterConfig, modules: readonly LoraModule[], notices: Notice[]): void {
  const names = modules.map(({ name }) => name);
  const ranks = valuesOf(names, config, 'rankPattern', config.rank);
  const wrong = modules.filter(({ rank }, i) => (ranks[i] ?? rank) !== rank);
  if (wrong.length === 0) return;
  const [first] = wrong;
  notices.push({
    code: 'config-differs',
    message: `${CONFIG_FILE} gives another rank than the file's tensors have, so that PEFT cannot load it: ${ranks[names.indexOf(first!.name)]!} instead of ${first!.rank} at ${someNames(wrong.map(({ name }) => name))}.`,
    modules: wrong.map(({ name }) => name),
  });
}

/** What B·A is multiplied by in the running model; with rsLoRA as in https://arxiv.org/abs/2312.03732. */
export function loraScale(alpha: number, rank: number, useRslora: boolean): number {
  return alpha / (useRslora ? Math.sqrt(rank) : rank);
}

/** @throws SafeLoraError where the file's provenance is not one that this tool writes */
export function provenanceOf(file: SafetensorsFile): Provenance | null {
  return readProvenance(
    file,
    () =>
      new SafeLoraError(
        'adapter-layout',
        `${file.path}: its "${PROVENANCE_KEY}" metadata cannot be read, so what was projected is unknown; use the adapter as it was before.`,
      ),
  );
}

// Initialisations that move part of the base weight into B·A (peft/tuners/lora/layer.py). PEFT's conversion on saving sets the
// entry back to true.
const CHANGED_BASE = /^(?:pissa|olora|corda|loftq|lora_ga)/i;

function refuseUnsupported(path: string, raw: Record<string, unknown>): void {
  const type = raw.peft_type;
  if (typeof type !== 'string' || type.toUpperCase() !== 'LORA') {
    throw new SafeLoraError(
      'not-lora',
      `${path}: peft_type is ${JSON.stringify(type ?? null)}, not "LORA"; Safe LoRA is defined for LoRA updates only.`,
    );
  }
  const refuse = (what: string, next: string): SafeLoraError =>
    new SafeLoraError('unsupported-adapter', `${path}: ${what}; ${next}.`);
  const init = raw.init_lora_weights;
  if (raw.use_dora === true)
    throw refuse('the adapter uses DoRA, whose update is not B·A', 'train it with use_dora=False');
  if (typeof init === 'string' && CHANGED_BASE.test(init)) {
    throw refuse(
      `init_lora_weights is "${init}", so that B·A is an update to a changed base model`,
      'save it converted, with save_pretrained(DIR, path_initial_model_for_weight_conversion=INITIAL_DIR)',
    );
  }
  if (Array.isArray(raw.layer_replication))
    throw refuse('layer_replication makes layers that the checkpoints do not have', 'use an adapter without it');
  if (raw.use_qalora === true)
    throw refuse('the adapter uses QALoRA, whose A acts on pooled inputs', 'train it with use_qalora=False');
  if (Array.isArray(raw.target_parameters) && raw.target_parameters.length > 0) {
    throw refuse(
      'target_parameters adapts 3-D expert weights, which are not supported',
      'use an adapter of two-dimensional weights',
    );
  }
  if (raw.lora_bias === true)
    throw refuse('lora_bias adds a bias to B, which C·B·A does not describe', 'train it with lora_bias=False');
}

interface Pair {
  name: string;
  a: TensorInfo;
  b: TensorInfo;
}

const LORA_KEY = /^(?:base_model\.model\.)?(.+)\.lora_(A|B)(?:\.([^.]+))?\.weight$/;

function pairTensors(file: SafetensorsFile, config: AdapterConfig, notices: Notice[]): Pair[] {
  const refuse = (reason: string, next = 'save the adapter again with PEFT'): SafeLoraError =>
    new SafeLoraError('adapter-layout', `${file.path}: ${reason}; ${next}.`);
  const found = new Map<string, { A?: TensorInfo; B?: TensorInfo }>();
  const adapterNames = new Set<string>();
  const uncovered: string[] = [];
  for (const [key, tensor] of file.tensors) {
    if (key.includes('lora_magnitude_vector')) {
      throw new SafeLoraError(
        'unsupported-adapter',
        `${file.path}: holds ${key}, so the adapter uses DoRA, whose update is not B·A; train it with use_dora=False.`,
      );
    }
    if (/\.lora_B\.(?:.+\.)?bias$/.test(key)) {
      throw new SafeLoraError(
        'unsupported-adapter',
        `${file.path}: holds ${key}, a bias on B (lora_bias), which C·B·A does not describe; train it with lora_bias=False.`,
      );
    }
    const [, name, side, adapterName] = LORA_KEY.exec(key) ?? [];
    if (name === undefined || side === undefined || tensor.shape.length > 3) {
      uncovered.push(key);
      continue;
    }
    if (tensor.shape.length === 3) {
      throw new SafeLoraError(
        'unsupported-adapter',
        `${file.path}: ${key} is three-dimensional (stacked experts), which is not supported; use an adapter of two-dimensional weights.`,
      );
    }
    if (adapterName !== undefined) adapterNames.add(adapterName);
    const sides = found.get(name) ?? {};
    if (sides[side as 'A' | 'B']) throw refuse(`holds lora_${side} of ${name} twice`);
    sides[side as 'A' | 'B'] = tensor;
    found.set(name, sides);
  }
  if (adapterNames.size > 1)
    throw refuse(`holds several adapters (${someNames([...adapterNames])})`, 'save each in a folder of its own');
  if (found.size === 0) {
    const reason =
      uncovered.length > 0
        ? `it holds no lora_A and lora_B of a linear layer, only ${someNames(uncovered)}`
        : 'it holds no tensor';
    throw new SafeLoraError(
      'adapter-empty',
      `${file.path}: there is nothing to project: ${reason}; give a trained LoRA adapter.`,
    );
  }
  notices.push(...uncoveredNotices(uncovered, config));
  return [...found].map(([name, { A: a, B: b }]) => {
    if (!a || !b) throw refuse(`holds only lora_${a ? 'A' : 'B'} of ${name}`);
    for (const tensor of [a, b]) {
      if (!isFloatDtype(tensor.dtype)) {
        throw new SafeLoraError(
          'unsupported-dtype',
          `${file.path}: ${tensor.name} is ${tensor.dtype}; F64, F32, F16 and BF16 are read: save the adapter in one of them.`,
        );
      }
    }
    if (a.shape.length !== 2 || b.shape.length !== 2 || a.shape[0] !== b.shape[1] || a.length === 0 || b.length === 0) {
      throw refuse(`lora_A [${a.shape.join(', ')}] and lora_B [${b.shape.join(', ')}] of ${name} do not multiply`);
    }
    return { name, a, b };
  });
}

/** What the file holds beside the LoRA pairs is part of the adapter's behaviour, and no projection reaches it. */
function uncoveredNotices(keys: readonly string[], config: AdapterConfig): Notice[] {
  const groups = new Map<string, string[]>();
  for (const key of keys) {
    const name = key.replace(/^base_model\.model\./, '');
    const saved =
      config.modulesToSave.some((module) => name.split('.').includes(module)) || name.includes('.modules_to_save.');
    const group = saved
      ? 'whole modules trained with the adapter (modules_to_save)'
      : name.includes('lora_embedding_')
        ? 'LoRA on an embedding'
        : name.endsWith('.bias')
          ? 'trained biases'
          : /\.lora_[AB]\./.test(name)
            ? 'LoRA on a convolution'
            : 'other tensors';
    groups.set(group, [...(groups.get(group) ?? []), name]);
  }
  return [...groups].map(([group, modules]) => ({
    code: 'adapter-not-covered',
    message: `Not covered, and left as it is: ${group}: ${someNames(modules)}.`,
    modules,
  }));
}

/** The tensors are the truth; a listed target without any tensor is worth a word, since its layers look adapted and are not. */
function explainTargets(config: AdapterConfig, modules: readonly LoraModule[], notices: Notice[]): void {
  if (!config.targetsAreList) return;
  const names = modules.map(({ name }) => name);
  const absent = config.targetModules.filter((target) => targeted(names, target, true).size === 0);
  if (absent.length === 0 || notices.some((notice) => notice.code === 'adapter-not-covered')) return;
  notices.push({
    code: 'config-differs',
    message: `${CONFIG_FILE} lists target modules of which the file holds no tensor: ${someNames(absent)}.`,
    modules: [],
  });
}

async function verifiedOriginals(
  path: string,
  file: SafetensorsFile,
  pairs: readonly Pair[],
  provenance: Provenance,
  notices: Notice[],
): Promise<Originals | null> {
  if ((await kindOf(path)) === null) return null;
  const originals = await openOriginals(path);
  if (await belongTo(originals, file, pairs, provenance)) return originals;
  notices.push({
    code: 'originals-foreign',
    message: `${basename(path)} keeps the weights of another adapter or of an earlier training, and is not used.`,
    modules: [],
  });
  return null;
}
