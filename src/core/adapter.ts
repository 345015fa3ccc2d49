// A PEFT LoRA folder: its configuration, its A and B tensors, and everything in it that Safe LoRA does not cover.
import { readdir, realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { type AdapterConfig, CONFIG_FILE, loraScale, numbersOf, readAdapterConfig } from './adapter-config';
import { type LoraPair, pairTensors, refuseForeignNames } from './adapter-tensors';
import { fileError, type Notice, SafeLoraError, someNames } from './errors';
import { type FileStamp, kindOf, stampOf } from './files';
import { formatOfAdapterFiles } from './formats';
import { folderName } from './model-names';
import { targeted } from './naming';
import { belongTo, openOriginals, type Originals } from './originals';
import { MatchingTime } from './patterns';
import { type Provenance, PROVENANCE_KEY, readProvenance } from './provenance';
import { asides } from './replace';
import { openSafetensors, type SafetensorsFile, type TensorInfo } from './safetensors';

export const ADAPTER_FILE = 'adapter_model.safetensors';
const PICKLED_FILE = 'adapter_model.bin';
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
  /** alpha / r, or alpha / √r with rsLoRA; below 0 where the adapter is subtracted. */
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
  /** The content of its configuration, as it was read. */
  configBytes: Uint8Array;
  rank: number;
  alpha: number;
  targetModules: string[];
  fanInFanOut: boolean;
  /** Names of parameters that are adapted beside whole modules. */
  targetParameters: string[];
  /** `base_model_name_or_path`, or null where the configuration has none. */
  trainedOn: string | null;
  /** Branch, tag or commit of that model, or null. */
  revision: string | null;
  /** `task_type`, such as CAUSAL_LM, or null. */
  taskType: string | null;
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
  const file = await openSafetensors(join(folder, ADAPTER_FILE));
  // What others than PEFT write has no configuration of PEFT either.
  if ((await kindOf(join(folder, CONFIG_FILE))) === null) refuseForeignNames(file);
  const config = await readAdapterConfig(folder);
  const paired = pairTensors(file, config);
  const { pairs } = paired;
  const notices = [...config.notices, ...paired.notices];
  const provenance = provenanceOf(file);
  const verified = provenance ? await verifiedOriginals(kept, file, pairs, provenance, notices) : null;
  const originals = verified?.originals ?? null;
  const projected = new Set(provenance?.modules ?? []);
  const names = pairs.map(({ name }) => name);
  if (names.filter((name) => projected.has(name)).length < projected.size) throw unknownProjection(file);
  const time = new MatchingTime();
  const alphas = numbersOf(names, config.path, config.alphaPattern, time);
  const ranks = numbersOf(names, config.path, config.rankPattern, time);
  const modules = pairs.map(({ name, a, b }, i): LoraModule => {
    const rank = a.shape[0]!;
    const isOriginal = verified ? !verified.replaced.has(name) : !projected.has(name);
    const original = isOriginal ? b : originals?.file.tensors.get(b.name);
    const scale = loraScale(alphas[i] ?? config.alpha, rank, config.useRslora);
    return { name, a, b: original ?? b, rank, scale, alreadyProjected: original === undefined };
  });
  notices.push(...targetNotices(config, names, notices), ...rankNotices(config.rank, ranks, modules));
  return {
    path: folder,
    realPath,
    name: folderName(realPath),
    file,
    configBytes: config.bytes,
    rank: config.rank ?? modules.reduce((most, module) => Math.max(most, module.rank), 0),
    alpha: config.alpha,
    targetModules: config.targetModules,
    fanInFanOut: config.fanInFanOut,
    targetParameters: config.targetParameters,
    trainedOn: config.trainedOn,
    revision: config.revision,
    taskType: config.taskType,
    modules,
    provenance,
    originals,
    notices,
    stamps,
  };
}

async function adapterFolder(path: string): Promise<string> {
  const kind = await kindOf(path);
  if (kind === null) throw await absent(path);
  const folder = kind === 'folder' ? path : dirname(path);
  if (kind !== 'folder' && basename(path) !== ADAPTER_FILE) {
    const format = formatOfAdapterFiles([basename(path)]);
    throw new SafeLoraError(
      'file-access',
      format
        ? `${path}: is not an adapter (${format.what}); ${format.next}.`
        : `${path}: is not an adapter; give its folder or the ${ADAPTER_FILE} in it.`,
    );
  }
  if ((await kindOf(join(folder, ADAPTER_FILE))) === null) throw await noAdapter(folder);
  return folder;
}

async function absent(path: string): Promise<SafeLoraError> {
  const earlier = asides(resolve(path)).find(({ isOld }) => isOld);
  const repository = await repositoryOf(path);
  return new SafeLoraError(
    'file-access',
    earlier
      ? `${path}: the folder is not there, since replacing it was interrupted; its earlier content is ${earlier.path}, which the same command brings back when it is run again.`
      : `${path}: the adapter does not exist; check the path${repository === null ? '' : `, or download it where it is on the hub: hf download ${repository} --local-dir DIR`}.`,
  );
}

/** The repository that a path may mean, as `org/name`; null where it is a path in a folder that is there. */
async function repositoryOf(path: string): Promise<string | null> {
  const [, scheme, id] = /^(hf:\/\/)?(\w[\w.-]*\/\w[\w.-]*)$/.exec(path) ?? [];
  if (id === undefined) return null;
  return scheme !== undefined || (await kindOf(dirname(path))) === null ? id : null;
}

