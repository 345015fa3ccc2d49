// A model: one safetensors file or shards with an index, found by name, read by range.
import { createHash } from 'node:crypto';
import { readdir, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileError, SafeLoraError, shown } from './errors';
import { jsonCaps, kindOf, readJsonBytes, readJsonObject } from './files';
import { type Format, formatOfModelFiles } from './formats';
import { folderName } from './model-names';
import { appendTo, isObject } from './objects';
import { openSafetensors, sourceOf, type SafetensorsFile, type TensorInfo } from './safetensors';
import { visible } from './text';

const SINGLE_FILE = 'model.safetensors';
const INDEX_FILE = 'model.safetensors.index.json';

/** The names and positions of a model's tensors; no weight has been read. */
export interface Checkpoint {
  /** As the user gave it. */
  path: string;
  /** Repository id or folder name, see `folderName` in model-names.ts. */
  name: string;
  tensors: ReadonlyMap<string, TensorInfo>;
  /** Shards by the names of tensors that the index assigns to them but that they lack. */
  absent: ReadonlyMap<string, string>;
  config: Readonly<Record<string, unknown>>;
  /** Sorted by name. */
  files: readonly SafetensorsFile[];
  /** SHA-256 over the headers of all files, in that order. */
  headersHash: string;
  /** The folder with symbolic links resolved; for a model on the hub `hf://org/name@commit`. */
  realPath: string;
  /** For a model whose tensors must be fetched. */
  remote?: RemoteWeights;
  /**
   * A further file of the model, such as its tokenizer.
   * @param most maximum bytes to read
   * @returns null where the model has none of that name
   * @throws SafeLoraError
   */
  read(file: string, most: number): Promise<Uint8Array | null>;
  /** A file of the model as errors name it. */
  sourceOf(file: string): string;
}

/** Download state of some tensors. */
export interface Travel {
  /** Bytes still to fetch. */
  bytes: number;
  /** Bytes already local. */
  cached: number;
  /** Bytes of all the model's weights. */
  modelBytes: number;
}

/** Remote weights: once fetched, a tensor is at the start of the file at its `path`. */
export interface RemoteWeights {
  /** Checks only, fetches nothing. */
  needed(tensors: readonly TensorInfo[]): Promise<Travel>;
  /**
   * Protects the tensors from eviction by any process until the returned function is called.
   * @throws SafeLoraError where the cache cannot be written
   */
  hold(tensors: readonly TensorInfo[]): Promise<() => Promise<void>>;
  /**
   * Fetches the tensor if needed; partial data is kept on failure or abort.
   * @param onBytes receives the local bytes of it as they arrive
   * @throws SafeLoraError, or the signal's reason
   */
  fetch(tensor: TensorInfo, signal: AbortSignal, onBytes?: (done: number) => void): Promise<void>;
}

/** Access to a model's files. */
export interface ModelFiles {
  /** The model as errors name it. */
  path: string;
  /** See `Checkpoint.name`. */
  name: string;
  /** A file as errors name it. */
  sourceOf(file: string): string;
  has(file: string): Promise<boolean>;
  /** Names of files, and of folders if known. */
  list(): Promise<string[]>;
  /** @param most maximum bytes, see `jsonCaps` */
  json(file: string, most: number, refuse: (reason: string) => SafeLoraError): Promise<Record<string, unknown>>;
  /** @param most maximum bytes */
  bytes(file: string, most: number, refuse: (reason: string) => SafeLoraError): Promise<Uint8Array>;
  open(file: string): Promise<SafetensorsFile>;
}

/** @throws SafeLoraError where the folder is no valid safetensors model */
export async function openCheckpoint(path: string): Promise<Checkpoint> {
  const kind = await kindOf(path);
  if (kind === null) throw noModelFolder(path);
  if (kind !== 'folder') throw notAFolder(path);
  const realPath = await realpath(path).catch((error: unknown) => {
    throw fileError(path, error);
  });
  const files: ModelFiles = {
    path,
    name: folderName(realPath),
    sourceOf: (file) => join(path, file),
    has: async (file) => (await kindOf(join(path, file))) !== null,
    list: () => readdir(path),
    json: (file, most, refuse) => readJsonObject(join(path, file), most, refuse),
    bytes: (file, most, refuse) => readJsonBytes(join(path, file), most, refuse),
    open: (file) => openSafetensors(join(path, file)),
  };
  return { ...(await readCheckpoint(files)), realPath };
}

function notAFolder(path: string): SafeLoraError {
  const isPartOfModel = /\.(?:safetensors|json)$/i.test(path);
  const format = isPartOfModel ? null : formatOfModelFiles([basename(path)]);
  const next = isPartOfModel ? `give the folder that it is in, ${dirname(path)}` : format?.next;
  return new SafeLoraError(
    'file-access',
    `${path}: is not a folder${format ? ` (${format.what})` : ''}; ${next ?? "give the folder that contains the model's config.json and safetensors files"}.`,
  );
}

