// The weights replaced by in-place saving, kept to restore the first file bit for bit.
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type LoraPair } from './adapter-tensors';
import { changedOnDisk, SafeLoraError, unwritable } from './errors';
import { kindOf } from './files';
import { parseObject } from './objects';
import { isHashes, type Provenance } from './provenance';
import { replaceAlone } from './atomic';
import {
  hashBytes,
  hashRange,
  type Header,
  openSafetensors,
  parseHeader,
  readHead,
  type SafetensorsFile,
  type TensorHashes,
  type TensorInfo,
} from './safetensors';
import { writeSafetensors } from './safetensors-writer';

const ORIGINALS_KEY = 'safe_lora_original';
/** The first has no hash of its head, the second none of the tensors beside the LoRA pairs. */
const SCHEMAS = ['safe-lora/original@1', 'safe-lora/original@2', 'safe-lora/original@3'];

export interface Originals {
  /** Contains the original lora_B of every module that was projected in place. */
  file: SafetensorsFile;
  /** The adapter's file up to its tensors' bytes, before any in-place projection. */
  head: Uint8Array;
  /** True if the head is unchanged. */
  isHeadSound: boolean;
  /** Of every lora_A and lora_B at that time. */
  sha256: TensorHashes;
  /** See `restHash`, at that time; null if an earlier version kept them. */
  rest: string | null;
}

/** An adapter whose `b` is the original, even if its file has a projected one and the original was kept. */
interface Unprojected {
  file: SafetensorsFile;
  modules: readonly LoraPair[];
  originals: Originals | null;
}

/** @throws SafeLoraError where the file is not one that `keepOriginals` wrote */
export async function openOriginals(path: string): Promise<Originals> {
  const file = await openSafetensors(path);
  const entry = parseObject(file.metadata.get(ORIGINALS_KEY));
  const head = Buffer.from(typeof entry?.head === 'string' ? entry.head : '', 'base64');
  const version = typeof entry?.schema === 'string' ? SCHEMAS.indexOf(entry.schema) : -1;
  if (version < 0 || !isHashes(entry?.sha256)) throw notOriginals(path);
  const isHeadSound = version === 0 || entry.headSha256 === hashBytes(head);
  return { file, head, isHeadSound, sha256: entry.sha256, rest: typeof entry.rest === 'string' ? entry.rest : null };
}

/**
 * Whether in-place saving made an adapter's file from the adapter of these originals: every lora_A and lora_B is unchanged, or is the
 * projection that the provenance names, with its original available.
 * @param modules with `b` as in the adapter's own file
 * @returns the modules whose original is the kept one; null if the originals are another adapter's
 */
export async function belongTo(
  { file, head, isHeadSound, sha256 }: Originals,
  adapterFile: SafetensorsFile,
  modules: readonly LoraPair[],
  provenance: Provenance,
): Promise<ReadonlySet<string> | null> {
  if (!isHeadSound || Object.keys(sha256).length !== 2 * modules.length || !describes(head, adapterFile)) return null;
  const replaced = new Set<string>();
  for (const { name, a, b } of modules) {
    if ((await hashRange(a)) !== sha256[a.name]) return null;
    const present = await hashRange(b);
    // Originals of modules that are not projected now are not needed, and may be damaged.
    if (present === sha256[b.name]) continue;
    const kept = file.tensors.get(b.name);
    if (present !== provenance.sha256[name] || !kept || !isOfForm(kept, b)) return null;
    if ((await hashRange(kept)) !== sha256[b.name]) return null;
    replaced.add(name);
  }
  return replaced;
}

function isOfForm(kept: TensorInfo, b: TensorInfo): boolean {
  return kept.dtype === b.dtype && kept.length === b.length && String(kept.shape) === String(b.shape);
}

/** True if a file's head names the same tensors as another file, at the same offsets in the data. */
function describes(head: Uint8Array, adapterFile: SafetensorsFile): boolean {
  const { path, size, dataStart } = adapterFile;
  try {
    const length = Number(new DataView(head.buffer, head.byteOffset).getBigUint64(0, true));
    if (length !== head.length - 8) return false;
    const first = parseHeader(head.subarray(8), head.length + size - dataStart, path);
    const layout = (file: Header): string =>
      JSON.stringify(
        [...file.tensors.values()].map(({ name, dtype, shape, offset }) => [
          name,
          dtype,
          shape,
          offset - file.dataStart,
        ]),
      );
    return layout(first) === layout(adapterFile);
  } catch {
    return false;
  }
}

