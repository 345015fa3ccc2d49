// The tensors of an adapter's file: pairs of lora_A and lora_B, all other tensors, and whether PEFT would find them by name.
import { type AdapterConfig, UNSUPPORTED } from './adapter-config';
import { isFloatDtype } from './dtype';
import { type Notice, shown, SafeLoraError, someNames } from './errors';
import { type Format, formatOfTensors } from './formats';
import { NameMatcher } from './name-matcher';
import { appendTo } from './objects';
import { type SafetensorsFile, type TensorInfo } from './safetensors';
import { GATHER, isEmpty, ungathered } from './ungathered';
import { isOutputHead, withoutAdaptedLayer, withoutTrainingWrappers } from './weight-names';

/** The two tensors of one adapted weight. */
export interface LoraPair {
  /** Without the leading `base_model.model.`. */
  name: string;
  /** [r, in] */
  a: TensorInfo;
  /** [out, r] */
  b: TensorInfo;
}

/** Tensors used only in training: MonteCLoRA's sampler, VeLoRA's compression. */
const TRAINING_ONLY = ['.lora_monteclora_sampler.', '.lora_velora_embed'];

/** True for a tensor that no running model uses. */
export function isTrainingOnly(key: string): boolean {
  return TRAINING_ONLY.some((part) => key.includes(part));
}

/** PEFT's prefix of every name. */
const PREFIX = 'base_model.model.';

export function withoutPrefix(name: string): string {
  return name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name;
}

interface LoraKey {
  /** Of the module, without the prefix. */
  name: string;
  side: 'A' | 'B';
  /** The adapter's own name, which PEFT removes when it saves. */
  adapterName: string | null;
}

interface LoraTensor extends LoraKey {
  tensor: TensorInfo;
}

interface Sides {
  A?: TensorInfo;
  B?: TensorInfo;
}

/** @returns null for the name of any other tensor */
function parseKey(key: string): LoraKey | null {
  const at = Math.max(key.lastIndexOf('.lora_A.'), key.lastIndexOf('.lora_B.'));
  if (at < 1) return null;
  const [first, second, ...more] = key.slice(at + '.lora_A.'.length).split('.', 3);
  if (more.length > 0 || (second ?? first) !== 'weight') return null;
  return {
    name: withoutPrefix(key.slice(0, at)),
    side: key[at + '.lora_'.length] as 'A' | 'B',
    adapterName: second === undefined ? null : first!,
  };
}

/**
 * @returns the pairs in the order of the file, and notices about everything else in it
 * @throws SafeLoraError where the file is no adapter, or its update is more than B·A
 */
export function pairTensors(file: SafetensorsFile, config: AdapterConfig): { pairs: LoraPair[]; notices: Notice[] } {
  // PEFT may tie both, depending on how it loads them; the effect of a projection is then unknown.
  const tiesHead = config.tiesWeights && [...file.tensors.keys()].some((key) => key.includes('.lora_embedding_'));
  const loras: LoraTensor[] = [];
  const uncovered: TensorInfo[] = [];
  for (const [key, tensor] of file.tensors) {
    const parsed = parseKey(key);
    if (parsed !== null && tensor.shape.length <= 2 && !(tiesHead && isOutputHead(parsed.name)))
      loras.push({ ...parsed, tensor });
    else if (!isTrainingOnly(key)) uncovered.push(tensor);
  }
  refuseSeveral(file);
  refuseVariants(file);
  const found = new Map<string, Sides>();
  for (const { name, side, tensor } of loras) {
    const sides = found.get(name) ?? {};
    if (sides[side]) throw malformed(file, `contains lora_${side} of ${shown(name)} twice`);
    sides[side] = tensor;
    found.set(name, sides);
  }
  refuseUngathered(file, found);
  if (found.size === 0) throw nothingFound(file, uncovered);
  const pairs = [...found].map(([name, { A, B }]) => checkedPair(file, name, A, B));
  return { pairs, notices: [...uncoveredNotices(uncovered, config), ...nameNotices(pairs, config)] };
}

function malformed(file: SafetensorsFile, reason: string, next = 'save the adapter again with PEFT'): SafeLoraError {
  return new SafeLoraError('adapter-layout', `${file.path}: ${reason}; ${next}.`);
}

