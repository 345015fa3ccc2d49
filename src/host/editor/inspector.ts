// Measures and projects without a tab: uses the adapter's open document, or a temporary one.
import * as vscode from 'vscode';
import { ADAPTER_FILE } from '../../core/adapter-folder';
import { folderName } from '../../core/model-names';
import { type EditorActions } from './actions';
import { AdapterDocument, type DocumentServices } from './document';
import { type AdapterEditorProvider } from './provider';
import { type FailedAdapter, InspectAll } from './inspect-all';
import { type AdapterStatuses } from '../status/adapter-status';
import { type MeasuringFailures } from '../status/failures';
import { reasonOf } from '../status/reason';
import { Cancelled, showingFailure } from '../common/errors';
import { type Progress, showInformation, showWarning, withProgress } from '../common/surface';

/** Maximum adapters named in a notification. */
const MOST_NAMED = 3;

export class Inspector {
  private batch: Promise<void> | undefined;

  constructor(
    private readonly services: DocumentServices,
    private readonly editor: AdapterEditorProvider,
    private readonly actions: EditorActions,
    private readonly statuses: AdapterStatuses,
    private readonly failures: MeasuringFailures,
  ) {}

  /** @throws SafeLoraError if the adapter is unreadable */
  async withDocument<T>(folder: vscode.Uri, action: (document: AdapterDocument) => Promise<T>): Promise<T> {
    const file = vscode.Uri.joinPath(folder, ADAPTER_FILE);
    const open = this.editor.find(file);
    if (open) {
      // Use the version on disk if the tab has nothing to lose.
      if (open.adapter.isOutdated && !open.adapter.isDirty) await open.revert();
      return action(open.adapter);
    }
    const document = await AdapterDocument.open(file, this.services);
    try {
      return await action(document);
    } finally {
      document.dispose();
    }
  }

  /** Measures an adapter, after asking for unknown models. */
  async inspect(folder: vscode.Uri): Promise<void> {
    await this.withMeasured(folder, (document) => this.actions.measure(document));
  }

  /** Throws the reason if an adapter cannot be measured, since there may be no tab to show it. */
  async withMeasured(folder: vscode.Uri, measure: (document: AdapterDocument) => Promise<void>): Promise<void> {
    try {
      await this.withDocument(folder, async (document) => {
        await measure(document);
        document.measuring.requireDone();
      });
    } catch (failure) {
      await this.failures.keep(folder, failure);
      throw failure;
    }
  }

  /** Measures every adapter with a missing or stale result, and then offers to choose the missing models. */
  inspectAll(folders: readonly vscode.Uri[]): Promise<void> {
    this.batch ??= this.measureDue(folders).finally(() => {
      this.batch = undefined;
    });
    return this.batch;
  }

  private async measureDue(folders: readonly vscode.Uri[]): Promise<void> {
    const due: vscode.Uri[] = [];
    for (const folder of folders) if ((await this.statuses.of(folder)).state !== 'inspected') due.push(folder);
    if (due.length === 0) {
      void showInformation(vscode.l10n.t('All adapters are measured.'));
      return;
    }
    const title = vscode.l10n.t('Safe LoRA: measuring {0} adapters', due.length);
    const work = async (progress: Progress, token: vscode.CancellationToken): Promise<InspectAll> => {
      const withDocument = this.withDocument.bind(this);
      const all = new InspectAll(this.services, this.editor, this.failures, withDocument, due, progress, token);
      try {
        await all.run();
      } finally {
        all.dispose();
      }
      return all;
    };
    const { measured, failed, withoutModels, leftOnHub, isCancelled } = await withProgress(title, work, true);
    void this.tell(measured, failed, leftOnHub);
    if (withoutModels.length > 0 && !isCancelled)
      void showingFailure(this.services.log, () => this.offerModels(withoutModels));
  }

  /** @param leftOnHub adapters whose models the user left on the hub */
  private async tell(measured: number, failed: readonly FailedAdapter[], leftOnHub: number): Promise<void> {
    const done = leftOnHub === 0 ? measuredText(measured) : `${measuredText(measured)} ${leftOnHubText(leftOnHub)}`;
    if (failed.length === 0) {
      if (measured + leftOnHub > 0) void showInformation(done);
      return;
    }
    const reasons = failed.map(({ folder, message }) => `${folderName(folder.fsPath)} (${reasonOf(message)})`);
    const text = vscode.l10n.t('{0} {1} failed: {2}.', done, failed.length, someOf(reasons));
    const showLog = vscode.l10n.t('Show Log');
    if ((await showWarning(text, showLog)) === showLog) this.services.log.show();
  }

  /** Asks for the models of each, unless an earlier answer named them, and measures those with known models. */
  private async offerModels(folders: readonly vscode.Uri[]): Promise<void> {
    const names = folders.map((folder) => folderName(folder.fsPath));
    const text =
      names.length === 1
        ? vscode.l10n.t('{0} needs its models before it can be measured.', names[0]!)
        : vscode.l10n.t(
            '{0} adapters need their models before they can be measured: {1}.',
            names.length,
            someOf(names),
          );
    const choose = vscode.l10n.t('Choose Models…');
    if ((await showInformation(text, choose)) !== choose) return;
    const known: vscode.Uri[] = [];
    try {
      for (const folder of folders) {
        await this.withDocument(folder, (document) => this.actions.askForModels(document));
        known.push(folder);
      }
    } catch (error) {
      // Reuses earlier answers.
      if (!(error instanceof Cancelled)) throw error;
    } finally {
      await this.batch;
      if (known.length > 0) await this.inspectAll(known);
    }
  }
}

function measuredText(measured: number): string {
  return measured === 1 ? vscode.l10n.t('1 adapter measured.') : vscode.l10n.t('{0} adapters measured.', measured);
}

function leftOnHubText(count: number): string {
  return count === 1
    ? vscode.l10n.t('1 was not measured, because its models were not downloaded.')
    : vscode.l10n.t('{0} were not measured, because their models were not downloaded.', count);
}

function someOf(names: readonly string[]): string {
  const few = names.slice(0, MOST_NAMED).join(', ');
  return names.length > MOST_NAMED ? vscode.l10n.t('{0} and {1} more', few, names.length - MOST_NAMED) : few;
}
