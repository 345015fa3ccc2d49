// Texts shared by all pages, in the language of the editor; the pages themselves contain none.
import { findingTexts } from '../core/rules';
import { type Translation } from '../core/text';

export type SharedStrings = ReturnType<typeof sharedStrings>;

/** Texts of every page with a heatmap. */
export function sharedStrings(l10n: Translation) {
  return {
    measure: l10n.t('Shown measure'),
    measures: {
      similarity: l10n.t('Similarity'),
      aboveNull: l10n.t('Similarity − chance'),
      direction: l10n.t('Agreement'),
      gain: l10n.t('Update kept'),
      updateNorm: l10n.t('Update norm'),
    },
    names: {
      similarity: l10n.t('similarity'),
      nullSimilarity: l10n.t('chance level'),
      direction: l10n.t('agreement'),
      gain: l10n.t('update kept'),
      updateNorm: l10n.t('‖ΔW‖'),
      alignmentNorm: l10n.t('‖V‖'),
      participationRatio: l10n.t('effective rank of V'),
    },
    definitions: {
      similarity: l10n.t(
        'cos(ΔW, C·ΔW) with C = V·Vᵀ/‖V‖, 0 to 1: how much of the update lies in the directions that alignment changed',
      ),
      aboveNull: l10n.t(
        'similarity minus its chance level: above zero, the update follows the directions that alignment changed more than a random update would',
      ),
      nullSimilarity: l10n.t('the similarity that a random update of this module would have, ± its standard error'),
      direction: l10n.t('cos(ΔW, V), −1 to 1: negative where the update works against what alignment changed'),
      gain: l10n.t('‖C·ΔW‖ / ‖ΔW‖: how much of the update a projection keeps, by size'),
      updateNorm: l10n.t('‖B·A‖: the size of the update, without alpha / r'),
      alignmentNorm: l10n.t('‖V‖ with V = W_aligned − W_base: how far alignment moved this weight'),
      participationRatio: l10n.t('participation ratio of V: about how many directions alignment changed'),
    },
    ends: {
      similarity: [l10n.t('unlike what alignment changed'), l10n.t('like it')],
      aboveNull: [l10n.t('below chance'), l10n.t('above chance')],
      direction: [l10n.t('against the alignment'), l10n.t('with it')],
      gain: [l10n.t('removed by a projection'), l10n.t('kept')],
      updateNorm: [l10n.t('small'), l10n.t('large')],
    } satisfies Record<string, [string, string]>,
    heatmap: l10n.t('Heatmap: {0} of each module, layers down, target modules across'),
    heatmapRole: l10n.t('heatmap'),
    layer: l10n.t('layer'),
    noLayer: l10n.t('none'),
    allLayers: l10n.t('All layers'),
    experts: l10n.t('Experts of layer {0}'),
    mainStack: l10n.t('model'),
    legend: {
      selected: l10n.t('selected'),
      some: l10n.t('some experts selected; › opens them, the lowest is shown'),
      nearNull: l10n.t('at chance level'),
      projected: l10n.t('projected'),
      pending: l10n.t('not measured'),
    },
    found: {
      ...findingTexts(l10n),
      where: l10n.t(', in layers {0}'),
      oneLayer: l10n.t(', in layer {0}'),
    },
    totalDirection: l10n.t('agreement of all modules {0}'),
    disclaimer: l10n.t(
      'Similarity says how closely an update follows the directions that alignment changed, not what the model does. Measure behaviour before and after, with your own prompts.',
    ),
  };
}
