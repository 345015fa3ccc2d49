// The view "History": what was measured and saved in this workspace.
import * as vscode from 'vscode';
import { folderName } from '../../core/model-names';
import { signed } from '../../core/text';
import { commands, HISTORY_VIEW } from '../common/contributions';
import { Disposable } from '../common/dispose';
import { Cancelled, showingFailure } from '../common/errors';
import { textLanguage } from '../common/language';
import { createTreeView, type Log, plainLines, showWarning } from '../common/surface';
import { DIGITS, ruleText } from '../status/finding-texts';
import { type History, type HistoryAction, type HistoryEntry } from '../status/history';

const ICONS: Record<HistoryAction, string> = {
  measured: 'graph',
  saved: 'save',
  restored: 'discard',
  copied: 'save-as',
  patch: 'diff',
};

export class HistoryTree extends Disposable implements vscode.TreeDataProvider<HistoryEntry> {
  readonly onDidChangeTreeData: vscode.Event<void>;

  constructor(
    private readonly history: History,
    log: Log,
  ) {
    super();
    this.onDidChangeTreeData = history.onDidChange;
    this._register(createTreeView(HISTORY_VIEW, this, { canSelectMany: false, showCollapseAll: false }));
    this._register(
      vscode.commands.registerCommand(commands.clearHistory, () => showingFailure(log, () => this.clear())),
    );
  }

  getChildren(entry?: HistoryEntry): HistoryEntry[] {
    return entry ? [] : [...this.history.entries];
  }

  getTreeItem(entry: HistoryEntry): vscode.TreeItem {
    const folder = vscode.Uri.parse(entry.folder);
    const item = new vscode.TreeItem(folderName(folder.path));
    const said = actionText(entry);
    const { base, aligned } = entry.models;
    item.description = [momentText(entry.at), said].join(' · ');
    item.tooltip = plainLines([
      new Date(entry.at).toLocaleString(textLanguage(), { dateStyle: 'medium', timeStyle: 'short' }),
      folder.scheme === 'file' ? folder.fsPath : entry.folder,
      said,
      ...(entry.selection ? [ruleText(entry.selection, entry.count, entry.modules)] : []),
      ...(base === undefined ? [] : [vscode.l10n.t('base {0}', base)]),
      ...(aligned === undefined ? [] : [vscode.l10n.t('aligned {0}', aligned)]),
      ...(entry.target === null ? [] : [vscode.l10n.t('written to {0}', entry.target)]),
    ]);
    item.iconPath = new vscode.ThemeIcon(ICONS[entry.action]);
    item.command = { command: commands.openReport, title: vscode.l10n.t('Open Heatmap'), arguments: [folder] };
    return item;
  }

  private async clear(): Promise<void> {
    const clear = vscode.l10n.t('Clear History');
    const question = vscode.l10n.t('Clear the history of this workspace?');
    const lines = [vscode.l10n.t('Adapters, kept originals and kept results stay as they are.')];
    if ((await showWarning(question, { modal: true, lines }, clear)) !== clear) throw new Cancelled();
    await this.history.clear();
  }
}

/** "measured: 3 of 12 selected, agreement −0.08" */
function actionText({ action, count, modules, direction }: HistoryEntry): string {
  switch (action) {
    case 'measured':
      return vscode.l10n.t('measured: {0} of {1} selected, agreement {2}', count, modules, signed(direction, DIGITS));
    case 'saved':
      return vscode.l10n.t('saved: {0} of {1} projected', count, modules);
    case 'restored':
      return vscode.l10n.t('original weights restored');
    case 'copied':
      return vscode.l10n.t('copy saved: {0} of {1} projected', count, modules);
    case 'patch':
      return vscode.l10n.t('patch saved: {0} of {1} projected', count, modules);
  }
}

/** The time of today, the day of earlier. */
function momentText(at: number): string {
  const then = new Date(at);
  const isToday = then.toDateString() === new Date().toDateString();
  return then.toLocaleString(textLanguage(), isToday ? { timeStyle: 'short' } : { dateStyle: 'short' });
}
