// The settings, checked: whatever a settings file contains, the code gets a valid value.
import * as vscode from 'vscode';
import { ruleOf, type Selection, selectionBy } from '../../core/rules';
import { SECTION, type Settings } from '../common/contributions';
import { checkSetting, type Wanted } from './setting-rules';

/** @param scope the adapter that the setting is for */
export function setting<K extends keyof Settings>(name: K, scope?: vscode.Uri): Settings[K] {
  return checkSetting(name, vscode.workspace.getConfiguration(SECTION, scope).get(name)).value;
}

/** The selection of the settings. */
export function selectionSetting(scope?: vscode.Uri): Selection {
  const mode = setting('selection', scope);
  return selectionBy(ruleOf(mode, setting(mode, scope)));
}

/** Description of the valid values, as part of a sentence: “… is not a number from 0 to 1”. */
export function wantedText(wanted: Wanted): string {
  switch (wanted.kind) {
    case 'choice':
      return vscode.l10n.t('one of {0}', wanted.choices.join(', '));
    case 'number':
      return vscode.l10n.t('a number from {0} to {1}', wanted.min, wanted.max);
    case 'integer':
      return wanted.max === Infinity
        ? vscode.l10n.t('a whole number from {0}', wanted.min)
        : vscode.l10n.t('a whole number from {0} to {1}', wanted.min, wanted.max);
    case 'pairs':
      return vscode.l10n.t('an object with a pair of model folders for each model that adapters were trained on');
    case 'folders':
      return vscode.l10n.t('a list of folders');
    case 'folder':
      return vscode.l10n.t('the absolute path of a folder, or one from ~');
    case 'pair':
      return vscode.l10n.t('a pair of model folders, "base" and "aligned"');
  }
}