/** Tensors that make the update differ from B·A, whatever the configuration says, and the setting that creates them. */
const VARIANTS: readonly (readonly [name: RegExp, setting: string])[] = [
  [/lora_magnitude_vector/, 'use_dora'],
  [/\.lora_diag/, 'kasa_config'],
  [/\.lora_B\..*bias$/, 'lora_bias'],
];

function refuseVariants(file: SafetensorsFile): void {
  const refuse = (key: string, what: string, next: string): SafeLoraError =>
    new SafeLoraError('unsupported-adapter', `${file.path}: contains ${shown(key)}: ${what}; ${next}.`);
  for (const key of file.tensors.keys()) {
    const setting = VARIANTS.find(([name]) => name.test(key))?.[1];
    if (setting !== undefined) throw refuse(key, ...UNSUPPORTED[setting]!);
    if (isStackedExperts(file, key))
      throw refuse(
        key,
        'three-dimensional matrices of stacked experts are not supported',
        'use an adapter of two-dimensional weights',
      );
  }
}

/** lora_A [experts, r, in] and lora_B [experts, out, r], either may be shared, [1, …]; a convolution has [r, in, k] and [out, r, 1]. */
function isStackedExperts(file: SafetensorsFile, key: string): boolean {
  if (!key.includes('.lora_A.')) return false;
  const a = file.tensors.get(key);
  if (a?.shape.length !== 3) return false;
  const b = file.tensors.get(key.replace('.lora_A.', '.lora_B.'));
  if (b?.shape.length !== 3) return false;
  const isConvolution = b.shape[2] === 1 && b.shape[1] === a.shape[0];
  const fits = a.shape[0] === b.shape[0] || a.shape[0] === 1 || b.shape[0] === 1;
  return !isConvolution && fits && a.shape[1] === b.shape[2];
}

function refuseSeveral(file: SafetensorsFile): void {
  const keys = [...file.tensors.keys()].map(parseKey).filter((key) => key !== null);
  const names = new Set(keys.map(({ adapterName }) => adapterName));
  if (names.size < 2) return;
  const shown = someNames([...names].map((name) => name ?? 'one without a name'));
  throw malformed(
    file,
    `contains several adapters (${shown})`,
    'save each in a folder of its own, with model.save_pretrained(DIR, selected_adapters=[NAME])',
  );
}

function refuseUngathered(file: SafetensorsFile, found: ReadonlyMap<string, Sides>): void {
  const all = [...found.values()].flatMap(({ A, B }) => [A, B]).filter((tensor) => tensor !== undefined);
  const fault = ungathered(all, `its ${all.length} LoRA tensors`);
  if (fault) throw malformed(file, fault.what, fault.next);
}

/** @throws SafeLoraError where the tensor names belong to another format or method */
export function refuseForeignNames(file: SafetensorsFile): void {
  const format = formatOfTensors(file.tensors.keys());
  if (format) throw foreignNames(file.path, format);
}

function nothingFound(file: SafetensorsFile, uncovered: readonly TensorInfo[]): SafeLoraError {
  refuseForeignNames(file);
  if (file.tensors.size === 0) {
    const what =
      'there is nothing to project: it contains no tensor, as DeepSpeed ZeRO-3 and FSDP write it if no parameter was gathered before saving';
    return new SafeLoraError('adapter-empty', `${file.path}: ${what}; ${GATHER}.`);
  }
  const names = someNames(uncovered.map(({ name }) => name));
  return new SafeLoraError(
    'adapter-empty',
    `${file.path}: there is nothing to project: it contains no lora_A and lora_B of a linear layer, only ${names}; give a trained LoRA adapter.`,
  );
}

function checkedPair(
  file: SafetensorsFile,
  name: string,
  a: TensorInfo | undefined,
  b: TensorInfo | undefined,
): LoraPair {
  if (!a || !b) throw malformed(file, `contains only lora_${a ? 'A' : 'B'} of ${shown(name)}`);
  for (const tensor of [a, b]) {
    if (!isFloatDtype(tensor.dtype)) throw unreadDtype(file.path, tensor);
  }
  if (a.shape[0] !== b.shape[1])
    throw malformed(
      file,
      `lora_A [${a.shape.join(', ')}] and lora_B [${b.shape.join(', ')}] of ${shown(name)} do not multiply`,
    );
  return { name, a, b };
}

