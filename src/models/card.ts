// A model card's front matter: the model that this one was made from.
import { plainName, unquantisedName } from '../core/model-names';
import { isObject } from '../core/objects';
import { pairingOf } from './families';
import { canonicalOf } from './canonical';

/** https://huggingface.co/docs/hub/model-cards#specifying-a-base-model */
export interface Card {
  baseModels: string[];
  relation: 'adapter' | 'finetune' | 'merge' | 'quantized' | null;
}

/** @returns the repository's README.md, null if there is none */
export type ReadCard = (id: string) => Promise<string | null>;

/** Facts from the cards of a model and its ancestors. */
export interface Ancestry {
  /** The model with exact weights: itself, or the original of the copy. */
  original: string;
  /** The model that it was tuned from, null if no card names one. */
  base: string | null;
  /** The model whose card names the base, or the source of that. */
  saidBy: string | null;
}

/** Maximum length of front matter; real cards have a few hundred characters, long lists of data sets some thousands. */
export const MAX_FRONT_MATTER = 65_536;
/** Limits alias bombs: cards rarely have aliases. */
const MOST_ALIASES = 10;
/** A merge names all its models; more than one is no base anyway. */
const MOST_BASE_MODELS = 20;
/** Quantised → converted → instruct → base needs three; cards may also form a loop. */
const MOST_STEPS = 5;
/** https://github.com/huggingface/huggingface_hub `validate_repo_id`: letters, digits, `-`, `_`, `.`, at most one owner. */
const REPO_ID = /^(?![.-])[\w.-]{1,96}(?:\/(?![.-])[\w.-]{1,96})?$/;
const relations = ['adapter', 'finetune', 'merge', 'quantized'] as const;

export function isRepoId(text: string): boolean {
  return REPO_ID.test(text) && !text.includes('--') && !text.includes('..');
}

/** @returns null if the text has no valid front matter */
export async function parseCard(text: string): Promise<Card | null> {
  const front = /^\uFEFF?---[ \t]*\r?\n([\s\S]*?)\r?\n---[ \t]*(?:\r?\n|$)/.exec(text.slice(0, MAX_FRONT_MATTER))?.[1];
  if (front === undefined) return null;
  // Loaded only when a card must be read.
  const { parse } = await import('yaml');
  let data: unknown;
  try {
    data = parse(front, { maxAliasCount: MOST_ALIASES, logLevel: 'error' });
  } catch {
    return null;
  }
  if (!isObject(data)) return null;
  const named: unknown[] = Array.isArray(data.base_model) ? data.base_model : [data.base_model];
  const baseModels = named.filter((id): id is string => typeof id === 'string' && isRepoId(id));
  return {
    baseModels: [...new Set(baseModels)].slice(0, MOST_BASE_MODELS),
    relation: relations.find((relation) => relation === data.base_model_relation) ?? null,
  };
}

/** Follows the cards from copies to the original, then one step to its base. */
export async function ancestryOf(id: string, readCard: ReadCard): Promise<Ancestry> {
  const seen = new Set([id.toLowerCase()]);
  let original = id;
  for (let step = 0; step < MOST_STEPS; step++) {
    const text = await readCard(original);
    const card = text === null ? null : await parseCard(text);
    const parent = card?.baseModels.length === 1 ? card.baseModels[0]! : null;
    if (card === null || parent === null || seen.has(parent.toLowerCase())) break;
    seen.add(parent.toLowerCase());
    if (isCopy(original, parent, card.relation)) {
      original = parent;
    } else if (card.relation === 'adapter' || card.relation === 'merge') {
      break;
    } else {
      // A model tuned in stages has an aligned parent, too.
      const earlier = pairingOf(canonicalOf(parent).id);
      if (!earlier) return { original, base: parent, saidBy: original };
      return { original, base: earlier.base, saidBy: earlier.base === null ? null : parent };
    }
  }
  return { original, base: null, saidBy: null };
}

/** Cards of mirrors and quantised models name the original as their base, many without the relation. */
function isCopy(id: string, parent: string, relation: Card['relation']): boolean {
  if (relation !== null) return relation === 'quantized';
  const last = id.slice(id.lastIndexOf('/') + 1);
  return unquantisedName(last) !== null || plainName(id) === plainName(parent);
}
