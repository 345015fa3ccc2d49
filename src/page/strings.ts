// What every page says, in the language of the editor; a page itself holds no text.
import { findingTexts } from '../core/rules';
import { type Translation } from '../core/text';

export type SharedStrings = ReturnType<typeof sharedStrings>;

/** What every page with a heatmap says. */
export function sharedStrings(l10n: Translation) {
  return {
    measure: l10n.t('Shown measure'),
    measures: {
      similarity: l10n.t('Similarity'),
      aboveNull: l10n.t('Similarity − null'),
      direction: l10n.t('Direction'),
      gain: l10n.t('Gain'),
      updateNorm: l10n.t('Update norm'),
    },
    names: {
      similarity: l10n.t('similarity'),
      nullSimilarity: l10n.t('null'),
      direction: l10n.t('direction'),
      gain: l10n.t('gain'),
      updateNorm: l10n.t('‖ΔW‖'),
      alignmentNorm: l10n.t('‖V‖'),
      participationRatio: l10n.t('directions of V'),
    },
    definitions: {
      similarity: l10n.t('cos(ΔW, C·ΔW), 0 to 1: how far the update lies in the directions that alignment used'),
      aboveNull: l10n.t(
        'similarity minus its null level: above zero the update lies in those directions more than chance would',
      ),
      nullSimilarity: l10n.t('the similarity that a random update of this module would have, ± its standard error'),
      direction: l10n.t('cos(ΔW, V), −1 to 1: negative where the update works against what alignment did'),
      gain: l10n.t('‖C·ΔW‖ / ‖ΔW‖: what a projection leaves of the update'),
      updateNorm: l10n.t('‖B·A‖, the size of the update without alpha / r'),
      alignmentNorm: l10n.t('‖W_aligned − W_base‖, how far alignment moved this weight'),
      participationRatio: l10n.t('participation ratio of V, an estimate of how many directions it has'),
    },
    heatmap: l10n.t('Heatmap: {0} of each module, layers down, kinds across'),
    heatmapRole: l10n.t('heatmap'),
    layer: l10n.t('layer'),
    noLayer: l10n.t('none'),
    allLayers: l10n.t('All layers'),
    experts: l10n.t('Experts of layer {0}'),
    mainStack: l10n.t('model'),
    legend: {
      selected: l10n.t('selected'),
      nearNull: l10n.t('within two standard errors of the null level'),
      projected: l10n.t('projected'),
      pending: l10n.t('not measured'),
    },
    found: {
      ...findingTexts(l10n),
      where: l10n.t(', in layers {0}'),
      oneLayer: l10n.t(', in layer {0}'),
    },
    totalDirection: l10n.t('direction of all modules together {0}'),
    disclaimer: l10n.t(
      'Similarity says how far an update lies in the directions that alignment used, not what the model does. Measure behaviour before and after, on prompts of your own.',
    ),
  };
}
