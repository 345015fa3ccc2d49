// adapter_config.json as PEFT reads it: the scale of B·A, and every setting that makes the update differ from B·A.
import { join } from 'node:path';
import { type Notice, quoted, SafeLoraError, shown, someNames } from './errors';
import { jsonCaps, jsonObjectOf, kindOf, readJsonBytes } from './files';
import { isObject } from './objects';
import { endingPattern, isPlain, PatternError, type PythonPattern, wholePattern } from './patterns';

export const CONFIG_FILE = 'adapter_config.json';

export interface AdapterConfig {
  path: string;
  /** The file's content. */
  bytes: Uint8Array;
  rank: number | null;
  /** Not 0; below 0 the adapter is subtracted. */
  alpha: number;
  rankPattern: ModulePatterns;
  alphaPattern: ModulePatterns;
  useRslora: boolean;
  fanInFanOut: boolean;
  targetModules: string[];
  /** True if `target_modules` is a list of name endings, which can be checked against the tensors. */
  targetsAreList: boolean;
  /** `exclude_modules` excludes some of the targets. */
  hasExclusions: boolean;
  /** Layers with a tied weight share their update, too (`ensure_weight_tying`). */
  tiesWeights: boolean;
  /** Names of parameters, such as `mlp.experts.gate_up_proj`. */
  targetParameters: string[];
  modulesToSave: string[];
  trainedOn: string | null;
  /** Branch, tag or commit of the model that it was trained on; null if the configuration names none. */
  revision: string | null;
  /** The task of the model, such as CAUSAL_LM; null if the configuration names none. */
  taskType: string | null;
  notices: Notice[];
}

/** Numbers by patterns of module names, in their order; see `numbersOf`. */
export interface ModulePatterns {
  key: string;
  patterns: readonly (readonly [pattern: PythonPattern, value: number])[];
  /** Number of leading integer keys, which JSON.parse moves before all others; PEFT keeps the order of the file. */
  moved: number;
}

/**
 * The model that an adapter's configuration names, or null; reads no tensor.
 * @throws SafeLoraError where the folder has no configuration of a LoRA adapter
 */
export async function readTrainedOn(folder: string): Promise<string | null> {
  return (await readAdapterConfig(folder)).trainedOn;
}

/** @throws SafeLoraError where the folder has no configuration of a LoRA adapter, or of one whose update is not B·A */
export async function readAdapterConfig(folder: string): Promise<AdapterConfig> {
  const path = join(folder, CONFIG_FILE);
  const refuse = (reason: string): SafeLoraError =>
    new SafeLoraError(
      'adapter-config',
      `${path}: ${reason}; restore the ${CONFIG_FILE} that PEFT saved with the adapter.`,
    );
  if ((await kindOf(path)) === null) throw refuse('is missing');
  const bytes = await readJsonBytes(path, jsonCaps.configuration, refuse);
  const raw = jsonObjectOf(bytes, refuse);
  refuseUnsupported(path, raw);
  checkTargetPattern(path, raw.target_modules);
  if (raw.lora_alpha === 0) throw alphaZero(path);
  const read = new SettingReader(path, raw, refuse);
  return {
    path,
    bytes,
    rank: read.number('r', isRank, 'a whole number above 0'),
    alpha: read.number('lora_alpha', isScale, 'a number other than 0') ?? 8,
    rankPattern: read.patterns('rank_pattern', isRank, 'a whole number above 0'),
    alphaPattern: read.patterns('alpha_pattern', isScale, 'a number other than 0'),
    useRslora: read.flag('use_rslora'),
    fanInFanOut: read.flag('fan_in_fan_out'),
    targetModules: read.names('target_modules'),
    targetsAreList: Array.isArray(raw.target_modules),
    hasExclusions: read.names('exclude_modules').length > 0,
    tiesWeights: read.flag('ensure_weight_tying'),
    targetParameters: read.names('target_parameters'),
    modulesToSave: read.names('modules_to_save'),
    trainedOn: read.text('base_model_name_or_path'),
    revision: read.text('revision'),
    taskType: read.text('task_type'),
    notices: settingNotices(raw),
  };
}

const isRank = (value: number): boolean => Number.isSafeInteger(value) && value > 0;
const isScale = (value: number): boolean => Number.isFinite(value) && value !== 0;

/** Maximum characters of a name or a path, as on Linux. */
const MAX_TEXT = 4096;
/** Names of modules in one setting; PEFT itself shortens a list of more than twenty to common ends. */
const MAX_NAMES = 50_000;
/** EVA writes one for each linear layer: 882 for a model of 405B, some 7,000 for one of experts. */
const MAX_PATTERNS = 10_000;
/** Maximum characters of all patterns of one setting that are not plain names; translating each takes some microseconds. */
const MAX_EXPRESSIONS = 20_000;