/** SHA-256 of every lora_A and lora_B before any in-place projection. */
export async function originalHashes(adapter: Unprojected): Promise<TensorHashes> {
  if (adapter.originals) return adapter.originals.sha256;
  const hashes: Record<string, string> = {};
  for (const { a, b } of adapter.modules) {
    hashes[a.name] = await hashRange(a);
    hashes[b.name] = await hashRange(b);
  }
  return hashes;
}

/** SHA-256 over the names and contents of the tensors beside the LoRA pairs: no projection changes them. */
export async function restHash(
  { tensors }: Pick<SafetensorsFile, 'tensors'>,
  modules: readonly Pick<LoraPair, 'a' | 'b'>[],
): Promise<string> {
  const pairs = new Set(modules.flatMap(({ a, b }) => [a.name, b.name]));
  const hashes: [string, string][] = [];
  for (const tensor of tensors.values())
    if (!pairs.has(tensor.name)) hashes.push([tensor.name, await hashRange(tensor)]);
  return hashBytes(Buffer.from(JSON.stringify(hashes.sort(([one], [other]) => (one < other ? -1 : 1)))));
}

/**
 * Ensures that the file at `path` has the original lora_B of the named modules, and that the first file can be restored. Existing originals
 * stay; the head stays while any module is projected. Needs exclusive access to the adapter (`alone`).
 * @param sha256 the adapter's `originalHashes`
 * @throws SafeLoraError where it has another adapter's weights, the weights to keep do not match their hashes, or the tensors beside them
 * are not those of the first file
 */
export async function keepOriginals(
  path: string,
  adapter: Unprojected,
  sha256: TensorHashes,
  modules: ReadonlySet<string>,
): Promise<void> {
  const earlier = (await kindOf(path)) === null ? null : await openOriginals(path);
  if (earlier && !sameHashes(earlier.sha256, sha256)) throw foreignOriginals(path);
  const kept = adapter.modules.filter(({ name, b }) => modules.has(name) || earlier?.file.tensors.has(b.name));
  // If the adapter is not projected, its current file is the first file, whatever was kept earlier.
  const isProjected = adapter.modules.some(({ b }) => b.path !== adapter.file.path);
  const first = isProjected ? adapter.originals : null;
  const present = first?.rest === null ? null : await restHash(adapter.file, adapter.modules);
  const { head, rest } = first ?? { head: await readHead(adapter.file), rest: present };
  if (rest !== present) throw restChanged(adapter.file.path);
  const isComplete = kept.length === earlier?.file.tensors.size && earlier.rest === rest;
  if (isComplete && earlier.isHeadSound && Buffer.from(head).equals(earlier.head) && (await isSound(earlier))) return;
  const entry = JSON.stringify({
    schema: SCHEMAS.at(-1),
    head: Buffer.from(head).toString('base64'),
    headSha256: hashBytes(head),
    sha256,
    rest,
  });
  // An adapter's B is its original, in whichever file.
  const sources = kept.map(({ b }) => ({ ...b, from: b }));
  await mkdir(dirname(path), { recursive: true }).catch(unwritable(path));
  await replaceAlone(
    path,
    (temporary) => writeSafetensors(temporary, sources, new Map([[ORIGINALS_KEY, entry]])),
    async (temporary) => {
      if (!(await isSound({ file: await openSafetensors(temporary), sha256 }))) throw changedOnDisk(adapter.file.path);
      const there = (await kindOf(path)) === null ? null : await openSafetensors(path);
      if (there?.identity !== earlier?.file.identity) throw changedOnDisk(path);
    },
  );
}

/** The kept original of a module that is not projected now may be damaged: the adapter's own file has it, too. */
async function isSound({ file, sha256 }: Pick<Originals, 'file' | 'sha256'>): Promise<boolean> {
  for (const tensor of file.tensors.values()) if ((await hashRange(tensor)) !== sha256[tensor.name]) return false;
  return true;
}

export function sameHashes(one: TensorHashes, other: TensorHashes): boolean {
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => one[name] === other[name]);
}

function notOriginals(path: string): SafeLoraError {
  return new SafeLoraError(
    'originals-foreign',
    `${path}: is not a file that safe-lora wrote to keep original weights; move it away.`,
  );
}

function foreignOriginals(path: string): SafeLoraError {
  return new SafeLoraError(
    'originals-foreign',
    `${path}: contains the original weights of another adapter or of an earlier training run; move it away.`,
  );
}

function restChanged(path: string): SafeLoraError {
  return new SafeLoraError(
    'originals-foreign',
    `${path}: its tensors beside the LoRA pairs are no longer those that were saved, so the original file could not be restored; save it in another folder, or use the original adapter.`,
  );
}
