// Maps names of copies to the canonical model: quantised ones, conversions, and mirrors under another owner.
import { plainName, unquantisedName } from '../core/model-names';
import { knownIds } from './families';

export interface CanonicalModel {
  /** A repository id, or only a name if the owner is unknown. */
  id: string;
  /**
   * How the name relates to it: the model itself, a quantised copy, another owner's copy, or a folder's name.
   */
  how: 'same' | 'quantised' | 'mirror' | 'name';
}

/** Owners who publish others' models under their names; anyone else's may be a different model with the same name. */
const MIRRORS = new Set([
  'alpindale',
  'bartowski',
  'casperhansen',
  'hugging-quants',
  'ista-daslab',
  'lmstudio-community',
  'maziyarpanahi',
  'mistral-community',
  'mlx-community',
  'neuralmagic',
  'nousresearch',
  'quantfactory',
  'redhatai',
  'solidrust',
  'thebloke',
  'unsloth',
]);
/** None of these has exact weights, so their name without the suffix is not a repository. */
const ONLY_CONVERSIONS = new Set([
  'thebloke',
  'bartowski',
  'quantfactory',
  'maziyarpanahi',
  'solidrust',
  'casperhansen',
]);

/** A format of exact weights as part of the name. */
const CONVERSION = /-(?:fp16|bf16|f16)$/i;

/** Models that unsloth renames (`models/mapper.py` there). */
const NICKNAMES: ReadonlyMap<string, string> = new Map([
  ['mistral-7b', 'mistralai/Mistral-7B-v0.1'],
  ['tinyllama', 'TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T'],
  ['tinyllama-chat', 'TinyLlama/TinyLlama-1.1B-Chat-v1.0'],
  ['zephyr-sft', 'HuggingFaceH4/mistral-7b-sft-beta'],
]);

const byId = new Map(knownIds.map((id) => [id.toLowerCase(), id]));
const byPlainName = new Map(knownIds.map((id) => [plainName(id), id]));

/** @param name a repository id, or the name of a folder */
export function canonicalOf(name: string): CanonicalModel {
  const known = byId.get(name.toLowerCase());
  if (known !== undefined) return { id: known, how: 'same' };
  const slash = name.lastIndexOf('/');
  const owner = name.slice(0, Math.max(slash, 0)).toLowerCase();
  const last = name.slice(slash + 1);
  const exact = unquantisedName(last);
  const stripped = (exact ?? last).replace(CONVERSION, '');
  const isMirror = MIRRORS.has(owner);
  const original =
    (isMirror ? NICKNAMES.get(stripped.toLowerCase()) : undefined) ?? byPlainName.get(plainName(stripped));
  if (original !== undefined) {
    if (exact !== null) return { id: original, how: 'quantised' };
    // An earlier name of the same model from its owner, e.g. Meta-Llama-3.1-8B.
    if (original.toLowerCase().startsWith(`${owner}/`)) return { id: original, how: 'same' };
    if (isMirror) return { id: original, how: 'mirror' };
    if (owner === '') return { id: original, how: 'name' };
  }
  if (stripped === last) return { id: name, how: 'same' };
  const id = owner === '' || ONLY_CONVERSIONS.has(owner) ? stripped : `${name.slice(0, slash)}/${stripped}`;
  return { id, how: exact === null ? 'mirror' : 'quantised' };
}

/** Whether the table of families contains the canonical model. */
export function isKnownModel(name: string): boolean {
  return byId.has(canonicalOf(name).id.toLowerCase());
}
