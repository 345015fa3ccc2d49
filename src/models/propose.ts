// Proposes the base and the aligned model for an adapter's model, each with its reason. Nothing is applied here.
import { basename, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { openCheckpoint } from '../core/checkpoint';
import { cachedRepository } from '../core/model-names';
import { ReadableFile } from '../core/files';
import { ancestryOf, isRepoId, MAX_FRONT_MATTER, parseCard, type ReadCard } from './card';
import { alignedModelsOf, type Pairing, pairingOf } from './families';
import { type Candidate, ModelFinder, means, type Location, type SearchScope, nameStated } from './find';
import { isKnownModel, canonicalOf } from './canonical';
import { type ModelState, readObject, stateOf } from './state';

export type ModelRole = 'base' | 'aligned';

/** Why a model is proposed for a role. */
export type Why =
  /** The adapter names it. */
  | { kind: 'named' }
  /** The adapter names a quantised or other copy of it. */
  | { kind: 'original'; of: string; how: 'quantised' | 'copy' }
  /** The card of a model names it as its `base_model`. */
  | { kind: 'card'; of: string }
  /** The table of families lists it as the base of a model. */
  | { kind: 'base-of'; family: string; of: string }
  /** The table, or its own card if it has no family, says that it was made from a base. */
  | { kind: 'aligned-from'; family: string | null; of: string }
  /** Found without a name: the only model near the adapter with the tensors of the aligned model. */
  | { kind: 'fits'; of: string };

export interface Proposal {
  role: ModelRole;
  /** Its name: a repository id if known. */
  name: string;
  /** For a download; null if only a folder's name is known. */
  id: string | null;
  /** Null if nothing of it is on this machine. */
  folder: string | null;
  state: ModelState;
  why: Why;
  location: Location | null;
  /** See `Candidate`. */
  statedAs: string | null;
  /** The original, if it is another owner's copy. */
  copyOf: string | null;
}

export interface Proposals {
  /** Usable ones first. */
  base: Proposal[];
  aligned: Proposal[];
  /** The adapter was trained on a base model, so it has no aligned model of its own. */
  trainedOnBase: { base: string; family: string | null; aligned: string[] } | null;
  /** No base of the aligned model was published. */
  withoutBase: Pairing | null;
}

export interface AdapterModel {
  /** The adapter's folder. */
  path: string;
  trainedOn: string | null;
}

/** Maximum in a list; a model rarely has more than two locations. */
const MOST_PROPOSALS = 8;
/** Cards that are searched for one that names the adapter's model as its base. */
const MOST_CARDS = 300;
/** Words in names of aligned models; a tuned one without them is more likely someone's own work. */
const ALIGNED_NAME = /[-_.](?:chat|instruct|it|dpo|rlhf|sft)(?=[-_.]|$)/i;

interface Wanted {
  /** A repository id, or only a name. */
  id: string;
  why: Why;
}

/** @param readCard from the hub, for models whose card is not on this machine; without it the network is not used */
export async function propose(adapter: AdapterModel, scope: SearchScope, readCard?: ReadCard): Promise<Proposals> {
  const none: Proposals = { base: [], aligned: [], trainedOnBase: null, withoutBase: null };
  if (adapter.trainedOn === null) return none;
  const finder = new ModelFinder(adapter.path, scope);
  const named = await finder.named(adapter.trainedOn);
  const stated = named === null ? nameStated(adapter.trainedOn) : await nameOfFolder(named);
  const cardOf = localCards(finder, named, stated, readCard);
  // Models missing in the table may have a card with the answer.
  const ancestry = await ancestryOf(isKnownModel(stated) ? canonicalOf(stated).id : stated, cardOf);
  const original = canonicalOf(ancestry.original).id;
  const why = whyOriginal(adapter.trainedOn, stated, original);
  const pairing = pairingOf(original);
  const trainedOnBase = pairing === undefined ? await asBase(original, ancestry.base, finder) : null;
  const found = async (role: ModelRole, wanted: readonly Wanted[]): Promise<Proposal[]> =>
    (await proposalsFor(role, wanted, finder)).map((proposal) =>
      proposal.id?.toLowerCase() === stated.toLowerCase()
        ? { ...proposal, why: { kind: 'named' }, copyOf: null }
        : proposal,
    );
  if (trainedOnBase !== null) {
    const { family, aligned } = trainedOnBase;
    const own = await atPath(named, 'base', original, why);
    return {
      ...none,
      base: [...own, ...without(own, await found('base', [{ id: original, why }]))],
      aligned: await found(
        'aligned',
        aligned.map((id): Wanted => ({ id, why: { kind: 'aligned-from', family, of: original } })),
      ),
      trainedOnBase,
    };
  }
  const own = await atPath(named, 'aligned', original, why);
  const aligned = [...own, ...without(own, await found('aligned', [{ id: original, why }]))];
  const bases = basesOf(ancestry, pairing);
  const withoutBase = pairing?.base === null && ancestry.base === null ? pairing : null;
  const isUnknown = bases.length === 0 && withoutBase === null;
  return {
    ...none,
    aligned,
    base: isUnknown ? await onlyFitting(aligned, finder) : await found('base', bases),
    withoutBase,
  };
}

/** A base for a model that names none: a model near the adapter, if it is the only possible one. */
async function onlyFitting(aligned: readonly Proposal[], finder: ModelFinder): Promise<Proposal[]> {
  const own = aligned.find(({ state }) => state.kind === 'here');
  const shapes = own?.folder == null ? null : await shapesOf(own.folder);
  if (shapes === null) return [];
  const fitting: Proposal[] = [];
  for (const candidate of await finder.beside()) {
    const isOther = !aligned.some(({ folder }) => folder === candidate.folder);
    if (isOther && candidate.state.kind === 'here' && isDeepStrictEqual(await shapesOf(candidate.folder), shapes))
      fitting.push(proposalOf('base', '', { kind: 'fits', of: own!.name }, candidate));
  }
  return fitting.length === 1 ? fitting : [];
}

/** A model's tensors by name; without the number of tokens, which alignment may increase. Null if unreadable. */
async function shapesOf(folder: string): Promise<Map<string, readonly (number | null)[]> | null> {
  try {
    const { tensors, config } = await openCheckpoint(folder);
    const isVocabulary = (size: number, i: number): boolean => i === 0 && size === config.vocab_size;
    return new Map(
      [...tensors].map(([name, { shape }]) => [name, shape.map((size, i) => (isVocabulary(size, i) ? null : size))]),
    );
  } catch {
    return null;
  }
}

/** The card first: it is the model's own. If the table agrees, both become one proposal. */
function basesOf(ancestry: { base: string | null; saidBy: string | null }, pairing: Pairing | undefined): Wanted[] {
  const wanted: Wanted[] = [];
  if (ancestry.base !== null && ancestry.saidBy !== null) {
    const id = canonicalOf(ancestry.base).id;
    const earlier = pairingOf(canonicalOf(ancestry.saidBy).id);
    const isFromTable = earlier !== undefined && earlier !== pairing && earlier.base === ancestry.base;
    const why: Why = isFromTable
      ? { kind: 'base-of', family: earlier.family, of: earlier.aligned }
      : { kind: 'card', of: ancestry.saidBy };
    wanted.push({ id, why });
  }
  const base = pairing?.base ?? null;
  if (pairing && base !== null && !wanted.some(({ id }) => means(id, base)))
    wanted.push({ id: base, why: { kind: 'base-of', family: pairing.family, of: pairing.aligned } });
  return wanted;
}

/** Whether the model is a base: according to the table, or to cards of aligned models on this machine. */
async function asBase(id: string, ownBase: string | null, finder: ModelFinder): Promise<Proposals['trainedOnBase']> {
  const known = alignedModelsOf(id);
  if (known.length > 0) return { base: id, family: known[0]!.family, aligned: known.map(({ aligned }) => aligned) };
  if (ownBase !== null || ALIGNED_NAME.test(id)) return null;
  const aligned: string[] = [];
  for (const repo of (await finder.cached()).slice(0, MOST_CARDS)) {
    if (!ALIGNED_NAME.test(repo.id) || canonicalOf(repo.id).how === 'quantised') continue;
    const text = await cardIn((await finder.snapshots(repo)).map(({ folder }) => folder));
    const card = text === null ? null : await parseCard(text);
    const isTuned = card !== null && (card.relation === null || card.relation === 'finetune');
    if (isTuned && card.baseModels.length === 1 && means(card.baseModels[0]!, id)) aligned.push(repo.id);
  }
  return aligned.length > 0 ? { base: id, family: null, aligned } : null;
}

async function proposalsFor(role: ModelRole, wanted: readonly Wanted[], finder: ModelFinder): Promise<Proposal[]> {
  const proposals: Proposal[] = [];
  for (const { id, why } of wanted) {
    const isRepo = id.includes('/') && isRepoId(id);
    const candidates = await finder.find(id);
    proposals.push(...candidates.map((candidate) => proposalOf(role, id, why, candidate)));
    if (isRepo && !candidates.some(({ state }) => state.kind === 'here' || state.kind === 'incomplete')) {
      const state: ModelState = { kind: 'absent' };
      proposals.push({ role, name: id, id, folder: null, state, why, location: null, statedAs: null, copyOf: null });
    }
  }
  // Sorting keeps the order of reasons among equals.
  return proposals.sort((a, b) => usability(a) - usability(b)).slice(0, MOST_PROPOSALS);
}

function proposalOf(role: ModelRole, wanted: string, why: Why, candidate: Candidate): Proposal {
  const { folder, id, location, statedAs, state } = candidate;
  const repo = id ?? (wanted.includes('/') ? wanted : null);
  const copyOf = id !== null && canonicalOf(id).how === 'mirror' ? wanted : null;
  return { role, name: id ?? basename(folder), id: repo, folder, state, why, location, statedAs, copyOf };
}

const usability = ({ state }: Proposal): number => ['here', 'incomplete', 'absent', 'pickle'].indexOf(state.kind);

/** The folder that the adapter names by its path. */
async function atPath(folder: string | null, role: ModelRole, original: string, why: Why): Promise<Proposal[]> {
  if (folder === null) return [];
  const state = await stateOf(folder);
  // For a quantised one, find the original.
  if (state.kind === 'quantised') return [];
  const id = cachedRepository(folder) ?? (original.includes('/') ? original : null);
  const path: Location = { kind: 'path' };
  return [{ role, name: id ?? basename(folder), id, folder, state, why, location: path, statedAs: null, copyOf: null }];
}

function without(these: readonly Proposal[], all: readonly Proposal[]): Proposal[] {
  const isHere = these.some(({ state }) => state.kind === 'here');
  return all.filter(
    ({ folder, state }) => !these.some((one) => one.folder === folder) && !(isHere && state.kind === 'absent'),
  );
}

function whyOriginal(trainedOn: string, stated: string, original: string): Why {
  if (canonicalOf(stated).how === 'same' && means(stated, original)) return { kind: 'named' };
  const { how } = canonicalOf(stated);
  if (how === 'name') return { kind: 'named' };
  const of = isRepoId(trainedOn) ? trainedOn : stated;
  return { kind: 'original', of, how: how === 'quantised' ? 'quantised' : 'copy' };
}

/** The repository of a folder: from its location in a cache, its name, or its configuration. */
async function nameOfFolder(folder: string): Promise<string> {
  const cached = cachedRepository(folder);
  if (cached !== null) return cached;
  const name = basename(folder);
  if (canonicalOf(name).id.includes('/')) return name;
  const stated = (await readObject(join(folder, 'config.json')))?._name_or_path;
  return typeof stated === 'string' && isRepoId(stated) && stated.includes('/') ? stated : name;
}

/** Cards on this machine, then on the hub. Each is read once. */
function localCards(finder: ModelFinder, named: string | null, stated: string, fromHub?: ReadCard): ReadCard {
  return async (id) => {
    const folders = named !== null && means(id, stated) ? [named] : [];
    for (const repo of await finder.cached()) {
      if (repo.id.toLowerCase() === id.toLowerCase())
        folders.push(...(await finder.snapshots(repo)).map(({ folder }) => folder));
    }
    return (await cardIn(folders)) ?? (await fromHub?.(id)) ?? null;
  };
}

async function cardIn(folders: readonly string[]): Promise<string | null> {
  for (const folder of folders) {
    const text = await beginningOf(join(folder, 'README.md'));
    if (text !== null) return text;
  }
  return null;
}

async function beginningOf(path: string): Promise<string | null> {
  return ReadableFile.with(path, async (file) =>
    Buffer.from(await file.read(0, Math.min(file.size, MAX_FRONT_MATTER))).toString('utf8'),
  ).catch(() => null);
}
