// Names of models: in folders and paths, as repository ids, and of quantised copies.
import { basename } from 'node:path';

/** Name of a model or adapter folder: its repository id if the path contains it (the hub's cache), else the folder's name. */
export function folderName(realPath: string): string {
  const onHub = /^hf:\/\/([^@]+)/.exec(realPath)?.[1];
  return onHub ?? cachedRepository(realPath) ?? basename(realPath);
}

/** The repository id in a path into any machine's hub cache; null for any other path. */
export function cachedRepository(path: string): string | null {
  const cached = /(?:^|[\\/])models--([^\\/]+)[\\/]snapshots[\\/][^\\/]+[\\/]?$/.exec(path)?.[1];
  return cached?.replace('--', '/') ?? null;
}

/** The commit in a path into the hub's cache or in `hf://org/name@commit`; null for any other path. */
export function commitOf(path: string): string | null {
  return /(?:[\\/]snapshots[\\/]|^hf:\/\/[^@]+@)([0-9a-f]{40})[\\/]?$/.exec(path)?.[1] ?? null;
}

/** Parts of names that alone indicate rounded weights. */
const QUANTISED = [
  'gptq(?:model)?', 'awq', 'gguf', 'ggml', 'exl[23]', 'hqq', 'aqlm', 'eetq', 'vptq', 'spqr', 'higgs', 'quip', 'auto-?round', 'torchao',
  'quanto', 'marlin', 'spinquant', 'qlora_int4_eo8', 'nvfp4(?:a16)?', '[wa]?mxfp[48]', 'fp[48](?:a16|wo)?', 'float8(?:dq|wo)?', 'nf4',
  'q?int[1-8](?:wo)?', 'w\\d+a(?:fp)?\\d+', 'a\\d+w\\d+', '\\d+da\\d+w', '[1-8]-?bits?', '1\\.58-?bits?', '\\d+(?:[._]\\d+)?bpw',
  'i?q[1-8](?:_(?:\\d|k|n?l|s|m|x{1,2}[sl]))*', 'q[2-8]f(?:16|32)_\\d',
]; // prettier-ignore
/** Parts that indicate it only before one of those: how, by what, or for whom. */
const BEFORE = [
  'bnb', 'unsloth', 'mlx', 'dwq', 'quantized', 'dynamic', 'static', 'mixed', 'qat', 'imat(?:rix)?', 'i1', 'ud', 'onnx', 'openvino', 'ov',
  'modelopt', 'quark', 'rtn', 'llmc', 'sinq', 'pv', 'h\\d',
]; // prettier-ignore
/** Parts that indicate it only after one of those: the group size, or the method. */
const BEHIND = [
  'block(?:-\\d+)?', 'kv', 'v[12]', 'w\\d+', 'gs?\\d+', '\\d+g', '\\d+x\\d+', 'per', 'token', 'channel', 'tensor(?:wise)?', 'a?sym', 'inc',
  'cw', 'moe', 'qad', 'dq', 'e[45]m[23]', 'eo\\d', 'mlc', 'vlm', 'amd', 'ct', 'smashed', 'actorder', 'true', 'dwq-\\d+', 'hf',
]; // prettier-ignore
const oneOf = (parts: readonly string[]): string => `[-_.](?:${parts.join('|')})`;
const QUANTISED_ENDING = new RegExp(
  `(?:${oneOf(BEFORE)})*${oneOf(QUANTISED)}(?:${oneOf([...QUANTISED, ...BEFORE, ...BEHIND])})*$`,
  'i',
);

/** Characters checked at the end of a name: more than any file name has. Matching takes quadratic time. */
const MOST_ENDING = 255;

/** @returns null if the name does not indicate quantised weights */
export function unquantisedName(name: string): string | null {
  const ending = QUANTISED_ENDING.exec(name.slice(-MOST_ENDING))?.[0];
  return ending === undefined ? null : name.slice(0, -ending.length);
}

/** The last non-empty part of a path or an id. */
export function lastPart(path: string): string {
  return path.split(/[\\/]/).findLast((part) => part !== '') ?? '';
}

/** A common name for copies of the same weights: the last part in lower case, without their owners' additions. */
export function plainName(name: string): string {
  return lastPart(name)
    .toLowerCase()
    .replace(/^meta-(?=llama)/, '')
    .replace(/^((?:code)?llama.*|mistral.*)-hf$/, '$1');
}
