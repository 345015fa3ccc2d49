// Every text of the editor's page.
import { type Translation } from '../core/text';
import { sharedStrings } from './strings';

export type PageStrings = ReturnType<typeof pageStrings>;

export function pageStrings(l10n: Translation) {
  return {
    ...sharedStrings(l10n),
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
    headline: {
      selected: l10n.t('{0} of {1} selected'),
      nearNull: l10n.t('{0} near the null level'),
      noneNearNull: l10n.t('none near the null level'),
    },
    advice: {
      select: l10n.t(
        'A selection is not a verdict. Compare the answers of the model with the adapter as it is and as projected.',
      ),
      save: l10n.t(
        'Next: Save writes this to the adapter’s file. The original weights are kept beside it, and Restore Originals brings them back.',
      ),
      compare: l10n.t(
        'Next: compare the answers of the model with the original and the projected adapter. In a terminal, safe-lora evaluate does it.',
      ),
    },
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
      noModels: l10n.t('Choose the base and the aligned model to start measuring.'),
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
