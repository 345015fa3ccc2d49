// The user's actions on an open adapter, from the page or a command: asks the questions first, then calls the document.
import * as vscode from 'vscode';
import { bytesText } from '../../core/bytes';
import { type SafeLoraError } from '../../core/errors';
import { type Selection } from '../../core/rules';
import { type AdapterDocument } from './document';
import { type OpenedDocument } from './opened-document';
import { type ModelRole } from '../../page/adapter';
import { Cancelled, modelsUnknown, requireTrust } from '../common/errors';
import { folderOf } from '../common/files';
import { type MeasuringFailures } from '../status/failures';
import { type ModelPairs } from '../models/models';
import { type Proposals } from '../../models/propose';
import { runVisibly } from '../common/run-visibly';
import { showInformation, showWarning } from '../common/surface';

export class EditorActions {
  constructor(
    private readonly models: ModelPairs,
    private readonly failures: MeasuringFailures,
    private readonly memory: { workspace: vscode.Memento; global: vscode.Memento },
  ) {}

  /** Measures the adapter, after asking for unknown models. */
  async measure(adapter: AdapterDocument): Promise<void> {
    await this.askForModels(adapter);
    await this.run(adapter);
  }

  /** Measures once more what is measured already. */
  async measureAgain(adapter: AdapterDocument): Promise<void> {
    await measureVisibly(adapter, () => adapter.measuring.repeat());
  }

  /** Asks for models and, once both are known, measures. */
  async chooseModels(adapter: AdapterDocument, roles: readonly ModelRole[]): Promise<void> {
    await this.askFor(adapter, roles);
    const { base, aligned } = adapter.measuring.models;
    if (base && aligned) await this.run(adapter);
  }

  /** The adapter's tab shows why it cannot be measured, and the other surfaces keep the reason. */
  private async run(adapter: AdapterDocument): Promise<void> {
    await measureVisibly(adapter, () => adapter.measuring.run());
    const { failure } = adapter.measuring;
    if (failure !== undefined) await this.failures.keep(folderOf(adapter.uri), failure);
  }

  /** Asks for unknown models. */
  async askForModels(adapter: AdapterDocument): Promise<void> {
    const { base, aligned } = adapter.measuring.models;
    const missing: ModelRole[] = [...(base ? [] : ['base' as const]), ...(aligned ? [] : ['aligned' as const])];
    if (missing.length > 0) await this.askFor(adapter, missing);
  }

  /** Why the adapter cannot be measured if nobody can be asked, with suggestions. */
  async unknownModels({ adapter, measuring, uri }: AdapterDocument): Promise<SafeLoraError> {
    const proposals = await this.models.propose(adapter, uri);
    return modelsUnknown(adapter.path, adapter.trainedOn, measuring.models, proposals);
  }

  private async askFor(adapter: AdapterDocument, roles: readonly ModelRole[]): Promise<void> {
    let pair = adapter.measuring.models;
    // If both are requested, the two may be swapped.
    if (roles.length > 1) pair = {};
    const proposals = await this.models.propose(adapter.adapter, adapter.uri);
    const askHub = (): Promise<Proposals> => this.models.propose(adapter.adapter, adapter.uri, true);
    for (const [i, role] of roles.entries()) {
      const both = roles.length > 1 && i === 0;
      const choice = await this.models.choose({ role, adapter: adapter.adapter, pair, proposals, both, askHub });
      if (choice === undefined) throw new Cancelled();
      if ('pair' in choice) {
        pair = choice.pair;
        break;
      }
      const { folder } = choice;
      const other = role === 'base' ? 'aligned' : 'base';
      const swapped = folder === pair[other] && pair[role] !== undefined;
      pair = { ...pair, ...(swapped ? { [other]: pair[role] } : {}), [role]: folder };
    }
    await adapter.setModels(pair);
  }

  async apply(adapter: AdapterDocument, selection: Selection): Promise<void> {
    requireTrust();
    await askAboutGoneOriginals(adapter);
    if (await this.mayWrite(adapter, selection)) await adapter.apply(selection);
  }

  async applyPatch(adapter: AdapterDocument, path: string): Promise<void> {
    requireTrust();
    if (await this.mayWrite(adapter, null)) await adapter.applyPatch(path);
  }

  async save(adapter: AdapterDocument): Promise<void> {
    if ((await vscode.workspace.save(adapter.uri)) === undefined) throw new Cancelled();
  }

  /** VS Code's Save: writes, and reports once the new files beside the adapter. */
  async saved(adapter: AdapterDocument): Promise<void> {
    await adapter.save();
    const key = 'toldAboutOriginals';
    if (!adapter.keepsOriginalsBeside || this.memory.global.get(key)) return;
    await this.memory.global.update(key, true);
    const change = vscode.l10n.t('Change Setting');
    void showInformation(
      vscode.l10n.t(
        'The original weights are kept beside the adapter in safe_lora_original.safetensors. Uploading the folder to a hub uploads them too.',
      ),
      change,
    ).then((chosen) => {
      if (chosen === change)
        void vscode.commands.executeCommand('workbench.action.openSettings', 'safeLora.keepOriginals');
    });
  }

