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
  const readable =
    entry !== null &&
    Array.isArray(entry.modules) &&
    isHashes(entry.sha256) &&
    sameNames(entry.modules, Object.keys(entry.sha256)) &&
    isSelection(entry.selection);
  if (!readable) throw refuse();
  return entry as unknown as Provenance;
}

/** What is listed twice must say the same twice, or a part that goes by the one would miss what the other names. */
function sameNames(listed: readonly unknown[], keys: readonly string[]): boolean {
  const names = new Set(listed);
  return names.size === listed.length && names.size === keys.length && keys.every((key) => names.has(key));
}

export function isHashes(value: unknown): value is TensorHashes {
  return isObject(value) && Object.values(value).every((hash) => typeof hash === 'string');
}
