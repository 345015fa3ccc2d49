// What models are called: by folders and paths, by repository ids, and by the names of their quantised copies.
import { basename } from 'node:path';

/** What a model or adapter folder is called: its repository id where the path tells it (the hub's cache), else the folder's name. */
export function folderName(realPath: string): string {
  const onHub = /^hf:\/\/([^@]+)/.exec(realPath)?.[1];
  return onHub ?? cachedRepository(realPath) ?? basename(realPath);
}

/** The repository id in a path into the hub's cache, also another machine's; null for any other path. */
export function cachedRepository(path: string): string | null {
  const cached = /(?:^|[\\/])models--([^\\/]+)[\\/]snapshots[\\/][^\\/]+[\\/]?$/.exec(path)?.[1];
  return cached?.replace('--', '/') ?? null;
}

/** The commit in a path into the hub's cache or in `hf://org/name@commit`; null for any other path. */
export function commitOf(path: string): string | null {
  return /(?:[\\/]snapshots[\\/]|^hf:\/\/[^@]+@)([0-9a-f]{40})[\\/]?$/.exec(path)?.[1] ?? null;
}

/** Parts of names that say by themselves that weights are rounded. */
const QUANTISED = [
  'gptq', 'awq', 'gguf', 'ggml', 'exl[23]', 'hqq', 'aqlm', 'eetq', 'vptq', 'spqr', 'higgs', 'quip', 'autoround', 'torchao', 'quanto',
  'nvfp4(?:a16)?', 'mxfp[48]', 'fp[48](?:a16)?', 'nf4', 'int[2-8](?:wo)?', 'w\\d+a\\d+', '[2-8]-?bits?', 'i?q[2-8](?:_(?:\\d|k|n?l|s|m|x{1,2}[sl]))*',
]; // prettier-ignore
/** Parts that say so only beside one of those: how, by whom, or in groups of how many. */
const BESIDE = [
  'bnb', 'unsloth', 'mlx', 'dwq', 'quantized', 'dynamic', 'static', 'block', 'kv', 'mixed', 'qat', 'imatrix', 'i1', 'v[12]', 'gs?\\d+',
  '\\d+g', '\\d+x\\d+',
]; // prettier-ignore
const QUANTISED_PART = new RegExp(`[-_.](?:${QUANTISED.join('|')})(?=$|[-_.])`, 'i');
const QUANTISED_ENDING = new RegExp(`(?:[-_.](?:${[...QUANTISED, ...BESIDE].join('|')}))+$`, 'i');

/** Characters at the end of a name that are looked at: more than any name of a file has. Matching takes time by their square. */
const MOST_ENDING = 255;

/** @returns null for a name that does not say that its weights are quantised */
export function unquantisedName(name: string): string | null {
  const ending = QUANTISED_ENDING.exec(name.slice(-MOST_ENDING))?.[0];
  return ending !== undefined && QUANTISED_PART.test(ending) ? name.slice(0, -ending.length) : null;
}

/** The last part of a path or an id that is not empty. */
export function lastPart(path: string): string {
  return path.split(/[\\/]/).findLast((part) => part !== '') ?? '';
}

/** What names of the same weights have in common: the last part in small letters, without what its owners add or leave out. */
export function plainName(name: string): string {
  return lastPart(name)
    .toLowerCase()
    .replace(/^meta-(?=llama)/, '')
    .replace(/^((?:code)?llama.*|mistral.*)-hf$/, '$1');
}
