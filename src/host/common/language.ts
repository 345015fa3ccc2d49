// The language in which the extension speaks: the editor's where there is a translation, else English.
import * as vscode from 'vscode';

export function textLanguage(): string {
  return vscode.l10n.bundle === undefined ? 'en' : vscode.env.language;
}
