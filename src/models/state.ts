// Whether a folder contains a complete, readable model; reads only names, a configuration and an index.
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { SafeLoraError } from '../core/errors';
import { jsonCaps, kindOf, readJsonObject } from '../core/files';
import { isObject } from '../core/objects';
import { showsPacking } from '../core/quantised';
import { openSafetensors } from '../core/safetensors';

export type ModelState =
  | { kind: 'here' }
  | {
      kind: 'incomplete';
      /** Null if the expected number is unknown. */
      shards: { there: number; total: number } | null;
      /** Names of files. */
      missing: string[];
      /** An unfinished download. */
      isLoading: boolean;
    }
  /** Weights only in PyTorch's format, which is not supported. */
  | { kind: 'pickle' }
  | { kind: 'quantised' }
  | { kind: 'absent' };

const CONFIG = 'config.json';
const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
const PICKLE = /\.(?:bin|pt|pth|bin\.index\.json)$/;
/** `training_args.bin` and the like are not weights. */
const PICKLED_WEIGHTS = /^(?:pytorch_model|consolidated|model)[\w.-]*$/;

/** Whether the name resolves to a file: links may dangle, and a hub's cache consists of links. */
const isFile = (path: string): Promise<boolean> =>
  kindOf(path).then(
    (kind) => kind === 'file',
    () => false,
  );

export async function stateOf(folder: string): Promise<ModelState> {
  const config = await readObject(join(folder, CONFIG));
  const hasSingle = await isFile(join(folder, SINGLE));
  const map = hasSingle ? null : await weightMap(folder);
  if (config && isObject(config.quantization_config)) {
    const names = hasSingle ? await namesIn(join(folder, SINGLE)) : Object.keys(map ?? {});
    if (isPacked(names)) return { kind: 'quantised' };
  }
  const missing = config ? [] : [CONFIG];
  const incomplete = (files: string[], shards: { there: number; total: number } | null = null): ModelState => ({
    kind: 'incomplete',
    shards,
    missing: [...missing, ...files],
    isLoading: false,
  });
  if (hasSingle) return missing.length === 0 ? { kind: 'here' } : incomplete([]);
  const names = await readdir(folder).catch((): string[] => []);
  if (!names.includes(INDEX)) {
    if (!names.includes(SINGLE) && names.some((name) => PICKLE.test(name) && PICKLED_WEIGHTS.test(name)))
      return { kind: 'pickle' };
    return incomplete([SINGLE]);
  }
  const shards = map && shardsOf(map);
  if (shards === null) return incomplete([INDEX]);
  const there = await Promise.all(shards.map((shard) => isFile(join(folder, shard))));
  const gone = shards.filter((_, i) => !there[i]);
  if (gone.length === 0 && missing.length === 0) return { kind: 'here' };
  return incomplete(gone, { there: shards.length - gone.length, total: shards.length });
}

/**
 * Whether the tensor names confirm the configuration: weights are packed, and not only those of experts. Without names, the configuration
 * decides.
 */
function isPacked(names: readonly string[]): boolean {
  return names.length === 0 || names.some(showsPacking);
}

/** The names of a file's tensors, none if it is unreadable. */
async function namesIn(path: string): Promise<string[]> {
  const file = await openSafetensors(path).catch(() => null);
  return [...(file?.tensors.keys() ?? [])];
}

/** The tensors' files according to the index, or null if it is unreadable. */
async function weightMap(folder: string): Promise<Record<string, unknown> | null> {
  const map = (await readObject(join(folder, INDEX), jsonCaps.index))?.weight_map;
  return isObject(map) ? map : null;
}

/** The files of an index, or null if any is outside its folder: an index may be untrusted. */
function shardsOf(map: Readonly<Record<string, unknown>>): string[] | null {
  const shards = [...new Set(Object.values(map))];
  return shards.every((shard): shard is string => typeof shard === 'string' && shard === basename(shard))
    ? shards.sort()
    : null;
}

/** The object in a JSON file, or null if there is none. */
export async function readObject(
  path: string,
  most: number = jsonCaps.configuration,
): Promise<Record<string, unknown> | null> {
  if (!(await isFile(path))) return null;
  return readJsonObject(path, most, (reason) => new SafeLoraError('model-config', reason)).catch(() => null);
}
