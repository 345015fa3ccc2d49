// Shows failures to the user: one sentence in the words of the core, the rest in the log.
import * as vscode from 'vscode';
import { SafeLoraError } from '../../core/errors';
import { type Proposals } from '../../models/propose';
import { reasonText } from '../../models/proposal-texts';
import { type ModelPair } from './contributions';
import { type ErrorView } from '../../page/error-view';
import { proposalTexts } from './proposal-texts';
import { type Log, showError } from './surface';

/** The user cancelled; nothing is shown. */
export class Cancelled extends Error {
  override readonly name = 'Cancelled';

  constructor() {
    super('cancelled');
  }
}

export function errorView(error: unknown): ErrorView {
  if (error instanceof SafeLoraError) return { code: error.code, message: error.message };
  const message = error instanceof Error ? error.message : String(error);
  // Errors that pass through the editor (from a save, for example) lose their class and code, but not their name.
  if (error instanceof Error && error.name === 'SafeLoraError') return { code: 'unexpected', message };
  return { code: 'unexpected', message: vscode.l10n.t('Unexpected: {0}', message) };
}

/** Runs the action of a command or a page, and shows its failure. */
export async function showingFailure<T>(log: Log, action: () => Promise<T>): Promise<T | undefined> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof Cancelled) return undefined;
    log.error(error instanceof SafeLoraError ? error.message : (error as Error));
    const showLog = vscode.l10n.t('Show Log');
    void showError(errorView(error).message, showLog).then((chosen) => {
      if (chosen === showLog) log.show();
    });
    return undefined;
  }
}

/** @throws SafeLoraError if the workspace is not trusted, and must not be written to */
export function requireTrust(): void {
  if (!vscode.workspace.isTrusted) throw untrusted();
}

/**
 * The error if nobody can be asked for an adapter's models.
 * @param proposals suggestions, which are listed but not used
 */
export function modelsUnknown(
  file: string,
  trainedOn: string | null,
  pair: Partial<ModelPair>,
  proposals: Proposals,
): SafeLoraError {
  const which =
    pair.aligned !== undefined
      ? vscode.l10n.t('its base model is not known')
      : pair.base !== undefined
        ? vscode.l10n.t('its aligned model is not known')
        : vscode.l10n.t('neither its base model nor its aligned model is known');
  const next =
    trainedOn === null
      ? vscode.l10n.t('open the adapter and run "Safe LoRA: Choose Models…"')
      : vscode.l10n.t(
          'open the adapter and run "Safe LoRA: Choose Models…", or name both folders in the setting safeLora.pairs under "{0}"',
          trainedOn,
        );
  const found = foundText(proposals, pair);
  return new SafeLoraError(
    'models-unknown',
    `${file}: ${[which, ...(found === null ? [] : [found]), next].join('; ')}.`,
  );
}

/** The best local suggestion for each unknown model; null if there are none. */
function foundText(proposals: Proposals, pair: Partial<ModelPair>): string | null {
  const found = (['base', 'aligned'] as const).flatMap((role) => {
    const proposal = pair[role] === undefined && proposals[role].find(({ state }) => state.kind === 'here');
    if (!proposal) return [];
    return [`${roleText(role)} ${proposal.folder!} (${reasonText(proposal, proposalTexts())})`];
  });
  return found.length === 0 ? null : vscode.l10n.t('found: {0}', found.join(', '));
}

function roleText(role: 'base' | 'aligned'): string {
  return role === 'base' ? vscode.l10n.t('base') : vscode.l10n.t('aligned');
}

function untrusted(): SafeLoraError {
  return new SafeLoraError(
    'untrusted',
    vscode.l10n.t(
      'This workspace is not trusted, so nothing is written in it; trust it first (Workspaces: Manage Workspace Trust).',
    ),
  );
}
