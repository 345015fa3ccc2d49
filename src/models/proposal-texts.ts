// A proposal as text, the same on every surface; callers pass the texts in the language of the editor.
import { format } from '../core/text';
import { isRepoId } from './card';
import { type Proposal, type Proposals } from './propose';

export interface ProposalTexts {
  named: string;
  /** The model that the adapter names. */
  quantised: string;
  copy: string;
  /** The model whose card it is. */
  card: string;
  /** Family, and the aligned model. */
  baseOf: string;
  /** Family, and the base. */
  alignedFrom: string;
  /** The base. */
  cardSays: string;
  /** The aligned model. */
  fits: string;
  /** The original. */
  copyOf: string;
  /** The name in the configuration. */
  statedAs: string;
  path: string;
  beside: string;
  /** The folder of the setting. */
  modelFolder: string;
  cache: string;
  /** Revision and commit. */
  cacheRevision: string;
  /** Commit. */
  cacheCommit: string;
  here: string;
  absent: string;
  pickle: string;
  quantisedState: string;
  /** Existing shards, and all. */
  shards: string;
  /** Names of files. */
  missing: string;
  loading: string;
  /** The base, and the list of aligned models. */
  trainedOnBase: string;
  /** The aligned model, and the source. */
  withoutBase: string;
}

/** In the command line and the log. */
export const englishTexts: ProposalTexts = {
  named: 'named by the adapter',
  quantised: 'the adapter names {0}, a quantised copy of it',
  copy: 'the adapter names {0}, a copy of it',
  card: 'base_model in the model card of {0}',
  baseOf: '{0} family: the base of {1}',
  alignedFrom: '{0} family: an aligned model made from {1}',
  cardSays: 'its model card says base_model {0}',
  fits: 'the only other model here with the tensors of {0}',
  copyOf: 'a copy of {0}',
  statedAs: 'its config.json says {0}',
  path: 'at the path that the adapter names',
  beside: 'near the adapter',
  modelFolder: 'in the model folder {0}',
  cache: 'in the Hugging Face cache',
  cacheRevision: 'in the Hugging Face cache (revision {0}, {1})',
  cacheCommit: 'in the Hugging Face cache ({0})',
  here: 'found',
  absent: 'not on this machine',
  pickle: 'in pickle format only, which is not read',
  quantisedState: 'quantised',
  shards: 'incomplete: {0} of {1} shards are there',
  missing: 'incomplete: {0} is missing',
  loading: 'incomplete: its download is not done',
  trainedOnBase:
    'The adapter was trained on {0}, a base model, not on an aligned one. Aligned models made from it: {1}.',
  withoutBase: 'No base of {0} was published ({1}); without one there is no direction of alignment.',
};

/** “named by the adapter, in the Hugging Face cache (revision main, 5f0b02c)” */
export function reasonText(proposal: Proposal, texts: ProposalTexts): string {
  const location = locationText(proposal, texts);
  return [whyText(proposal, texts), ...(location === null ? [] : [location])].join(', ');
}

/** “named by the adapter”, with remarks on copies and on names from configurations. */
export function whyText({ why, statedAs, copyOf }: Proposal, texts: ProposalTexts): string {
  const parts = [kindText(why, texts)];
  if (copyOf !== null) parts.push(format(texts.copyOf, copyOf));
  if (statedAs !== null) parts.push(format(texts.statedAs, statedAs));
  return parts.join(', ');
}

function kindText(why: Proposal['why'], texts: ProposalTexts): string {
  switch (why.kind) {
    case 'named':
      return texts.named;
    case 'original':
      return format(why.how === 'quantised' ? texts.quantised : texts.copy, why.of);
    case 'card':
      return format(texts.card, why.of);
    case 'base-of':
      return format(texts.baseOf, why.family, lastPart(why.of));
    case 'aligned-from':
      return why.family === null
        ? format(texts.cardSays, why.of)
        : format(texts.alignedFrom, why.family, lastPart(why.of));
    case 'fits':
      return format(texts.fits, lastPart(why.of));
  }
}

/** “in the Hugging Face cache (revision main, 5f0b02c)”, null if it was not found. */
export function locationText({ location }: Proposal, texts: ProposalTexts): string | null {
  switch (location?.kind) {
    case undefined:
      return null;
    case 'path':
      return texts.path;
    case 'beside':
      return texts.beside;
    case 'model-folder':
      return format(texts.modelFolder, location.folder);
    case 'cache':
      if (location.commit === null) return texts.cache;
      return location.revision === null
        ? format(texts.cacheCommit, location.commit)
        : format(texts.cacheRevision, location.revision, location.commit);
  }
}

/** “found”, “incomplete: 3 of 7 shards are there”, “not on this machine” */
export function stateText({ state }: Pick<Proposal, 'state'>, texts: ProposalTexts): string {
  switch (state.kind) {
    case 'here':
      return texts.here;
    case 'absent':
      return texts.absent;
    case 'pickle':
      return texts.pickle;
    case 'quantised':
      return texts.quantisedState;
    case 'incomplete': {
      const { shards, missing } = state;
      // Any download also brings a missing configuration.
      if (shards && shards.there < shards.total) return format(texts.shards, shards.there, shards.total);
      return missing.length > 0 ? format(texts.missing, missing.join(', ')) : texts.loading;
    }
  }
}

/** Remarks beside the proposals: an adapter of a base model, or an aligned model whose base was never published. */
export function explanation({ trainedOnBase, withoutBase }: Proposals, texts: ProposalTexts): string | null {
  if (trainedOnBase) return format(texts.trainedOnBase, trainedOnBase.base, trainedOnBase.aligned.join(', '));
  return withoutBase && format(texts.withoutBase, withoutBase.aligned, withoutBase.source);
}

/**
 * The command that downloads a model to the cache, without weights in other formats. One pattern covers .json and .safetensors: after one
 * --include, huggingface_hub from 1.0 on accepts only one (its issue 4663), and of several --include earlier versions use the last.
 */
export function downloadCommand(id: string | null): string | null {
  return id === null || !id.includes('/') || !isRepoId(id) ? null : `hf download ${id} --include "*.[js]*"`;
}

export function lastPart(id: string): string {
  return id.slice(id.lastIndexOf('/') + 1);
}
