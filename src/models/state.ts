// Whether a folder holds a whole model that can be read; nothing but names, a configuration and an index is looked at.
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
      /** Null where it is not known how many there should be. */
      shards: { there: number; total: number } | null;
      /** Names of files. */
      missing: string[];
      /** A download was begun that is not done. */
      isLoading: boolean;
    }
  /** Weights in PyTorch's format alone, which is not read. */
  | { kind: 'pickle' }
  | { kind: 'quantised' }
  | { kind: 'absent' };

const CONFIG = 'config.json';
const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
const PICKLE = /\.(?:bin|pt|pth|bin\.index\.json)$/;
/** `training_args.bin` and the like are no weights. */
const PICKLED_WEIGHTS = /^(?:pytorch_model|consolidated|model)[\w.-]*$/;

/** Whether the name leads to a file: a link may dangle, and a hub's cache is made of links. */
const isFile = (path: string): Promise<boolean> => kindOf(path).then((kind) => kind === 'file', () => false); // prettier-ignore

export async function stateOf(folder: string): Promise<ModelState> {
  const config = await readObject(join(folder, CONFIG));
  if (config && isObject(config.quantization_config) && (await isPacked(folder))) return { kind: 'quantised' };
  const missing = config ? [] : [CONFIG];
  const incomplete = (files: string[], shards: { there: number; total: number } | null = null): ModelState => ({
    kind: 'incomplete',
    shards,
    missing: [...missing, ...files],
    isLoading: false,
  });
  if (await isFile(join(folder, SINGLE))) return missing.length === 0 ? { kind: 'here' } : incomplete([]);
  const names = await readdir(folder).catch((): string[] => []);
  if (!names.includes(INDEX)) {
    if (!names.includes(SINGLE) && names.some((name) => PICKLE.test(name) && PICKLED_WEIGHTS.test(name)))
      return { kind: 'pickle' };
    return incomplete([SINGLE]);
  }
  const shards = await shardsOf(join(folder, INDEX));
  if (shards === null) return incomplete([INDEX]);
  const there = await Promise.all(shards.map((shard) => isFile(join(folder, shard))));
  const gone = shards.filter((_, i) => !there[i]);
  if (gone.length === 0 && missing.length === 0) return { kind: 'here' };
  return incomplete(gone, { there: shards.length - gone.length, total: shards.length });
}

/**
 * Whether the names of the tensors say what the configuration says: that weights are packed, and not those of experts alone. Without
 * any names the configuration's word is all there is.
 */
async function isPacked(folder: string): Promise<boolean> {
  const map = (await readObject(join(folder, INDEX), jsonCaps.index))?.weight_map;
  const single = await openSafetensors(join(folder, SINGLE)).catch(() => null);
  const names = [...(isObject(map) ? Object.keys(map) : []), ...(single?.tensors.keys() ?? [])];
  return names.length === 0 || names.some(showsPacking);
}

/** The files of an index, or null where it cannot be read. */
async function shardsOf(path: string): Promise<string[] | null> {
  const map = (await readObject(path, jsonCaps.index))?.weight_map;
  if (!isObject(map)) return null;
  const shards = [...new Set(Object.values(map))];
  // An index from anywhere may name files outside its folder.
  return shards.every((shard): shard is string => typeof shard === 'string' && shard === basename(shard))
    ? shards.sort()
    : null;
}

/** The object in a JSON file, or null where none can be read. */
export async function readObject(
  path: string,
  most: number = jsonCaps.configuration,
): Promise<Record<string, unknown> | null> {
  if (!(await isFile(path))) return null;
  return readJsonObject(path, most, (reason) => new SafeLoraError('model-config', reason)).catch(() => null);
}