/** Settings with their types checked. */
class SettingReader {
  constructor(
    private readonly path: string,
    private readonly raw: Readonly<Record<string, unknown>>,
    private readonly refuse: (reason: string) => SafeLoraError,
  ) {}

  number(key: string, isValid: (value: number) => boolean, what: string): number | null {
    const value = this.raw[key] ?? null;
    if (value === null) return null;
    if (typeof value !== 'number' || !isValid(value)) throw this.refuse(`${key} is not ${what}`);
    return value;
  }

  flag(key: string): boolean {
    const value = this.raw[key] ?? false;
    if (typeof value !== 'boolean') throw this.refuse(`${key} is neither true nor false`);
    return value;
  }

  text(key: string): string | null {
    const value = this.raw[key];
    if (typeof value !== 'string' || value === '') return null;
    if (value.length > MAX_TEXT) throw this.refuse(`${key} is longer than ${MAX_TEXT} characters (${shown(value)})`);
    return value;
  }

  names(key: string): string[] {
    const value = this.raw[key] ?? [];
    const list = typeof value === 'string' ? [value] : value;
    if (!Array.isArray(list) || !list.every((item) => typeof item === 'string'))
      throw this.refuse(`${key} is neither a string nor a list of strings`);
    if (list.length > MAX_NAMES) throw this.refuse(`${key} has ${list.length} entries, more than ${MAX_NAMES}`);
    return list;
  }

  patterns(key: string, isValid: (value: number) => boolean, what: string): ModulePatterns {
    const value = this.raw[key] ?? {};
    if (!isObject(value)) throw this.refuse(`${key} is not an object`);
    const entries = Object.entries(value);
    if (entries.length > MAX_PATTERNS)
      throw this.refuse(`${key} has ${entries.length} entries, more than ${MAX_PATTERNS}`);
    const length = entries.reduce((sum, [pattern]) => sum + (isPlain(pattern) ? 0 : pattern.length), 0);
    if (length > MAX_EXPRESSIONS)
      throw this.refuse(`${key} contains ${length} characters of regular expressions, more than ${MAX_EXPRESSIONS}`);
    const patterns = entries.map(([pattern, setting]) => {
      if (typeof setting !== 'number' || !isValid(setting))
        throw this.refuse(`${key} gives ${shown(pattern)} not ${what}`);
      return [translated(this.path, key, pattern, endingPattern), setting] as const;
    });
    return { key, patterns, moved: entries.filter(([pattern]) => /^(?:0|[1-9]\d*)$/.test(pattern)).length };
  }
}

/** Checks a pattern for whole names: neither a list nor the word for all linear layers. */
function checkTargetPattern(path: string, target: unknown): void {
  if (typeof target === 'string' && target !== 'all-linear') translated(path, 'target_modules', target, wholePattern);
}

function translated(
  path: string,
  key: string,
  pattern: string,
  translate: (pattern: string) => PythonPattern,
): PythonPattern {
  try {
    return translate(pattern);
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    throw untranslatable(path, key, pattern, error);
  }
}

// Initialisations that move part of the base weight into B·A (peft/tuners/lora/layer.py). PEFT's conversion on saving sets the
// entry back to true.
const CHANGED_BASE = /^(?:pissa|olora|corda|loftq|lora_ga)/i;
/** The others start with B·A at 0 or at random, and leave the base weight unchanged. */
const PLAIN_START = /^(?:gaussian|eva|orthogonal|mica)$/i;

// PEFT's own save_as_lora cannot be used: it silently drops DoRA's magnitudes (PEFT 0.21, docs/interop.md).
const EXTRACT =
  'merge it with model.merge_and_unload() and extract plain LoRA from the merged and the aligned model, for example with mergekit-extract-lora';

/** Settings that make the update differ from B·A on an unchanged weight: the reason and the remedy (LoraConfig of PEFT 0.21). */
export const UNSUPPORTED: Readonly<Record<string, readonly [what: string, next: string]>> = {
  use_dora: ['use_dora makes the update another one than B·A (DoRA)', EXTRACT],
  use_qalora: ['the adapter uses QALoRA, whose A acts on pooled inputs', 'train it with use_qalora=False'],
  use_bdlora: ['use_bdlora makes A or B block-diagonal, which is not supported', EXTRACT],
  kasa_config: [
    'kasa_config puts lora_diag between A and B and truncates the base weight (KaSA), which is not supported',
    'train it without kasa_config',
  ],
  arrow_config: ['arrow_config routes each token among several adapters', 'give one of the adapters that it routes to'],
  lora_bias: ['lora_bias adds a bias to B, which C·B·A does not describe', 'train it with lora_bias=False'],
  layer_replication: [
    'layer_replication makes layers that the checkpoints do not have',
    'use an adapter without layer_replication',
  ],
};

