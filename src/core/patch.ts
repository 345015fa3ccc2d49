// From projected updates to a new adapter file: only the selected lora_B tensors change, every other byte stays.
import { type FileHandle, open, stat } from 'node:fs/promises';
import { type Adapter, PROVENANCE_KEY } from './adapter';
import { type Checkpoint } from './checkpoint';
import { decode, encode, type FloatDtype } from './dtype';
import { fileError } from './errors';
import { ReadableFile } from './files';
import { encodeHeader, type TensorInfo } from './safetensors';
import { type Selection } from './selection';

/** C·B in the dtype and layout of the stored B. */
export interface ProjectedB {
  bytes: Uint8Array;
  /** ‖rounded − exact‖_F / ‖exact‖_F of the rounding to the stored dtype. */
  roundingLoss: number;
  /** An element lies beyond the dtype's range; `bytes` must not be saved. */
  overflow: boolean;
}

/**
 * C·B = V·Vᵀ·B / ‖V‖_F, rounded to the dtype in which B is stored.
 * @param u V·Vᵀ·B, row-major [out, r]
 */
export function roundProjection(u: Float64Array, alignmentNorm: number, dtype: FloatDtype): ProjectedB {
  const exact = u.map((value) => value / alignmentNorm);
  const bytes = encode(exact, dtype);
  const rounded = decode(bytes, dtype);
  let lost = 0;
  let total = 0;
  for (let i = 0; i < exact.length; i++) {
    lost += (rounded[i]! - exact[i]!) ** 2;
    total += exact[i]! ** 2;
  }
  const overflow = !rounded.every(Number.isFinite);
  return { bytes, overflow, roundingLoss: total === 0 || overflow ? 0 : Math.sqrt(lost / total) };
}

/** The `safe_lora` metadata entry: what was done with which models, without a path or a time, so that equal input gives equal bytes. */
export function provenance(
  adapter: Adapter,
  models: { base: Checkpoint; aligned: Checkpoint },
  selection: Selection,
  projected: readonly string[],
  version: string,
): string {
  const identify = (model: Checkpoint): object => ({ name: model.name, headers: model.headersHash });
  return JSON.stringify({
    schema: 'safe-lora/provenance@1',
    tool: { version },
    adapter: { name: adapter.name },
    base: identify(models.base),
    aligned: identify(models.aligned),
    selection,
    modules: projected,
  });
}

/** Bytes copied at a time. */
const CHUNK = 8 * 2 ** 20;

/**
 * Writes the adapter's file anew, with `__metadata__` kept and the provenance added.
 * @param replaced the new bytes of each changed tensor, by its name in the file
 * @param provenanceEntry the value of the `safe_lora` metadata entry
 */
export async function writeAdapterFile(
  path: string,
  adapter: Adapter,
  replaced: ReadonlyMap<string, Uint8Array>,
  provenanceEntry: string,
): Promise<void> {
  const { file } = adapter;
  const metadata = new Map(file.metadata).set(PROVENANCE_KEY, provenanceEntry);
  const originals = new Map(adapter.modules.map((module) => [module.b.name, module.b]));
  const mode = (await stat(file.path)).mode & 0o777;
  const target = await open(path, 'wx', mode).catch((error: unknown) => {
    throw fileError(path, error, 'write');
  });
  try {
    await append(target, path, encodeHeader(file.tensors.values(), metadata, file.dataStart));
    for (const tensor of [...file.tensors.values()].sort((a, b) => a.offset - b.offset || a.length - b.length)) {
      const bytes = replaced.get(tensor.name);
      if (bytes) await append(target, path, bytes);
      else await copyTensor(target, path, originals.get(tensor.name) ?? tensor);
    }
    await target.chmod(mode);
    await target.sync();
  } catch (error) {
    throw fileError(path, error, 'write');
  } finally {
    await target.close();
  }
}

async function copyTensor(target: FileHandle, path: string, tensor: TensorInfo): Promise<void> {
  await ReadableFile.with(tensor.path, async (source) => {
    for (let done = 0; done < tensor.length; done += CHUNK) {
      await append(target, path, await source.read(tensor.offset + done, Math.min(CHUNK, tensor.length - done)));
    }
  });
}

async function append(target: FileHandle, path: string, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await target.write(bytes, done, bytes.length - done).catch((error: unknown) => {
      throw fileError(path, error, 'write');
    });
    done += bytesWritten;
  }
}
