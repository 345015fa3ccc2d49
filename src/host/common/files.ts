// Files with problems and numbers beside them, by name: their language mode may vary.
import * as vscode from 'vscode';
import { CONFIG_FILE } from '../../core/adapter-config';
import { REPORT_FILE } from '../../core/output';

export const CONFIG_SELECTOR: vscode.DocumentFilter = { scheme: 'file', pattern: `**/${CONFIG_FILE}` };
export const REPORT_SELECTOR: vscode.DocumentFilter = { scheme: 'file', pattern: `**/${REPORT_FILE}` };

/** The adapter's folder of a file in it. */
export function folderOf(file: vscode.Uri): vscode.Uri {
  return vscode.Uri.joinPath(file, '..');
}

export function isConfig({ uri }: vscode.TextDocument): boolean {
  return uri.scheme === 'file' && uri.path.endsWith(`/${CONFIG_FILE}`);
}

export function isReport({ uri }: vscode.TextDocument): boolean {
  return uri.scheme === 'file' && uri.path.endsWith(`/${REPORT_FILE}`);
}
