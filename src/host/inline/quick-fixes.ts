// What can be done about a problem beside the configuration, from its light bulb.
import * as vscode from 'vscode';
import { commands } from '../common/contributions';
import { Disposable } from '../common/dispose';
import { type ProblemCode, SOURCE } from './diagnostics';
import { CONFIG_SELECTOR, folderOf } from '../common/files';

const KIND = vscode.CodeActionKind.QuickFix;

export class QuickFixes extends Disposable implements vscode.CodeActionProvider {
  constructor() {
    super();
    const metadata = { providedCodeActionKinds: [KIND] };
    this._register(vscode.languages.registerCodeActionsProvider(CONFIG_SELECTOR, this, metadata));
  }

  provideCodeActions(
    document: vscode.TextDocument,
    _range: vscode.Range,
    { diagnostics }: vscode.CodeActionContext,
  ): vscode.CodeAction[] {
    const folder = folderOf(document.uri);
    return diagnostics
      .filter(({ source }) => source === SOURCE)
      .flatMap((diagnostic) => {
        const code = codeOf(diagnostic);
        return [
          ...remedies(code, folder),
          action(vscode.l10n.t('Dismiss “{0}” for this workspace', code), commands.dismissProblem, code),
        ].map((fix) => Object.assign(fix, { diagnostics: [diagnostic] }));
      });
  }
}

function remedies(code: ProblemCode, folder: vscode.Uri): vscode.CodeAction[] {
  switch (code) {
    case 'modules-selected':
      return [action(vscode.l10n.t('Project the selected modules'), commands.projectSelected, folder)];
    case 'adapter-modified':
      return [
        action(vscode.l10n.t('Inspect again'), commands.inspectAdapter, folder),
        action(vscode.l10n.t('Choose models…'), commands.chooseModels, folder),
      ];
    case 'aligned-mismatch':
    case 'trained-on-base':
    case 'trained-on-quantised':
      return [action(vscode.l10n.t('Choose models…'), commands.chooseModels, folder)];
    default:
      return [];
  }
}

function codeOf({ code }: vscode.Diagnostic): ProblemCode {
  return (typeof code === 'object' ? code.value : code) as ProblemCode;
}

function action(title: string, command: string, argument: unknown): vscode.CodeAction {
  const made = new vscode.CodeAction(title, KIND);
  made.command = { title, command, arguments: [argument] };
  return made;
}
