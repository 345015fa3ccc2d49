// A PEFT LoRA folder: its configuration, its A and B tensors, and everything else, which Safe LoRA does not cover.
import { realpath } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type AdapterConfig, CONFIG_FILE, readAdapterConfig } from './adapter-config';
import { ADAPTER_FILE, adapterFolder } from './adapter-folder';
import { type LoraPair, pairTensors, refuseForeignNames } from './adapter-tensors';
import { applyConfig, rankOf } from './applied-config';
import { fileError, type Notice, SafeLoraError } from './errors';
import { type FileStamp, kindOf, stampOf } from './files';
import { folderName } from './model-names';
import { belongTo, openOriginals, type Originals } from './originals';
import { type Provenance, PROVENANCE_KEY, readProvenance } from './provenance';
import { openSafetensors, type SafetensorsFile } from './safetensors';

/** The originals of weights that in-place saving replaced. */
export const ORIGINALS_FILE = 'safe_lora_original.safetensors';

/** The files that define an adapter. */
export const ADAPTER_FILES = [ADAPTER_FILE, CONFIG_FILE, ORIGINALS_FILE] as const;

/** An adapter's weights, configuration and originals, in this order, including missing ones. */
export function adapterStamps(folder: string, originalsPath: string): Promise<FileStamp[]> {
  return Promise.all([join(folder, ADAPTER_FILE), join(folder, CONFIG_FILE), originalsPath].map(stampOf));
}

/** One adapted weight: the update is B·A, times `scale` in the running model. */
export interface LoraModule extends LoraPair {
  /** The original, even if the file has a projected one and the original was kept. */
  b: LoraPair['b'];
  rank: number;
  /** alpha / r, or alpha / √r with rsLoRA; below 0 if the adapter is subtracted. */
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
  config: AdapterConfig;
  /** The model that its configuration names, or null where it names none. */
  trainedOn: string | null;
  /** The configuration's rank, else the highest of any module. */
  rank: number;
  modules: LoraModule[];
  /** The `safe_lora` metadata of an already projected adapter. */
  provenance: Provenance | null;
  /** The originals kept by in-place saving; null if there are none or they belong to another adapter. */
  originals: Originals | null;
  notices: Notice[];
  /** State when opened, see `adapterStamps`. */
  stamps: FileStamp[];
}

/**
 * @param path the adapter's folder or the adapter_model.safetensors in it
 * @param originalsPath where the replaced weights were kept, if not beside it
 * @throws SafeLoraError for a folder that is no LoRA adapter, or whose update is more than B·A on an unchanged weight
 */
export async function openAdapter(path: string, originalsPath?: string): Promise<Adapter> {
  const folder = await adapterFolder(path);
  const realPath = await realpath(folder).catch((error: unknown) => {
    throw fileError(folder, error);
  });
  const kept = originalsPath ?? join(folder, ORIGINALS_FILE);
  const stamps = await adapterStamps(folder, kept);
  const file = await openSafetensors(join(folder, ADAPTER_FILE));
  // Other formats have no PEFT configuration either.
  if ((await kindOf(join(folder, CONFIG_FILE))) === null) refuseForeignNames(file);
  const config = await readAdapterConfig(folder);
  const paired = pairTensors(file, config);
  const { pairs } = paired;
  const notices = [...config.notices, ...paired.notices];
  const provenance = provenanceOf(file);
  const verified = provenance ? await verifiedOriginals(kept, file, pairs, provenance, notices) : null;
  const originals = verified?.originals ?? null;
  const projected = new Set(provenance?.modules ?? []);
  if (pairs.filter(({ name }) => projected.has(name)).length < projected.size) throw unknownProjection(file);
  const { scales, notices: unfitting } = applyConfig(config, pairs, notices);
  const modules = pairs.map((pair, i): LoraModule => {
    const { name, b } = pair;
    const isOriginal = verified ? !verified.replaced.has(name) : !projected.has(name);
    const original = isOriginal ? b : originals?.file.tensors.get(b.name);
    const alreadyProjected = original === undefined;
    return { ...pair, b: original ?? b, rank: rankOf(pair), scale: scales[i]!, alreadyProjected };
  });
  notices.push(...unfitting);
  return {
    path: folder,
    realPath,
    name: folderName(realPath),
    file,
    config,
    trainedOn: config.trainedOn,
    rank: config.rank ?? modules.reduce((most, module) => Math.max(most, module.rank), 0),
    modules,
    provenance,
    originals,
    notices,
    stamps,
  };
}

/** @throws SafeLoraError where the provenance was not written by this tool */
export function provenanceOf(file: SafetensorsFile): Provenance | null {
  return readProvenance(file, () => unknownProjection(file));
}

function unknownProjection({ path }: SafetensorsFile): SafeLoraError {
  return new SafeLoraError(
    'adapter-layout',
    `${path}: its "${PROVENANCE_KEY}" metadata does not fit its tensors, so it is unknown what was projected; use the original adapter.`,
  );
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
    message: `${basename(path)} contains the weights of another adapter or of an earlier training run and is not used.`,
    modules: [],
  });
  return null;
}
