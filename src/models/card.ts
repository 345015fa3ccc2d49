// A model card's front matter: which model it says that this one was made from.
import { plainName, unquantisedName } from '../core/model-names';
import { isObject } from '../core/objects';
import { pairingOf } from './families';
import { canonicalOf } from './canonical';

/** https://huggingface.co/docs/hub/model-cards#specifying-a-base-model */
export interface Card {
  baseModels: string[];
  relation: 'adapter' | 'finetune' | 'merge' | 'quantized' | null;
}

/** @returns the text of the repository's README.md, null where there is none */
export type ReadCard = (id: string) => Promise<string | null>;

/** What the cards of a model and of those it was made from say. */
export interface Ancestry {
  /** The model with its exact weights: itself, or what its cards say it is a copy of. */
  original: string;
  /** The model that it was tuned from, null where no card says one. */
  base: string | null;
  /** The model whose card names the base, or where the base is known from. */
  saidBy: string | null;
}

/** Longest front matter that is read; those of real cards have a few hundred letters, long lists of data sets some thousands. */
export const MAX_FRONT_MATTER = 65_536;
/** Against bombs: an alias in a card is rare. */
const MOST_ALIASES = 10;
/** A merge of many models names them all; more than one is no base anyway. */
const MOST_BASE_MODELS = 20;
/** Quantised → converted → instruct → base has three; and cards may lead in a circle. */
const MOST_STEPS = 5;
/** https://github.com/huggingface/huggingface_hub `validate_repo_id`: letters, digits, `-`, `_`, `.`, at most one owner. */
const REPO_ID = /^(?![.-])[\w.-]{1,96}(?:\/(?![.-])[\w.-]{1,96})?$/;
const relations = ['adapter', 'finetune', 'merge', 'quantized'] as const;

export function isRepoId(text: string): boolean {
  return REPO_ID.test(text) && !text.includes('--') && !text.includes('..');
}

/** @returns null where the text has no front matter that can be read */
export async function parseCard(text: string): Promise<Card | null> {
  const front = /^\uFEFF?---[ \t]*\r?\n([\s\S]*?)\r?\n---[ \t]*(?:\r?\n|$)/.exec(text.slice(0, MAX_FRONT_MATTER))?.[1];
  if (front === undefined) return null;
  // Loaded for the few who have a card to read.
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

/** Follows the cards from copies to the original, then one step to what that was tuned from. */
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
      // The parent of a model that was tuned in stages is aligned too.
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
