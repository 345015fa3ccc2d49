// Writes safetensors files: tensors keep the given order, their bytes come from memory or from other files.
import { type FileHandle, open } from 'node:fs/promises';
import { fileError } from './errors';
import { readInPieces, type TensorInfo } from './safetensors';

/** A tensor to write, and the source of its bytes. */
export interface TensorSource {
  name: string;
  dtype: string;
  shape: readonly number[];
  from: TensorInfo | Uint8Array;
}

/**
 * Writes a new file with the tensors in the order given.
 * @throws SafeLoraError, also if the path exists
 */
export async function writeSafetensors(
  path: string,
  sources: readonly TensorSource[],
  metadata: ReadonlyMap<string, string>,
): Promise<void> {
  let offset = 0;
  const tensors = sources.map(({ from, ...tensor }): TensorInfo => {
    offset += from.length;
    return { ...tensor, path, offset: offset - from.length, length: from.length };
  });
  await writeParts(path, [encodeHeader(tensors, metadata, 0), ...sources.map(({ from }) => from)]);
}

/**
 * @param parts what the file consists of, from its first byte to its last
 * @param mode permission bits; without them the system's for a new file
 */
export async function writeParts(
  path: string,
  parts: readonly (Uint8Array | TensorInfo)[],
  mode?: number,
): Promise<void> {
  const target = await open(path, 'wx', mode).catch((error: unknown) => {
    throw fileError(path, error, 'write');
  });
  try {
    for (const part of parts) {
      if (part instanceof Uint8Array) await append(target, path, part);
      else for await (const piece of readInPieces(part)) await append(target, path, piece);
    }
    if (mode !== undefined) await target.chmod(mode);
    await target.sync();
  } catch (error) {
    throw fileError(path, error, 'write');
  } finally {
    await target.close();
  }
}

async function append(target: FileHandle, path: string, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await target.write(bytes, done, bytes.length - done).catch((error: unknown) => {
      throw fileError(path, error, 'write');
    });
    done += bytesWritten;
  }
}

/**
 * The first bytes of a file with these tensors: length prefix and header, padded with spaces to a multiple of eight as the
 * reference writer does.
 */
export function encodeHeader(
  tensors: Iterable<TensorInfo>,
  metadata: ReadonlyMap<string, string>,
  dataStart: number,
): Uint8Array {
  const members: string[] = [];
  if (metadata.size > 0) {
    const entries = [...metadata].map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
    members.push(`"__metadata__":{${entries.join(',')}}`);
  }
  for (const tensor of tensors) {
    const begin = tensor.offset - dataStart;
    const info = { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [begin, begin + tensor.length] };
    members.push(`${JSON.stringify(tensor.name)}:${JSON.stringify(info)}`);
  }
  const json = Buffer.from(`{${members.join(',')}}`, 'utf8');
  const header = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, ' ');
  header.writeBigUInt64LE(BigInt(header.length - 8), 0);
  json.copy(header, 8);
  return header;
}
