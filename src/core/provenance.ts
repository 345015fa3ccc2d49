// What was projected, with which models: the `safe_lora` entry that travels in a file's metadata.
import { isObject, parseObject } from './objects';
import { type SafetensorsFile, type TensorHashes } from './safetensors';
import { isSelection, type Selection } from './selection';

/** The metadata entry. */
export const PROVENANCE_KEY = 'safe_lora';

/** Neither a path nor a time, so that equal input gives equal bytes. */
export interface Provenance {
  schema: string;
  tool: { version: string };
  adapter: { name: string };
  base: { name: string; headers: string };
  aligned: { name: string; headers: string };
  selection: Selection;
  /** Every module whose lora_B is a projection. */
  modules: string[];
  /** SHA-256 of the projected lora_B, by module. */
  sha256: TensorHashes;
}

/**
 * @returns null where the entry is missing
 * @throws what `refuse` makes where it is not one that this tool writes
 */
export function readProvenance(file: SafetensorsFile, refuse: () => Error): Provenance | null {
  const text = file.metadata.get(PROVENANCE_KEY);
  if (text === undefined) return null;
  const entry = parseObject(text);
  const names = entry?.modules;
  const readable =
    entry !== null &&
    Array.isArray(names) &&
    names.every((name) => typeof name === 'string') &&
    isHashes(entry.sha256 ?? {}) &&
    isSelection(entry.selection);
  if (!readable) throw refuse();
  // Written before 0.1.0 was complete, it has no hashes: its originals are then not to be found.
  return { ...entry, sha256: entry.sha256 ?? {} } as unknown as Provenance;
}

export function isHashes(value: unknown): value is TensorHashes {
  return isObject(value) && Object.values(value).every((hash) => typeof hash === 'string');
}
