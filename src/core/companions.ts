// The adapter's other files: which are copied to a new folder and which are not. Adapters come from strangers, and people publish results:
// a link to a file elsewhere on this machine must not become a regular file in the output.
import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readdir, realpath, writeFile } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';
import { type Adapter } from './adapter';
import { ADAPTER_FILE } from './adapter-folder';
import { CONFIG_FILE } from './adapter-config';
import { fileError, type Notice, SafeLoraError, someNames } from './errors';
import { isAside } from './atomic';

/** A file to copy. */
export interface Companion {
  name: string;
  /** Its path, links resolved. */
  path: string;
  /** Replaces the file's present content; undefined to copy it. */
  content?: Uint8Array;
}

// State of an unfinished training run, and files about the old weights that would be wrong beside the new ones.
const LEFT_OUT = /^(?:optimizer\.pt|scheduler\.pt|rng_state.*|trainer_state\.json|training_args\.bin|safe_lora_.*)$/;

/**
 * The snapshots of the hub's cache are links to files in `blobs` of the same repository:
 * https://huggingface.co/docs/huggingface_hub/guides/manage-cache
 */
const SNAPSHOT = /^(.*[\\/](?:models|datasets|spaces)--[^\\/]+)[\\/]snapshots[\\/][^\\/]+(?:[\\/]|$)/;

export interface Companions {
  copied: Companion[];
  /** Names of links that point outside. */
  linked: string[];
  /** Names what is not copied. */
  notices: Notice[];
}

export async function companions(adapter: Adapter): Promise<Companions> {
  const copied: Companion[] = [];
  const left: string[] = [];
  const linked: string[] = [];
  for (const name of (await readdir(adapter.realPath)).sort()) {
    if (name === ADAPTER_FILE || isAside(name)) continue;
    const path = LEFT_OUT.test(name) ? null : await regularFile(join(adapter.realPath, name));
    if (path === null) left.push(name);
    // The configuration was read and checked when the adapter was opened: copy that content, wherever the file is now.
    else if (name === CONFIG_FILE) copied.push({ name, path, content: adapter.config.bytes });
    else if (belongs(path, adapter.realPath)) copied.push({ name, path });
    else linked.push(name);
  }
  const parts = [
    left.length > 0 ? `Not copied from the adapter's folder: ${someNames(left)}.` : '',
    linked.length > 0
      ? `Not copied, because they are links out of the adapter's folder: ${someNames(linked)}; replace them with the files to take them along.`
      : '',
  ].filter((part) => part !== '');
  const notices: Notice[] =
    parts.length === 0 ? [] : [{ code: 'files-left-out', message: parts.join(' '), modules: [] }];
  return { copied, linked, notices };
}

/** The real path of a regular file, or null for anything else; opens nothing. */
async function regularFile(path: string): Promise<string | null> {
  try {
    const real = await realpath(path);
    return (await lstat(real)).isFile() ? real : null;
  } catch {
    return null;
  }
}

/** True inside the adapter's own folder, and among its repository's blobs in the hub's cache. */
function belongs(file: string, folder: string): boolean {
  const repo = SNAPSHOT.exec(folder)?.[1];
  return isInside(file, folder) || (repo !== undefined && isInside(file, join(repo, 'blobs')));
}

/** True for the folder itself, too. */
export function isInside(inner: string, outer: string): boolean {
  const path = relative(outer, inner);
  return path === '' || (path !== '..' && !path.startsWith(`..${sep}`) && resolve(outer, path) === inner);
}

/**
 * Writes a companion, with its mode, to an unused path.
 * @throws SafeLoraError where something else has replaced it since `companions` saw it
 */
export async function copyCompanion({ path, content }: Companion, target: string): Promise<void> {
  const source = await openUnmoved(path);
  try {
    const { mode } = await source.stat();
    const copy = await open(target, 'wx');
    try {
      await writeFile(copy, content ?? source.createReadStream({ autoClose: false }));
      await copy.chmod(mode & 0o777);
      await copy.sync();
    } finally {
      await copy.close();
    }
  } finally {
    await source.close();
  }
}

/** Opens a file whose links were resolved before, unless a link or a non-file has replaced it. */
async function openUnmoved(path: string): Promise<FileHandle> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const handle = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch((error: unknown) => {
    throw (error as NodeJS.ErrnoException).code === 'ELOOP' ? replaced(path) : fileError(path, error);
  });
  // The flag covers only the last part of the path; a folder above it may have become a link, too.
  if ((await handle.stat()).isFile() && (await realpath(path).catch(() => null)) === path) return handle;
  await handle.close();
  throw replaced(path);
}

function replaced(path: string): SafeLoraError {
  return new SafeLoraError(
    'changed-on-disk',
    `${path}: was replaced by something that is not a regular file while it was to be copied; check the adapter's folder and try again.`,
  );
}
