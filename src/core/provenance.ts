// What was projected, with which models: the `safe_lora` entry that travels in a file's metadata.
import { isObject, parseObject } from './objects';
import { DEFAULT_REPLACEMENT, isReplacement, type ReplacementName } from './replacement';
import { type SafetensorsFile, type TensorHashes } from './safetensors';
import { readSelection, type Selection } from './rules';

/** The metadata entry. */
export const PROVENANCE_KEY = 'safe_lora';
export const PROVENANCE_SCHEMA = 'safe-lora/provenance@2';
/** Named no replacement, since only one existed. */
const FIRST_SCHEMA = 'safe-lora/provenance@1';

/** No path and no time, so that equal input gives equal bytes. */
export interface Provenance {
  schema: typeof PROVENANCE_SCHEMA;
  tool: { version: string };
  adapter: { name: string };
  base: { name: string; headers: string };
  aligned: { name: string; headers: string };
  selection: Selection;
  /** How the selected modules were replaced. */
  replacement: ReplacementName;
  /** Every module whose lora_B is a projection. */
  modules: string[];
  /** SHA-256 of the projected lora_B, by module. */
  sha256: TensorHashes;
}

/**
 * @returns null where the entry is missing
 * @throws the error of `refuse` where this tool did not write it
 */
export function readProvenance(file: SafetensorsFile, refuse: () => Error): Provenance | null {
  const text = file.metadata.get(PROVENANCE_KEY);
  if (text === undefined) return null;
  const provenance = provenanceIn(parseObject(text) ?? {});
  if (!provenance) throw refuse();
  return provenance;
}

/** Reads only what this tool writes: nothing else of an entry gets into a report. */
function provenanceIn(entry: Readonly<Record<string, unknown>>): Provenance | null {
  const text = (of: unknown, key: string): string => {
    const value = isObject(of) ? of[key] : undefined;
    return typeof value === 'string' ? value : '';
  };
  const modelOf = (value: unknown): Provenance['base'] => ({
    name: text(value, 'name'),
    headers: text(value, 'headers'),
  });
  const { schema, modules, sha256 } = entry;
  const replacement = schema === FIRST_SCHEMA ? DEFAULT_REPLACEMENT : entry.replacement;
  if (schema !== FIRST_SCHEMA && schema !== PROVENANCE_SCHEMA) return null;
  if (!Array.isArray(modules) || !isHashes(sha256) || !sameNames(modules, Object.keys(sha256))) return null;
  const selection = readSelection(entry.selection);
  if (!selection || !isReplacement(replacement)) return null;
  return {
    schema: PROVENANCE_SCHEMA,
    tool: { version: text(entry.tool, 'version') },
    adapter: { name: text(entry.adapter, 'name') },
    base: modelOf(entry.base),
    aligned: modelOf(entry.aligned),
    selection,
    replacement,
    modules,
    sha256,
  };
}

/** Duplicated lists must agree, or code that reads one would miss what the other names. */
function sameNames(listed: readonly unknown[], keys: readonly string[]): listed is string[] {
  const names = new Set(listed);
  return names.size === listed.length && names.size === keys.length && keys.every((key) => names.has(key));
}

export function isHashes(value: unknown): value is TensorHashes {
  return isObject(value) && Object.values(value).every((hash) => typeof hash === 'string');
}
