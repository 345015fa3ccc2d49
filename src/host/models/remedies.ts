// Remedies for an unusable model: the buttons depend on the failure.
import * as vscode from 'vscode';
import { type ErrorCode } from '../../core/errors';
import { type ErrorView } from '../../page/error-view';
import { commands } from '../common/contributions';
import { showError } from '../common/surface';

type Button = 'retry' | 'token' | 'another';

const HUB: Readonly<Partial<Record<ErrorCode, readonly Button[]>>> = {
  'hub-access': ['token', 'another'],
  'hub-answer': ['retry', 'another'],
  // A private model looks like a missing one.
  'hub-missing': ['another', 'token'],
  'hub-unreachable': ['retry', 'another'],
};

/** @returns the user's choice; undefined if the user cancelled */
export async function askRemedy({ code, message }: ErrorView): Promise<'retry' | 'another' | undefined> {
  const labels: Record<Button, string> = {
    retry: vscode.l10n.t('Retry'),
    token: vscode.l10n.t('Set Token…'),
    another: vscode.l10n.t('Choose Another'),
  };
  const buttons = HUB[code] ?? ['another'];
  const answer = await showError(message, { modal: true }, ...buttons.map((button) => labels[button]));
  const chosen = buttons.find((button) => labels[button] === answer);
  if (chosen !== 'token') return chosen;
  await vscode.commands.executeCommand(commands.setHubToken);
  return 'retry';
}
