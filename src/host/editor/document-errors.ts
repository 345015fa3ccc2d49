// Errors of a document's actions.
import * as vscode from 'vscode';
import { type Adapter } from '../../core/adapter';
import { SafeLoraError } from '../../core/errors';

export function nothingApplied(): SafeLoraError {
  return new SafeLoraError(
    'nothing-applied',
    vscode.l10n.t('There is nothing to save as a patch. Select modules and project them first.'),
  );
}

export function nothingToRestore({ file: { path }, notices, modules }: Adapter): SafeLoraError {
  const reason = notices.some((notice) => notice.code === 'originals-foreign')
    ? vscode.l10n.t(
        "{0}: the adapter's tensors are no longer those that were saved, so the kept originals do not fit them; use the original adapter.",
        path,
      )
    : modules.some((module) => module.alreadyProjected)
      ? vscode.l10n.t('{0}: the original weights were not kept; use the adapter that this one was made from.', path)
      : vscode.l10n.t('{0}: nothing is projected in this adapter, so there is nothing to restore.', path);
  return new SafeLoraError('originals-missing', reason);
}

export function notOnThisMachine(target: vscode.Uri): SafeLoraError {
  return new SafeLoraError(
    'read-only',
    vscode.l10n.t(
      '{0}: adapters are saved on the disk of the machine that runs the extension; choose a folder there.',
      target.toString(),
    ),
  );
}

export function readOnly(path: string): SafeLoraError {
  return new SafeLoraError(
    'read-only',
    vscode.l10n.t('{0}: is read-only here; save the projected adapter to another folder with Save As.', path),
  );
}
