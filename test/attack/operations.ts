// Everything that writes an adapter, as one call each on a small adapter: what races and kills are tried with.
import { join } from 'node:path';
import { openAdapter } from '../../src/core/adapter';
import { originalHashes } from '../../src/core/originals';
import { checkDestination, writeFolder } from '../../src/core/output';
import { writeAdapterFile } from '../../src/core/patch';
import { readPatch, writePatch } from '../../src/core/patch-file';
import { saveCopy, saveInPlace } from '../../src/core/save';
import { markedProjection } from '../fixtures/projection';

export const MODULES = ['q_proj', 'k_proj', 'v_proj', 'o_proj'].map((kind) => `model.layers.0.self_attn.${kind}`);
export const WEIGHTS = 'adapter_model.safetensors';

export const pathsIn = (root: string) => ({
  adapter: join(root, 'adapter'),
  weights: join(root, 'adapter', WEIGHTS),
  originals: join(root, 'adapter', 'safe_lora_original.safetensors'),
  patch: join(root, 'patch.safelora.safetensors'),
  copy: join(root, 'copy'),
  out: join(root, 'out'),
});

async function open(root: string) {
  const { adapter, originals } = pathsIn(root);
  return openAdapter(adapter, originals);
}

/** Saves a projection of some modules in place. */
export async function save(root: string, modules: readonly string[], mark: number): Promise<void> {
  const adapter = await open(root);
  await saveInPlace(adapter, markedProjection(adapter, modules, mark), pathsIn(root).originals, '{"report":1}\n');
}

export async function restore(root: string): Promise<void> {
  await saveInPlace(await open(root), null, pathsIn(root).originals, null);
}

async function makePatch(root: string): Promise<void> {
  const adapter = await open(root);
  const projection = markedProjection(adapter, MODULES.slice(1), 5);
  await writePatch(pathsIn(root).patch, adapter, await originalHashes(adapter), projection);
}

async function applyPatch(root: string): Promise<void> {
  const adapter = await open(root);
  const projection = await readPatch(pathsIn(root).patch, adapter);
  await saveInPlace(adapter, projection, pathsIn(root).originals, '{"report":2}\n');
}

export async function copy(root: string, mark = 9): Promise<void> {
  const adapter = await open(root);
  const projection = markedProjection(adapter, MODULES.slice(0, 2), mark);
  await saveCopy(join(pathsIn(root).copy, WEIGHTS), adapter, projection, '{"report":3}\n');
}

/** What the command line's `project` does. */
export async function folder(root: string, mark: number, force = false): Promise<void> {
  const adapter = await open(root);
  const destination = await checkDestination(pathsIn(root).out, adapter, force);
  const projection = markedProjection(adapter, MODULES.slice(0, 2), mark);
  await writeFolder(
    destination,
    adapter,
    (path) => writeAdapterFile(path, adapter, projection),
    () => '{"report":4}\n',
  );
}

interface Operation {
  /** Brings a folder with a new adapter to where the operation begins. */
  prepare: (root: string) => Promise<void>;
  act: (root: string) => Promise<void>;
}

const first = (root: string): Promise<void> => save(root, MODULES.slice(0, 2), 1);
const nothing = (): Promise<void> => Promise.resolve();

export const operations: Readonly<Record<string, Operation>> = {
  'first save': { prepare: nothing, act: first },
  'second save': { prepare: first, act: (root) => save(root, MODULES.slice(1, 4), 2) },
  restore: { prepare: first, act: restore },
  'write patch': { prepare: nothing, act: makePatch },
  'apply patch': { prepare: makePatch, act: applyPatch },
  'save as': { prepare: nothing, act: copy },
  project: { prepare: nothing, act: (root) => folder(root, 6) },
  'project with force': { prepare: (root) => folder(root, 6), act: (root) => folder(root, 8, true) },
};
