// Every text of the editor's page, in the language of the editor; the page itself holds none.
import { l10n } from 'vscode';
import { findingTexts } from '../rule-words';

export type PageStrings = ReturnType<typeof pageStrings>;
export type SharedStrings = ReturnType<typeof sharedStrings>;

/** What every page with a heatmap says. */
export function sharedStrings() {
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
      ...findingTexts(),
      where: l10n.t(', in layers {0}'),
      oneLayer: l10n.t(', in layer {0}'),
    },
    totalDirection: l10n.t('direction of all modules together {0}'),
    claim: l10n.t(
      'Similarity says how far an update lies in the directions that alignment used, not what the model does. Measure behaviour before and after, on prompts of your own.',
    ),
  };
}

export function pageStrings() {
  return {
    ...sharedStrings(),
    rank: l10n.t('rank {0}'),
    alpha: l10n.t('alpha {0}'),
    base: l10n.t('Base'),
    aligned: l10n.t('Aligned'),
    notChosen: l10n.t('not chosen'),
    choose: l10n.t('Choose…'),
    change: l10n.t('Change…'),
    progress: l10n.t('Modules measured'),
    toolbar: l10n.t('Adapter actions'),
    actions: {
      run: l10n.t('Measure'),
      resume: l10n.t('Resume'),
      cancel: l10n.t('Cancel'),
      apply: l10n.t('Apply'),
      save: l10n.t('Save'),
      saveAs: l10n.t('Save As…'),
      restore: l10n.t('Restore Originals'),
      export: l10n.t('Export'),
      exportJson: l10n.t('Report as JSON…'),
      exportCsv: l10n.t('Report as CSV…'),
      exportPicture: l10n.t('Heatmap as PNG…'),
      copyMarkdown: l10n.t('Copy as Markdown'),
      retry: l10n.t('Retry'),
      reload: l10n.t('Reload'),
      discard: l10n.t('Discard Unsaved Edits'),
      manageTrust: l10n.t('Manage Workspace Trust'),
      showLog: l10n.t('Show Log'),
      reset: l10n.t('Reset'),
    },
    heatmapHelp: l10n.t('Arrow keys move between cells, Space selects or deselects, Enter opens experts.'),
    kind: l10n.t('kind'),
    expert: l10n.t('expert'),
    expertsCell: l10n.t('{0} experts, the lowest shown; {1} selected. Click to open.'),
    stack: l10n.t('stack'),
    profile: l10n.t('By depth'),
    profileLabel: l10n.t('{0} of each kind by layer'),
    nullLevel: l10n.t('null level (mean)'),
    threshold: l10n.t('threshold τ'),
    selection: l10n.t('Selection'),
    byThreshold: l10n.t('Threshold τ'),
    byCount: l10n.t('Count K'),
    thresholdSlider: l10n.t('Threshold τ: modules whose similarity is at or below it are selected'),
    thresholdField: l10n.t('Threshold τ, from 0 to 1'),
    countField: l10n.t('Count K: how many modules of lowest similarity are selected'),
    histogram: l10n.t('How many modules have which similarity'),
    byHand: l10n.t('By hand: {0} added, {1} removed'),
    applyNone: l10n.t('Take Back'),
    appliedClean: l10n.t('{0} projected in the file'),
    appliedDirty: l10n.t('{0} projected, not saved'),
    nothingApplied: l10n.t('nothing projected'),
    nothingAppliedDirty: l10n.t('nothing projected, not saved'),
    modules: l10n.t('Modules'),
    filter: l10n.t('Filter by name'),
    selectedOnly: l10n.t('Selected only'),
    noMatch: l10n.t('No module matches the filter.'),
    table: l10n.t(
      'All modules. Arrow keys move between rows, Space selects or deselects, Enter shows details, Escape hides them.',
    ),
    selectedColumn: l10n.t('selected'),
    yes: l10n.t('yes'),
    byHandMark: l10n.t('by hand'),
    projectedMark: l10n.t('projected'),
    originalGone: l10n.t('original gone'),
    announce: {
      selected: l10n.t('{0} selected'),
      deselected: l10n.t('{0} not selected'),
      copied: l10n.t('Copied as Markdown.'),
      done: l10n.t('Measured.'),
    },
    states: {
      noModels: l10n.t('Choose the base and the aligned model to measure how each module lies to the alignment.'),
      idle: l10n.t('Nothing is measured yet.'),
      running: l10n.t('{0} of {1} modules, {2} of {3}'),
      runningBare: l10n.t('{0} of {1} modules'),
      fetching: l10n.t('{0} of {1} fetched from the hub'),
      cancelled: l10n.t('Cancelled with {0} of {1} modules measured. Resume measures the rest.'),
      cancelledEarly: l10n.t('Cancelled before a module was measured.'),
      failed: l10n.t('{0} of {1} modules measured.'),
      changedOnDisk: l10n.t(
        'The file changed on disk after it was opened; what is shown describes the file as it was.',
      ),
      changedDirty: l10n.t('Reload discards what is applied and not saved.'),
      untrusted: l10n.t('This workspace is not trusted: adapters can be measured, but nothing is applied or saved.'),
      alreadyProjected: l10n.t(
        '{0} projected in this file, without its originals: they are not selected, and their numbers describe the projection.',
      ),
      presentProjection: l10n.t('The numbers are those of the original weights.'),
      readOnly: {
        'symbolic-link': l10n.t(
          'Read-only: the adapter is a symbolic link. Save As writes the projected adapter to another folder.',
        ),
        'hub-cache': l10n.t(
          "Read-only: the adapter lies in the hub's cache, which other revisions share. Save As writes the projected adapter to another folder.",
        ),
        'no-permission': l10n.t(
          'Read-only: this user may not write the file or its folder. Save As writes the projected adapter to another folder.',
        ),
        'not-on-disk': l10n.t(
          'Read-only: this is not a file on disk, but a revision or a remote file. Save As writes the projected adapter to a folder.',
        ),
      },
    },
    measured: l10n.t('Measured'),
    facts: {
      recalled: l10n.t('kept from an earlier run'),
      provider: l10n.t('on {0}'),
      fallback: l10n.t('auto: {0}'),
      read: l10n.t('{0} of weights read in {1} s'),
    },
    notices: l10n.t('Notices'),
    oneModule: l10n.t('1 module'),
    manyModules: l10n.t('{0} modules'),
  };
}