/** Settings that are refused when set. */
export const UNSUPPORTED_SETTINGS: readonly string[] = Object.keys(UNSUPPORTED);

function refuseUnsupported(path: string, raw: Readonly<Record<string, unknown>>): void {
  const type = raw.peft_type;
  if (type === undefined && raw.fine_tune_type !== undefined) throw mlxAdapter(path);
  if (type === undefined) throw noPeftType(path);
  if (typeof type !== 'string' || type.toUpperCase() !== 'LORA') throw notLora(path, type);
  const refuse = (what: string, next: string): SafeLoraError =>
    new SafeLoraError('unsupported-adapter', `${path}: ${what}; ${next}.`);
  for (const [key, [what, next]] of Object.entries(UNSUPPORTED))
    if (isSet(raw[key]) && !isEmptyList(raw[key])) throw refuse(what, next);
  const init = raw.init_lora_weights;
  if (typeof init === 'string' && CHANGED_BASE.test(init)) {
    throw refuse(
      `init_lora_weights is ${quoted(init)}, so that B·A is an update to a changed base model`,
      'save it converted, with save_pretrained(DIR, path_initial_model_for_weight_conversion=INITIAL_DIR)',
    );
  }
}

function valueText(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object';
  return JSON.stringify(value ?? null);
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== false;
}

/** PEFT treats an empty layer_replication as none. */
function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

/** Settings that keep B·A the whole update: LoraConfig's of PEFT 0.4 to 0.21, and those that this tool reads. */
const KNOWN = new Set([
  'alora_invocation_tokens', 'alpha_pattern', 'auto_mapping', 'base_model_name_or_path', 'bias', 'corda_config', 'enable_lora',
  'ensure_weight_tying', 'eva_config', 'exclude_modules', 'fan_in_fan_out', 'inference_mode', 'init_lora_weights', 'layers_pattern',
  'layers_to_transform', 'loftq_config', 'lora_alpha', 'lora_dropout', 'lora_ga_config', 'megatron_config', 'megatron_core',
  'merge_weights', 'modules_to_save', 'modules_to_tie', 'monteclora_config', 'peft_type', 'peft_version', 'qalora_group_size', 'r',
  'rank_pattern', 'revision', 'runtime_config', 'target_modules', 'target_modules_to_tie', 'target_parameters', 'task_type',
  'trainable_token_indices', 'use_rslora', 'velora_config',
]); // prettier-ignore

/** Notices for settings that limit B·A, and for unknown settings, to which a newer PEFT may give a meaning. */
function settingNotices(raw: Readonly<Record<string, unknown>>): Notice[] {
  const notices: Notice[] = [];
  if (isSet(raw.alora_invocation_tokens)) {
    notices.push({
      code: 'token-activated',
      message: `${CONFIG_FILE} has alora_invocation_tokens: the adapter acts only on the tokens from its invocation on, and the numbers describe its update there.`,
      modules: [],
    });
  }
  const unknown = Object.keys(raw).filter(
    (key) => !KNOWN.has(key) && !Object.hasOwn(UNSUPPORTED, key) && isSet(raw[key]),
  );
  const init = raw.init_lora_weights;
  if (typeof init === 'string' && !PLAIN_START.test(init)) unknown.push(`init_lora_weights ${quoted(init)}`);
  if (unknown.length > 0) {
    notices.push({
      code: 'setting-unknown',
      message: `${CONFIG_FILE} has settings that this version does not know; the update is taken as B·A: ${someNames(unknown)}.`,
      modules: [],
    });
  }
  return notices;
}

function alphaZero(path: string): SafeLoraError {
  return new SafeLoraError(
    'adapter-config',
    `${path}: lora_alpha is 0, so the adapter does nothing; set it to the value used for training.`,
  );
}

function untranslatable(path: string, key: string, pattern: string, error: PatternError): SafeLoraError {
  return new SafeLoraError(
    'adapter-config',
    `${path}: ${key} contains ${quoted(pattern)}, which ${error.message}; write the names of the modules instead.`,
  );
}

function mlxAdapter(path: string): SafeLoraError {
  return new SafeLoraError(
    'not-lora',
    `${path}: is the configuration of an MLX adapter (fine_tune_type), not of PEFT; convert the adapter to PEFT format first.`,
  );
}

function noPeftType(path: string): SafeLoraError {
  return new SafeLoraError(
    'not-lora',
    `${path}: has no peft_type, as every configuration of PEFT has; restore the ${CONFIG_FILE} that PEFT saved with the adapter.`,
  );
}

function notLora(path: string, type: unknown): SafeLoraError {
  return new SafeLoraError(
    'not-lora',
    `${path}: peft_type is ${valueText(type)}, not "LORA"; Safe LoRA is defined for LoRA updates only; convert it with peft.save_as_lora (PEFT 0.19 or newer) where PEFT can.`,
  );
}