/** What a folder without an adapter's weights is. */
async function noAdapter(folder: string): Promise<SafeLoraError> {
  const pickle = join(folder, PICKLED_FILE);
  if ((await kindOf(pickle)) !== null) {
    return new SafeLoraError(
      'format-pickle',
      `${pickle}: the adapter is in PyTorch's pickle format, which is not read; load it with PEFT and save it again with model.save_pretrained(NEW_DIR, safe_serialization=True).`,
    );
  }
  const refuse = (what: string, next: string): SafeLoraError =>
    new SafeLoraError('file-access', `${folder}: holds ${what}; ${next}.`);
  const inside = await adaptersInside(folder);
  if (inside.length === 1) return refuse(`no ${ADAPTER_FILE} itself`, `give ${inside[0]!}`);
  if (inside.length > 1)
    return refuse(`no ${ADAPTER_FILE} itself but ${inside.length} adapters`, `give one of ${someNames(inside)}`);
  const names = await readdir(folder).catch((error: unknown) => {
    throw fileError(folder, error);
  });
  const format = formatOfAdapterFiles(names.sort());
  return format ? refuse(format.what, format.next) : refuse(`no ${ADAPTER_FILE}`, 'give the folder of a LoRA adapter');
}

/**
 * Trainers save adapters in folders of checkpoints (`checkpoint-500/`), PEFT one of another name in a folder called so; verl three levels
 * deep (`global_step_100/actor/lora_adapter/`).
 */
const MOST_LEVELS = 3;
/** Of one folder: enough for the checkpoints of a training, and no walk through a whole disk. */
const MOST_FOLDERS = 200;

async function adaptersInside(folder: string): Promise<string[]> {
  const found: string[] = [];
  let level = [folder];
  for (let depth = 0; depth < MOST_LEVELS && found.length === 0; depth++) {
    const next: string[] = [];
    for (const parent of level) {
      const entries = await readdir(parent, { withFileTypes: true }).catch(() => []);
      const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
      next.push(...names.sort().slice(0, MOST_FOLDERS).map((name) => join(parent, name))); // prettier-ignore
    }
    level = next.slice(0, MOST_FOLDERS);
    for (const child of level) if (await holdsAdapter(child)) found.push(child);
  }
  return found;
}

/** Also one in pickle format: what is to be done about it is said where it is given. */
async function holdsAdapter(folder: string): Promise<boolean> {
  const kinds = await Promise.all(
    [ADAPTER_FILE, PICKLED_FILE].map((name) => kindOf(join(folder, name)).catch(() => null)),
  );
  return kinds.includes('file');
}

/** PEFT makes its matrices by the configuration's ranks, and then cannot load the file's. */
function rankNotices(
  usual: number | null,
  ranks: readonly (number | null)[],
  modules: readonly LoraModule[],
): Notice[] {
  const given = modules.map(({ rank }, i) => ranks[i] ?? usual ?? rank);
  const wrong = modules.filter(({ rank }, i) => given[i] !== rank);
  const [first] = wrong;
  if (!first) return [];
  return [
    {
      code: 'rank-differs',
      message: `${CONFIG_FILE} gives another rank than the file's tensors have, so that PEFT cannot load it: ${given[modules.indexOf(first)]!} instead of ${first.rank} at ${someNames(wrong.map(({ name }) => name))}.`,
      modules: wrong.map(({ name }) => name),
    },
  ];
}

/** @throws SafeLoraError where the file's provenance is not one that this tool writes */
export function provenanceOf(file: SafetensorsFile): Provenance | null {
  return readProvenance(file, () => unknownProjection(file));
}

function unknownProjection({ path }: SafetensorsFile): SafeLoraError {
  return new SafeLoraError(
    'adapter-layout',
    `${path}: its "${PROVENANCE_KEY}" metadata does not fit its tensors, so what was projected is unknown; use the adapter as it was before.`,
  );
}

/** The tensors are the truth; a listed target without any tensor is worth a word, since its layers look adapted and are not. */
function targetNotices(
  { targetModules, targetsAreList, hasExclusions }: AdapterConfig,
  names: readonly string[],
  others: readonly Notice[],
): Notice[] {
  if (!targetsAreList || hasExclusions || others.some(({ code }) => code === 'adapter-not-covered')) return [];
  const present = targeted(names, targetModules, true);
  const absent = targetModules.filter((target) => !present.has(target));
  if (absent.length === 0) return [];
  return [
    {
      code: 'config-differs',
      message: `${CONFIG_FILE} lists target modules of which the file holds no tensor: ${someNames(absent)}.`,
      modules: [],
    },
  ];
}

async function verifiedOriginals(
  path: string,
  file: SafetensorsFile,
  pairs: readonly LoraPair[],
  provenance: Provenance,
  notices: Notice[],
): Promise<{ originals: Originals; replaced: ReadonlySet<string> } | null> {
  if ((await kindOf(path)) === null) return null;
  const originals = await openOriginals(path);
  const replaced = await belongTo(originals, file, pairs, provenance);
  if (replaced) return { originals, replaced };
  notices.push({
    code: 'originals-foreign',
    message: `${basename(path)} keeps the weights of another adapter or of an earlier training, and is not used.`,
    modules: [],
  });
  return null;
}