/** All other tensors are part of the adapter's behaviour too, but no projection changes them. */
function uncoveredNotices(tensors: readonly TensorInfo[], config: AdapterConfig): Notice[] {
  const groups = new Map<string, string[]>();
  const saved = new NameMatcher(config.modulesToSave);
  for (const tensor of tensors) {
    const name = withoutPrefix(tensor.name);
    appendTo(groups, groupOf(name, saved, config), name);
  }
  const notices = [...groups].map(([group, modules]): Notice => ({
    code: 'adapter-not-covered',
    message: `Not covered and left unchanged: ${group}: ${someNames(modules)}.`,
    modules,
  }));
  const empty = tensors.filter(isEmpty).map(({ name }) => name);
  if (empty.length > 0) {
    notices.push({
      code: 'tensors-empty',
      message: `Empty, so PEFT cannot load the adapter: ${someNames(empty)}. DeepSpeed ZeRO-3 leaves tensors empty if they were not gathered before saving: ${GATHER}.`,
      modules: empty,
    });
  }
  return notices;
}

function groupOf(name: string, saved: NameMatcher, { tiesWeights }: AdapterConfig): string {
  const owner = name.slice(0, Math.max(0, name.lastIndexOf('.')));
  if (name.includes('.modules_to_save.') || saved.occursIn(owner))
    return 'whole modules trained with the adapter (modules_to_save)';
  if (name.includes('token_adapter.') || name.includes('trainable_tokens_'))
    return 'trained tokens (trainable_token_indices)';
  if (name.includes('lora_embedding_')) return 'LoRA on an embedding';
  if (/(?:^|\.)bias$/.test(name)) return 'trained biases';
  const module = parseKey(name)?.name;
  if (module === undefined)
    return /(?:^|\.)weight$/.test(name) ? "whole weights that PEFT loads over the model's own" : 'other tensors';
  return tiesWeights && isOutputHead(module)
    ? 'an output head that shares its update with the embedding (ensure_weight_tying)'
    : 'LoRA on a convolution';
}

function nameNotices(pairs: readonly LoraPair[], config: AdapterConfig): Notice[] {
  const dead = pairs.filter((pair) => pair.b.name !== loadedName(pair, config));
  return notLoaded(
    dead.map(({ name }) => name),
    pairs.length,
    dead[0] ? [dead[0].b.name, loadedName(dead[0], config)] : null,
  );
}

/**
 * PEFT loads only tensors whose names match the model's and silently skips all others (`load_state_dict(strict=False)` in
 * peft/utils/save_and_load.py).
 * @param example a tensor's name, and the expected one
 */
export function notLoaded(names: string[], total: number, example: readonly [string, string] | null): Notice[] {
  if (example === null) return [];
  const which = names.length === total ? 'its modules' : `${names.length} of its ${total} modules`;
  return [
    {
      code: 'names-not-loaded',
      message: `The adapter does nothing for ${which}, neither as it is nor projected: PEFT does not find the tensors by their names (${someNames(names)}). Rename them with safetensors.torch.load_file and save_file, for example ${shown(example[0])} to ${shown(example[1])}.`,
      modules: names,
    },
  ];
}

/** The name under which PEFT looks for a module's lora_B. Only target parameters are on an already wrapped layer. */
function loadedName({ name, b }: LoraPair, { targetParameters }: AdapterConfig): string {
  const inside = b.name.startsWith(PREFIX) ? name : withoutOuter(name);
  const module = targetParameters.length > 0 ? inside : withoutAdaptedLayer(inside);
  return `${PREFIX}${withoutTrainingWrappers(module)}.lora_B.weight`;
}

/** Removes an outer model that was saved with the adapted one, and any rest of the prefix. */
function withoutOuter(name: string): string {
  const at = name.indexOf(`.${PREFIX}`);
  return at < 0 ? name.replace(/^model\.(?=model\.)/, '') : name.slice(at + 1 + PREFIX.length);
}

function foreignNames(path: string, format: Format): SafeLoraError {
  return new SafeLoraError('adapter-empty', `${path}: has ${format.what}; ${format.next}.`);
}

function unreadDtype(path: string, { name, dtype }: TensorInfo): SafeLoraError {
  return new SafeLoraError(
    'unsupported-dtype',
    `${path}: ${shown(name)} is ${dtype}; F64, F32, F16 and BF16 are read: save the adapter in one of them.`,
  );
}