/** @throws SafeLoraError where the files are no valid safetensors model */
export async function readCheckpoint(model: ModelFiles): Promise<Omit<Checkpoint, 'realPath'>> {
  const { path, name } = model;
  const config = await readConfig(model);
  const { files, absent, indexed } = await openFiles(model);
  const tensors = new Map<string, TensorInfo>();
  for (const file of files) {
    for (const [tensorName, tensor] of file.tensors) {
      // If two shards contain it, the index decides.
      if ((indexed.get(tensorName) ?? file) !== file) continue;
      const other = tensors.get(tensorName);
      if (other) throw inTwoShards(tensor, other);
      tensors.set(tensorName, tensor);
    }
  }
  const headersHash = createHash('sha256')
    .update(files.map((file) => file.headerHash).join('\n'))
    .digest('hex');
  const read: Checkpoint['read'] = async (file, most) => ((await model.has(file)) ? readMore(model, file, most) : null);
  return { path, name, tensors, absent, config, files, headersHash, read, sourceOf: (file) => model.sourceOf(file) };
}

function readMore(model: ModelFiles, file: string, most: number): Promise<Uint8Array> {
  return model.bytes(file, most, (reason) => {
    return new SafeLoraError('model-config', `${model.sourceOf(file)}: ${reason}; download the model again.`);
  });
}

async function readConfig(model: ModelFiles): Promise<Record<string, unknown>> {
  if (!(await model.has('config.json'))) return {};
  const path = model.sourceOf('config.json');
  return model.json(
    'config.json',
    jsonCaps.configuration,
    (reason) => new SafeLoraError('model-config', `${path}: ${reason}; download the model again.`),
  );
}

/** The model's weight files, with the index's tensors that they contain or lack. */
interface OpenedFiles {
  files: SafetensorsFile[];
  indexed: ReadonlyMap<string, SafetensorsFile>;
  absent: Map<string, string>;
}

async function openFiles(model: ModelFiles): Promise<OpenedFiles> {
  if (await model.has(SINGLE_FILE))
    return { files: [await model.open(SINGLE_FILE)], indexed: new Map(), absent: new Map() };
  if (await model.has(INDEX_FILE)) return openShards(model);
  for (const pickle of ['pytorch_model.bin', 'pytorch_model.bin.index.json']) {
    if (await model.has(pickle)) throw pickled(model.sourceOf(pickle));
  }
  if (await model.has('adapter_config.json')) throw adapterAsModel(model.path);
  const format = formatOfModelFiles((await model.list()).sort());
  throw noSafetensors(model.path, format);
}

/** Transformers loads what the shards contain; a missing tensor matters only where it is needed. */
async function openShards(model: ModelFiles): Promise<OpenedFiles> {
  const refuse = (reason: string): SafeLoraError =>
    new SafeLoraError('model-index', `${model.sourceOf(INDEX_FILE)}: ${reason}; download the model again.`);
  const weightMap = (await model.json(INDEX_FILE, jsonCaps.index, refuse)).weight_map;
  if (!isObject(weightMap)) throw refuse('has no weight_map');
  const names = new Map<string, string[]>();
  for (const [tensor, shard] of Object.entries(weightMap)) {
    if (typeof shard !== 'string') throw refuse(`gives no file for tensor ${shown(tensor)}`);
    if (shard !== basename(shard) || shard.includes('\\') || ['', '.', '..'].includes(shard)) {
      throw refuse(`names a file outside its folder (${shown(shard)})`);
    }
    if (visible(shard) !== shard) throw refuse(`names a shard with control characters (${shown(shard)})`);
    appendTo(names, shard, tensor);
  }
  const files: SafetensorsFile[] = [];
  const indexed = new Map<string, SafetensorsFile>();
  const absent = new Map<string, string>();
  for (const shard of [...names.keys()].sort()) {
    if (!(await model.has(shard))) throw refuse(`names the shard ${shown(shard)}, which is not there`);
    const file = await model.open(shard);
    for (const tensor of names.get(shard)!) {
      if (file.tensors.has(tensor)) indexed.set(tensor, file);
      else absent.set(tensor, shard);
    }
    files.push(file);
  }
  return { files, indexed, absent };
}

function noModelFolder(path: string): SafeLoraError {
  return new SafeLoraError('file-access', `${path}: the model folder does not exist; check the path.`);
}

function inTwoShards(tensor: TensorInfo, other: TensorInfo): SafeLoraError {
  return new SafeLoraError(
    'model-index',
    `${sourceOf(tensor)}: tensor ${shown(tensor.name)} is also in ${sourceOf(other)}; download the model again.`,
  );
}

function pickled(path: string): SafeLoraError {
  return new SafeLoraError(
    'format-pickle',
    `${path}: the weights are in PyTorch's pickle format, which is not supported; convert them with transformers: AutoModelForCausalLM.from_pretrained(DIR).save_pretrained(NEW_DIR, safe_serialization=True).`,
  );
}

function adapterAsModel(path: string): SafeLoraError {
  return new SafeLoraError(
    'file-access',
    `${path}: is an adapter, not a whole model; give the folder of the model itself.`,
  );
}

function noSafetensors(path: string, format: Format | null): SafeLoraError {
  return new SafeLoraError(
    'file-access',
    format
      ? `${path}: contains ${format.what}; ${format.next}.`
      : `${path}: contains neither ${SINGLE_FILE} nor ${INDEX_FILE}; give the folder of a model in safetensors format.`,
  );
}
