// The state of CUDA on this machine: the installed provider, the libraries it needs, and a process's search path for them.
import { randomUUID } from 'node:crypto';
import { readlink, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileError } from '../core/errors';
import { kindOf } from '../core/files';
import { pipPackage } from './advice';
import { findNeeded, type Library, type Missing } from './find';
import { type Machine, thisMachine } from './machine';
import { type Needed, readNeeded } from './needed';
import { PROVIDER_FILE, SHARED_FILE, unsupportedReason } from './package';

export type CudaState =
  | { state: 'unsupported'; reason: string }
  | { state: 'absent' }
  | {
      state: 'incomplete';
      /** Of the provider. */
      folder: string;
      missing: Missing[];
      /** A terminal command that installs everything pip can install; null if that is nothing. */
      command: string | null;
    }
  | {
      state: 'ready';
      folder: string;
      /** Prefix of LD_LIBRARY_PATH for the process that loads onnxruntime; the provider's folder is the first. */
      searchPath: string[];
      libraries: Library[];
    };

/** The name of onnxruntime's own library, also its search name. */
const RUNTIME_FILE = 'libonnxruntime.so.1';

/** All data of an install. */
export const cudaFolder = (storage: string): string => join(storage, 'cuda');

export const providerFolder = (storage: string, version: string): string => join(cudaFolder(storage), version);

/** A folder for CUDA's own libraries if nothing else provides them: filled by `pip --prefix`, or by hand. */
export const librariesFolder = (storage: string): string => join(cudaFolder(storage), 'libraries');

/**
 * @param storage the extension's global storage, or the command line's
 * @throws SafeLoraError if the install is damaged
 */
export async function cudaState(
  storage: string,
  onnxruntimeVersion: string,
  machine: Machine = thisMachine(),
): Promise<CudaState> {
  const reason = unsupportedReason(machine);
  if (reason !== null) return { state: 'unsupported', reason };
  const folder = providerFolder(storage, onnxruntimeVersion);
  const provider = join(folder, PROVIDER_FILE);
  const kinds = await Promise.all([provider, join(folder, SHARED_FILE)].map(kindOf));
  if (kinds.some((kind) => kind !== 'file')) return { state: 'absent' };
  const read = await readNeeded(provider);
  const { libraries, missing, folders } = await findNeeded(read, provider, librariesFolder(storage), machine);
  if (missing.length === 0) return { state: 'ready', folder, searchPath: [folder, ...folders], libraries };
  return { state: 'incomplete', folder, missing, command: pipCommand(storage, read, missing) };
}

function pipCommand(storage: string, { needed }: Needed, missing: readonly Missing[]): string | null {
  const packages = missing.map(({ name }) => pipPackage(name, needed)).filter((name) => name !== null);
  if (packages.length === 0) return null;
  const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
  const names = [...new Set(packages)].map(quoted).join(' ');
  // A separate prefix works beside a system's managed Python, and in any active environment.
  return `python3 -m pip install --ignore-installed --prefix ${quoted(librariesFolder(storage))} ${names}`;
}

/**
 * Links onnxruntime's library beside the provider: it loads its providers from the folder under whose name it was loaded. Call it before
 * starting each process that uses CUDA, since an update of the extension moves the library.
 */
export async function linkRuntime(folder: string, runtimeLibrary: string): Promise<void> {
  const link = join(folder, RUNTIME_FILE);
  const before = await readlink(link).catch(() => null);
  if (before === runtimeLibrary) return;
  // The engine starts several processes at once.
  const fresh = `${link}.${randomUUID()}`;
  try {
    await symlink(runtimeLibrary, fresh);
    // A process that starts meanwhile finds the old link or the new one.
    await rename(fresh, link);
  } catch (error) {
    await rm(fresh, { force: true });
    throw fileError(link, error, 'write');
  }
}
