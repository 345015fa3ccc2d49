// The palette's and the explorer's commands.
import { basename } from 'node:path';
import * as vscode from 'vscode';
import { ADAPTER_FILE } from '../core/adapter';
import { SafeLoraError } from '../core/errors';
import { PATCH_ENDING } from '../core/patch-file';
import { type EditorActions } from './actions';
import { type WorkspaceAdapters } from './adapters';
import { commands } from './contributions';
import { Disposable } from './dispose';
import { type OpenedDocument } from './editor/opened-document';
import { type AdapterEditorProvider } from './editor/provider';
import { Cancelled, reporting } from './errors';

export class Commands extends Disposable {
  constructor(
    private readonly editor: AdapterEditorProvider,
    private readonly actions: EditorActions,
    private readonly adapters: WorkspaceAdapters,
    private readonly log: vscode.LogOutputChannel,
  ) {
    super();
    this.add(commands.projectAdapter, (resource) => this.project(resource));
    this.add(commands.chooseModels, async (resource) => {
      await this.actions.chooseModels((await this.target(resource)).adapter, ['base', 'aligned']);
    });
    this.add(commands.restoreOriginals, async (resource) => {
      await this.actions.restore((await this.target(resource)).adapter);
    });
    this.add(commands.savePatch, (resource) => this.savePatch(resource));
    this.add(commands.applyPatch, (resource) => this.applyPatch(resource));
    this.add(commands.showLog, () => {
      this.log.show();
      return Promise.resolve();
    });
  }

  private add(id: string, run: (resource: vscode.Uri | undefined) => Promise<void>): void {
    this._register(
      vscode.commands.registerCommand(id, (argument: unknown) =>
        reporting(this.log, () => run(argument instanceof vscode.Uri ? argument : undefined)),
      ),
    );
  }

  private async project(resource: vscode.Uri | undefined): Promise<void> {
    const file = resource ? adapterFile(resource) : await this.pick(this.editor.active?.uri);
    if (!file) throw new Cancelled();
    const document = await this.editor.reveal(file);
    // What keeps it from being read stands in its tab.
    if (document.failure === undefined) await this.actions.measure(document.adapter);
  }

  private pick(preferred?: vscode.Uri): Promise<vscode.Uri | undefined> {
    const title = vscode.l10n.t('Safe LoRA: Project Adapter');
    return this.adapters.pick({ title, placeHolder: vscode.l10n.t('Choose an adapter'), preferred });
  }

  private async savePatch(resource: vscode.Uri | undefined): Promise<void> {
    const { adapter } = await this.target(resource);
    adapter.requireProjection();
    const { name, path } = adapter.adapter;
    const target = await vscode.window.showSaveDialog({
      title: vscode.l10n.t('Save Patch'),
      defaultUri: vscode.Uri.joinPath(vscode.Uri.file(path), '..', `${name}${PATCH_ENDING}`),
      filters: { [vscode.l10n.t('Safe LoRA patch')]: ['safetensors'] },
    });
    if (!target) throw new Cancelled();
    if (!target.path.endsWith(PATCH_ENDING)) {
      throw new SafeLoraError(
        'patch-format',
        vscode.l10n.t('{0}: the name of a patch ends in {1}; choose such a name.', target.fsPath, PATCH_ENDING),
      );
    }
    await adapter.savePatch(target.fsPath);
    void vscode.window.showInformationMessage(vscode.l10n.t('Patch saved: {0}', basename(target.fsPath)));
  }

  private async applyPatch(resource: vscode.Uri | undefined): Promise<void> {
    const { adapter } = await this.target(resource);
    const files = await vscode.window.showOpenDialog({
      title: vscode.l10n.t('Patch for {0}', adapter.adapter.name),
      openLabel: vscode.l10n.t('Apply Patch'),
      defaultUri: vscode.Uri.joinPath(vscode.Uri.file(adapter.adapter.path), '..'),
      filters: { [vscode.l10n.t('Safe LoRA patch')]: ['safetensors'] },
    });
    if (!files?.[0]) throw new Cancelled();
    await this.actions.applyPatch(adapter, files[0].fsPath);
  }

  /** The adapter that a command is for: the one it was called on, the one in the active tab, or one that is picked. */
  private async target(resource: vscode.Uri | undefined): Promise<OpenedDocument> {
    const { active } = this.editor;
    if (!resource && active) return active;
    const file = resource ? adapterFile(resource) : await this.pick();
    if (!file) throw new Cancelled();
    return this.editor.reveal(file);
  }
}

/** From an adapter's folder or a file in it. */
function adapterFile(resource: vscode.Uri): vscode.Uri {
  const name = basename(resource.path);
  if (name === ADAPTER_FILE) return resource;
  return name.endsWith('.json')
    ? vscode.Uri.joinPath(resource, '..', ADAPTER_FILE)
    : vscode.Uri.joinPath(resource, ADAPTER_FILE);
}
