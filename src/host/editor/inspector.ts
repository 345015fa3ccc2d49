// Inspecting and projecting without a tab: the document of an adapter is the open one, or one that lives as long as the work.
import * as vscode from 'vscode';
import { ADAPTER_FILE } from '../../core/adapter-folder';
import { type EditorActions } from './actions';
import { AdapterDocument, type DocumentServices } from './document';
import { type AdapterEditorProvider } from './provider';
import { InspectAll } from './inspect-all';
import { type AdapterStatuses } from '../status/adapter-status';
import { type Progress, showInformation, showWarning, withProgress } from '../common/surface';

export class Inspector {
  private batch: Promise<void> | undefined;

  constructor(
    private readonly services: DocumentServices,
    private readonly editor: AdapterEditorProvider,
    private readonly actions: EditorActions,
    private readonly statuses: AdapterStatuses,
  ) {}

  /** @throws SafeLoraError where the adapter cannot be read */
  async withDocument<T>(folder: vscode.Uri, action: (document: AdapterDocument) => Promise<T>): Promise<T> {
    const file = vscode.Uri.joinPath(folder, ADAPTER_FILE);
    const open = this.editor.find(file);
    if (open) {
      // What lies on disk is meant, where nothing in the tab would be lost.
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

  /** Measures an adapter, after asking for the models that are not known. */
  async inspect(folder: vscode.Uri): Promise<void> {
    await this.withMeasured(folder, (document) => this.actions.measure(document));
  }

  /** What keeps an adapter from being measured is thrown, since there may be no tab that shows it. */
  async withMeasured(folder: vscode.Uri, measure: (document: AdapterDocument) => Promise<void>): Promise<void> {
    await this.withDocument(folder, async (document) => {
      await measure(document);
      document.measuring.requireDone();
    });
  }

  /** Measures every adapter whose result is not there or stale; one that fails does not keep the others from it. */
  inspectAll(folders: readonly vscode.Uri[]): Promise<void> {
    this.batch ??= this.inspectDue(folders).finally(() => {
      this.batch = undefined;
    });
    return this.batch;
  }

  private async inspectDue(folders: readonly vscode.Uri[]): Promise<void> {
    const due: vscode.Uri[] = [];
    for (const folder of folders) if ((await this.statuses.of(folder)).state !== 'inspected') due.push(folder);
    if (due.length === 0) {
      void showInformation(vscode.l10n.t('All adapters are measured.'));
      return;
    }
    const title = vscode.l10n.t('Safe LoRA: measuring {0} adapters', due.length);
    const work = async (progress: Progress, token: vscode.CancellationToken): Promise<InspectAll> => {
      const withDocument = this.withDocument.bind(this);
      const all = new InspectAll(this.services, this.editor, this.actions, withDocument, due, progress, token);
      try {
        await all.run();
      } finally {
        all.dispose();
      }
      return all;
    };
    const { done, failed } = await withProgress(title, work, true);
    await this.tell(done, failed);
  }

  private async tell(done: number, failed: number): Promise<void> {
    if (failed === 0) {
      if (done > 0) void showInformation(vscode.l10n.t('{0} adapters measured.', done));
      return;
    }
    const showLog = vscode.l10n.t('Show Log');
    const text = vscode.l10n.t('{0} adapters measured, {1} failed. See the log.', done, failed);
    if ((await showWarning(text, showLog)) === showLog) this.services.log.show();
  }
}
