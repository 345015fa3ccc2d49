// The texts of proposals in the language of the editor.
import { l10n } from 'vscode';
import { type ProposalTexts } from '../../models/proposal-texts';

export function proposalTexts(): ProposalTexts {
  return {
    named: l10n.t('named by the adapter'),
    quantised: l10n.t('the adapter names {0}, a quantised copy of it'),
    copy: l10n.t('the adapter names {0}, a copy of it'),
    card: l10n.t('base_model in the model card of {0}'),
    baseOf: l10n.t('{0} family: the base of {1}'),
    alignedFrom: l10n.t('{0} family: an aligned model made from {1}'),
    cardSays: l10n.t('its model card says base_model {0}'),
    fits: l10n.t('the only other model here with the tensors of {0}'),
    copyOf: l10n.t('a copy of {0}'),
    statedAs: l10n.t('its config.json says {0}'),
    path: l10n.t('at the path that the adapter names'),
    beside: l10n.t('near the adapter'),
    modelFolder: l10n.t('in the model folder {0}'),
    cache: l10n.t('in the Hugging Face cache'),
    cacheRevision: l10n.t('in the Hugging Face cache (revision {0}, {1})'),
    cacheCommit: l10n.t('in the Hugging Face cache ({0})'),
    here: l10n.t('found'),
    absent: l10n.t('not on this machine'),
    pickle: l10n.t('in pickle format only, which is not read'),
    quantisedState: l10n.t('quantised'),
    shards: l10n.t('incomplete: {0} of {1} shards are there'),
    missing: l10n.t('incomplete: {0} is missing'),
    loading: l10n.t('incomplete: its download is not done'),
    trainedOnBase: l10n.t(
      'The adapter was trained on {0}, a base model, not on an aligned one. Aligned models made from it: {1}.',
    ),
    withoutBase: l10n.t('No base of {0} was published ({1}); without one there is no direction of alignment.'),
  };
}
