// Resolves a user's path to an adapter folder, or to an error that says what was found instead.
import { readdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { asides } from './atomic';
import { fileError, SafeLoraError, someNames } from './errors';
import { kindOf } from './files';
import { formatOfAdapterFiles } from './formats';

export const ADAPTER_FILE = 'adapter_model.safetensors';
const PICKLED_FILE = 'adapter_model.bin';

/** @throws SafeLoraError where nothing at a path is an adapter */
export async function adapterFolder(path: string): Promise<string> {
  const kind = await kindOf(path);
  if (kind === null) throw await absent(path);
  const folder = kind === 'folder' ? path : dirname(path);
  if (kind !== 'folder' && basename(path) !== ADAPTER_FILE) throw notAnAdapter(path);
  if ((await kindOf(join(folder, ADAPTER_FILE))) === null) throw await noAdapter(folder);
  return folder;
}

async function absent(path: string): Promise<SafeLoraError> {
  const earlier = asides(resolve(path)).find(({ isOld }) => isOld);
  const repository = await repositoryOf(path);
  return new SafeLoraError(
    'file-access',
    earlier
      ? `${path}: the folder is not there, since replacing it was interrupted; its earlier content is ${earlier.path}, which the same command brings back when it is run again.`
      : `${path}: the adapter does not exist; check the path${repository === null ? '' : `, or, if it is on the hub, download it: hf download ${repository} --local-dir DIR`}.`,
  );
}

/** The repository that a path may mean, as `org/name`; null for a path in an existing folder. */
async function repositoryOf(path: string): Promise<string | null> {
  const [, scheme, id] = /^(hf:\/\/)?(\w[\w.-]*\/\w[\w.-]*)$/.exec(path) ?? [];
  if (id === undefined) return null;
  return scheme !== undefined || (await kindOf(dirname(path))) === null ? id : null;
}

/** Describes a folder without an adapter's weights. */
async function noAdapter(folder: string): Promise<SafeLoraError> {
  const pickle = join(folder, PICKLED_FILE);
  if ((await kindOf(pickle)) !== null) {
    return new SafeLoraError(
      'format-pickle',
      `${pickle}: the adapter is in PyTorch's pickle format, which is not supported; load it with PEFT and save it again with model.save_pretrained(NEW_DIR, safe_serialization=True).`,
    );
  }
  const refuse = (what: string, next: string): SafeLoraError =>
    new SafeLoraError('file-access', `${folder}: contains ${what}; ${next}.`);
  const inside = await adaptersInside(folder);
  if (inside.length === 1) return refuse(`no ${ADAPTER_FILE}, but an adapter in a subfolder`, `give ${inside[0]!}`);
  if (inside.length > 1)
    return refuse(
      `no ${ADAPTER_FILE}, but ${inside.length} adapters in subfolders`,
      `give one of ${someNames(inside)}`,
    );
  const names = await readdir(folder).catch((error: unknown) => {
    throw fileError(folder, error);
  });
  const format = formatOfAdapterFiles(names.sort());
  return format ? refuse(format.what, format.next) : refuse(`no ${ADAPTER_FILE}`, 'give the folder of a LoRA adapter');
}

/**
 * Trainers save adapters in folders of checkpoints (`checkpoint-500/`), PEFT one of another name in a folder called so; verl three levels
 * deep (`global_step_100/actor/lora_adapter/`).
 */
const MOST_LEVELS = 3;
/** Limit per folder: enough for a training's checkpoints, without walking a whole disk. */
const MOST_FOLDERS = 200;

async function adaptersInside(folder: string): Promise<string[]> {
  const found: string[] = [];
  let level = [folder];
  for (let depth = 0; depth < MOST_LEVELS && found.length === 0; depth++) {
    const next: string[] = [];
    for (const parent of level) {
      const entries = await readdir(parent, { withFileTypes: true }).catch(() => []);
      const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
      next.push(
        ...names
          .sort()
          .slice(0, MOST_FOLDERS)
          .map((name) => join(parent, name)),
      );
    }
    level = next.slice(0, MOST_FOLDERS);
    for (const child of level) if (await holdsAdapter(child)) found.push(child);
  }
  return found;
}

/** Also finds adapters in pickle format: opening one explains what to do. */
async function holdsAdapter(folder: string): Promise<boolean> {
  const kinds = await Promise.all(
    [ADAPTER_FILE, PICKLED_FILE].map((name) => kindOf(join(folder, name)).catch(() => null)),
  );
  return kinds.includes('file');
}

function notAnAdapter(path: string): SafeLoraError {
  const format = formatOfAdapterFiles([basename(path)]);
  return new SafeLoraError(
    'file-access',
    format
      ? `${path}: is not an adapter (${format.what}); ${format.next}.`
      : `${path}: is not an adapter; give its folder or the ${ADAPTER_FILE} in it.`,
  );
}
