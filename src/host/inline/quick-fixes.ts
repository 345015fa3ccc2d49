// Quick fixes for problems of the configuration.
import * as vscode from 'vscode';
import { commands } from '../common/contributions';
import { Disposable } from '../common/dispose';
import { type ProblemCode, SOURCE } from './diagnostics';
import { CONFIG_SELECTOR, folderOf } from '../common/files';
import { type AdapterStatus, type AdapterStatuses } from '../status/adapter-status';
import { projectText } from '../status/finding-texts';

const KIND = vscode.CodeActionKind.QuickFix;

export class QuickFixes extends Disposable implements vscode.CodeActionProvider {
  constructor(private readonly statuses: AdapterStatuses) {
    super();
    const metadata = { providedCodeActionKinds: [KIND] };
    this._register(vscode.languages.registerCodeActionsProvider(CONFIG_SELECTOR, this, metadata));
  }

  async provideCodeActions(
    document: vscode.TextDocument,
    _range: vscode.Range,
    { diagnostics }: vscode.CodeActionContext,
  ): Promise<vscode.CodeAction[]> {
    const status = await this.statuses.of(folderOf(document.uri));
    return diagnostics
      .filter(({ source }) => source === SOURCE)
      .flatMap((diagnostic) => {
        const code = codeOf(diagnostic);
        return [
          ...remedies(code, status),
          action(vscode.l10n.t('Dismiss “{0}” for this workspace', code), commands.dismissProblem, code),
        ].map((fix) => Object.assign(fix, { diagnostics: [diagnostic] }));
      });
  }
}

function remedies(code: ProblemCode, { folder, selected }: AdapterStatus): vscode.CodeAction[] {
  switch (code) {
    case 'modules-selected':
      return [
        action(vscode.l10n.t('{0} (unsaved edit)', projectText(selected.size)), commands.projectSelected, folder),
      ];
    case 'adapter-modified':
      return [
        action(vscode.l10n.t('Measure Again'), commands.inspectAdapter, folder),
        action(vscode.l10n.t('Choose Models…'), commands.chooseModels, folder),
      ];
    case 'aligned-mismatch':
    case 'trained-on-base':
    case 'trained-on-quantised':
      return [action(vscode.l10n.t('Choose Models…'), commands.chooseModels, folder)];
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
