// The extension's language: the editor's if there is a translation, else English.
import * as vscode from 'vscode';

export function textLanguage(): string {
  return vscode.l10n.bundle === undefined ? 'en' : vscode.env.language;
}
