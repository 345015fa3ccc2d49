// A patch: the replaced tensors of one adapter and their provenance, to be applied to that adapter and to no other.
import { type Adapter } from './adapter';
import { SafeLoraError, shown, someNames } from './errors';
import { originalHashes, sameHashes } from './originals';
import { type Projection } from './patch';
import { parseObject } from './objects';
import { isHashes, type Provenance, PROVENANCE_KEY, readProvenance } from './provenance';
import { replaceFile } from './atomic';
import { hashBytes, openSafetensors, readTensor, type TensorHashes } from './safetensors';
import { writeSafetensors } from './safetensors-writer';

/** The file name's ending. */
export const PATCH_ENDING = '.safelora.safetensors';

const PATCH_KEY = 'safe_lora_patch';
const SCHEMA = 'safe-lora/patch@1';

/**
 * @param sha256 the adapter's `originalHashes`; taken when the projection was made, since its file may change
 * @param projection null makes a patch that restores the original
 */
export async function writePatch(
  path: string,
  adapter: Adapter,
  sha256: TensorHashes,
  projection: Projection | null,
): Promise<void> {
  const entry = JSON.stringify({ schema: SCHEMA, sha256 });
  const metadata = new Map([
    ...(projection ? ([[PROVENANCE_KEY, JSON.stringify(projection.provenance)]] as const) : []),
    [PATCH_KEY, entry] as const,
  ]);
  const sources = adapter.modules.flatMap(({ name, b }) => {
    const bytes = projection?.tensors.get(name);
    return bytes ? [{ ...b, from: bytes }] : [];
  });
  await replaceFile(path, (temporary) => writeSafetensors(temporary, sources, metadata));
}

/** @throws SafeLoraError where the file is no patch, is damaged, or was made from another adapter */
export async function readPatch(path: string, adapter: Adapter): Promise<Projection | null> {
  const damaged = (reason: string): SafeLoraError =>
    new SafeLoraError('patch-format', `${path}: ${reason}; save the patch again.`);
  const file = await openSafetensors(path);
  const entry = parseObject(file.metadata.get(PATCH_KEY));
  const sha256 = entry?.sha256;
  if (entry?.schema !== SCHEMA || !isHashes(sha256)) throw notAPatch(path);
  const provenance = readProvenance(file, () => damaged('its provenance cannot be read'));
  if (!sameHashes(sha256, await originalHashes(adapter))) throw foreignPatch(path, provenance);
  const tensors = new Map<string, Uint8Array>();
  for (const { name, b } of adapter.modules) {
    const tensor = file.tensors.get(b.name);
    if (!tensor) continue;
    // Checked before reading: the file may claim any size.
    if (tensor.dtype !== b.dtype || tensor.length !== b.length)
      throw damaged(`${shown(b.name)} is not of the adapter's dtype and shape`);
    const bytes = await readTensor(tensor);
    if (hashBytes(bytes) !== provenance?.sha256[name])
      throw damaged(`${shown(b.name)} is not the tensor that was saved`);
    tensors.set(name, bytes);
  }
  if (tensors.size < file.tensors.size) throw damaged('it contains tensors that belong to no module of the adapter');
  if (!provenance) return null;
  // A module without its original stays unchanged, and has no tensor here.
  const left = adapter.modules.filter(
    ({ name, b, alreadyProjected }) => alreadyProjected && sha256[b.name] === provenance.sha256[name],
  );
  const known = new Set([...tensors.keys(), ...left.map(({ name }) => name)]);
  const lost = provenance.modules.filter((name) => !known.has(name));
  if (lost.length > 0) throw damaged(`it lacks ${someNames(lost)}`);
  return { tensors, provenance };
}

function notAPatch(path: string): SafeLoraError {
  return new SafeLoraError('patch-format', `${path}: is not a Safe LoRA patch; choose a file that Save Patch wrote.`);
}

function foreignPatch(path: string, provenance: Provenance | null): SafeLoraError {
  return new SafeLoraError(
    'patch-foreign',
    `${path}: was made from another adapter${provenance ? ` (${shown(provenance.adapter.name)})` : ''} or an earlier training of this one; apply it to the adapter that it was made from.`,
  );
}