  /** Saves what is applied; of a read-only adapter without edits what is selected, since nothing can be applied to it. */
  async saveAs(adapter: AdapterDocument, selection: Selection): Promise<void> {
    requireTrust();
    if (adapter.isReadOnly && !adapter.isDirty) await this.saveCopy(adapter, selection);
    else await vscode.workspace.saveAs(adapter.uri);
  }

  /** Restores the first file, also on disk. */
  async restore(adapter: AdapterDocument): Promise<void> {
    const { isProjectedOnDisk } = adapter;
    await adapter.restore();
    if (adapter.isDirty) await this.save(adapter);
    const { name } = adapter.adapter;
    void showInformation(
      isProjectedOnDisk
        ? vscode.l10n.t('Original weights restored: {0}', name)
        : vscode.l10n.t('Unsaved projection discarded: {0}', name),
    );
  }

  /** Reads the file again; through VS Code if it has edits. */
  async reload(document: OpenedDocument): Promise<void> {
    const dirty = document.failure === undefined ? document.adapter.isDirty : false;
    if (dirty) await vscode.commands.executeCommand('workbench.action.files.revert');
    else await document.reload();
  }

  /** Discards the kept edits of an adapter that no longer exists. */
  async discard(): Promise<void> {
    await vscode.commands.executeCommand('workbench.action.files.revert');
  }

  private async saveCopy(adapter: AdapterDocument, selection: Selection): Promise<void> {
    await adapter.withCopy(selection, async () => {
      await vscode.workspace.saveAs(adapter.uri);
    });
  }

  /**
   * With auto save an edit is written a moment later; the first edit of an adapter must warn of that.
   * @param selection of a copy as an alternative; null if no copy can be offered
   * @returns false if a copy was saved instead
   */
  private async mayWrite(adapter: AdapterDocument, selection: Selection | null): Promise<boolean> {
    const autoSave = vscode.workspace.getConfiguration('files', adapter.uri).get<string>('autoSave', 'off');
    const key = `toldAboutAutoSave ${adapter.adapter.realPath}`;
    if (autoSave === 'off' || this.memory.workspace.get(key)) return true;
    const write = vscode.l10n.t('Write to Disk');
    const copy = vscode.l10n.t('Save a Copy…');
    const chosen = await showWarning(
      vscode.l10n.t('Auto Save is on, so this edit is written to {0} at once.', adapter.adapter.name),
      { modal: true, lines: [vscode.l10n.t('The original weights are kept, and Restore brings them back.')] },
      ...(selection ? [write, copy] : [write]),
    );
    if (chosen === undefined) throw new Cancelled();
    if (chosen === copy && selection) {
      await this.saveCopy(adapter, selection);
      return false;
    }
    await this.memory.workspace.update(key, true);
    return true;
  }
}

async function askAboutGoneOriginals(adapter: AdapterDocument): Promise<void> {
  const gone = adapter.irrecoverable;
  if (gone.length === 0) return;
  const goOn = vscode.l10n.t('Project Further Modules');
  const chosen = await showWarning(
    vscode.l10n.t('{0} modules are already projected, and their originals are missing.', gone.length),
    { modal: true, lines: [vscode.l10n.t('They stay as they are; only further modules are projected.')] },
    goOn,
  );
  if (chosen !== goOn) throw new Cancelled();
}

/** Runs with a notification where it takes a while. */
function measureVisibly(adapter: AdapterDocument, measure: () => Promise<void>): Promise<void> {
  const { measuring } = adapter;
  const look = (): { share: number; message: string } | null => {
    if (!measuring.isRunning) return null;
    const { bytesDone, bytesTotal, modulesDone, modulesTotal, fetched } = measuring.view(adapter.firstSelection);
    const travels = fetched !== null && fetched.bytesFetched < fetched.bytesToFetch;
    const [done, total] = travels ? [fetched.bytesFetched, fetched.bytesToFetch] : [bytesDone, bytesTotal];
    const message = travels
      ? vscode.l10n.t('{0} of {1} fetched from the hub', bytesText(done), bytesText(total))
      : vscode.l10n.t('{0} of {1} modules, {2} of {3}', modulesDone, modulesTotal, bytesText(done), bytesText(total));
    return { share: total > 0 ? (100 * done) / total : 0, message };
  };
  const title = vscode.l10n.t('Safe LoRA: measuring {0}', adapter.adapter.name);
  const { onDidChange } = measuring;
  return runVisibly({ title, onDidChange, look, stop: () => measuring.stop() }, measure());
}
