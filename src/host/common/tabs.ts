// Finds open adapters among the editor's tabs.
import * as vscode from 'vscode';
import { EDITOR } from './contributions';
import { folderOf } from './files';

/** The adapter's file, if a tab shows one. */
export function fileOf({ input }: vscode.Tab): vscode.Uri | undefined {
  return input instanceof vscode.TabInputCustom && input.viewType === EDITOR ? input.uri : undefined;
}

export function hasUnsavedEdit(folder: vscode.Uri): boolean {
  const tabs = vscode.window.tabGroups.all.flatMap((group) => group.tabs);
  return tabs.some((tab) => {
    const file = fileOf(tab);
    return tab.isDirty && file !== undefined && folderOf(file).toString() === folder.toString();
  });
}
