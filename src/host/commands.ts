// Commands of the palette and the explorer.
import { basename } from 'node:path';
import * as vscode from 'vscode';
import { ADAPTER_FILE } from '../core/adapter-folder';
import { CONFIG_FILE } from '../core/adapter-config';
import { SafeLoraError } from '../core/errors';
import { isObject } from '../core/objects';
import { REPORT_FILE } from '../core/output';
import { PATCH_ENDING } from '../core/patch-file';
import { type BehaviourActions } from './behaviour/actions';
import { type EditorActions } from './editor/actions';
import { type WorkspaceAdapters } from './status/adapters';
import { commands } from './common/contributions';
import { Disposable } from './common/dispose';
import { type AdapterDocument } from './editor/document';
import { type OpenedDocument } from './editor/opened-document';
import { type AdapterEditorProvider } from './editor/provider';
import { Cancelled, showingFailure } from './common/errors';
import { folderOf as parentOf, isConfig, isReport } from './common/files';
import { type AdapterStatuses } from './status/adapter-status';
import { type Inspector } from './editor/inspector';
import { type Log, showInformation, showOpenDialog, showSaveDialog } from './common/surface';

export class Commands extends Disposable {
  constructor(
    private readonly editor: AdapterEditorProvider,
    private readonly actions: EditorActions,
    private readonly behaviour: BehaviourActions,
    private readonly adapters: WorkspaceAdapters,
    private readonly inspector: Inspector,
    private readonly statuses: AdapterStatuses,
    private readonly log: Log,
  ) {
    super();
    this.add(commands.projectAdapter, async (resource) => {
      const title = vscode.l10n.t('Project which adapter?');
      const file = resource ? adapterFile(resource) : await this.pick(title, this.editor.active?.uri);
      const document = await this.editor.reveal(file);
      await this.measureOpen(document);
      document.offer();
    });
    this.add(commands.inspectAdapter, (resource) => this.inspect(resource));
    this.add(commands.inspectAll, async () => this.inspector.inspectAll(await this.adapters.list()));
    this.add(commands.evaluateAdapter, async (resource) => {
      const document = await this.target(resource, vscode.l10n.t('Measure the behaviour of which adapter?'));
      document.showBehaviour();
      if (document.failure !== undefined) return;
      await this.actions.measure(document.adapter);
      document.adapter.measuring.requireDone();
      await this.behaviour.evaluate(document.adapter);
    });
    this.add(commands.openBehaviour, async (resource) => {
      (await this.target(resource, vscode.l10n.t('Open the behaviour of which adapter?'))).showBehaviour();
    });
    this.add(commands.openReport, async (resource, module) => {
      const document = await this.target(resource, vscode.l10n.t('Open the heatmap of which adapter?'));
      if (typeof module === 'string') document.reveal(module);
      else await this.measureOpen(document);
    });
    this.add(commands.projectSelected, (resource) => this.projectSelected(resource));
    this.add(commands.chooseModels, async (resource) => {
      const ask = (adapter: AdapterDocument): Promise<void> => this.actions.chooseModels(adapter, ['base', 'aligned']);
      const title = vscode.l10n.t('Choose the models of which adapter?');
      // For a file, open no tab: the user stays there.
      await (resource
        ? this.inspector.withMeasured(folderOf(resource), ask)
        : ask((await this.target(undefined, title)).adapter));
    });
    this.add(commands.restoreOriginals, async (resource) => {
      const title = vscode.l10n.t('Restore the original weights of which adapter?');
      await this.actions.restore((await this.target(resource, title)).adapter);
    });
    this.add(commands.savePatch, (resource) => this.savePatch(resource));
    this.add(commands.applyPatch, (resource) => this.applyPatch(resource));
    this.add(commands.showLog, () => {
      this.log.show();
      return Promise.resolve();
    });
  }

  private add(id: string, run: (resource: vscode.Uri | undefined, detail: unknown) => Promise<void>): void {
    this._register(
      vscode.commands.registerCommand(id, (argument: unknown, detail: unknown) =>
        showingFailure(this.log, () => run(resourceOf(argument), detail)),
      ),
    );
  }

  private async inspect(resource: vscode.Uri | undefined): Promise<void> {
    const title = vscode.l10n.t('Measure which adapter?');
    const file = resource ?? inlineFile() ?? this.editor.active?.uri ?? (await this.pick(title));
    const folder = folderOf(file);
    await this.inspector.inspect(folder);
    const { name, report, selected } = await this.statuses.of(folder);
    if (!report) return;
    const open = vscode.l10n.t('Open Heatmap');
    const text = vscode.l10n.t('{0} of {1} modules selected in {2}', selected.size, report.modules.length, name);
    void showInformation(text, open).then((chosen) => {
      if (chosen === open) void vscode.commands.executeCommand(commands.openReport, folder);
    });
  }

  /** Opens the adapter and projects its selection, as an unsaved edit. */
  private async projectSelected(resource: vscode.Uri | undefined): Promise<void> {
    const { adapter } = await this.target(resource, vscode.l10n.t('Project which adapter?'));
    await this.actions.measure(adapter);
    adapter.measuring.requireDone();
    // The selection shown by the lens and the report, whatever is selected in the tab.
    const { selection } = await this.statuses.of(folderOf(adapter.uri));
    await this.actions.apply(adapter, selection);
  }

  /** The tab shows why an adapter cannot be read. */
  private async measureOpen(document: OpenedDocument): Promise<void> {
    if (document.failure === undefined) await this.actions.measure(document.adapter);
  }

  /** @returns the adapter's file */
  private async pick(title: string, preferred?: vscode.Uri): Promise<vscode.Uri> {
    const placeHolder = vscode.l10n.t('Type to filter by name or path');
    const file = await this.adapters.pick({ title, placeHolder, preferred });
    if (!file) throw new Cancelled();
    return file;
  }

  private async savePatch(resource: vscode.Uri | undefined): Promise<void> {
    const { adapter } = await this.target(resource, vscode.l10n.t('Save a patch of which adapter?'));
    adapter.requireProjection();
    const { name, path } = adapter.adapter;
    const target = await showSaveDialog({
      title: vscode.l10n.t('Save Patch'),
      defaultUri: vscode.Uri.joinPath(vscode.Uri.file(path), '..', `${name}${PATCH_ENDING}`),
      filters: { [vscode.l10n.t('Safe LoRA patch')]: ['safetensors'] },
    });
    if (!target) throw new Cancelled();
    if (!target.path.endsWith(PATCH_ENDING)) throw notAPatchName(target.fsPath);
    await adapter.savePatch(target.fsPath);
    void showInformation(vscode.l10n.t('Patch saved: {0}', basename(target.fsPath)));
  }

  private async applyPatch(resource: vscode.Uri | undefined): Promise<void> {
    const { adapter } = await this.target(resource, vscode.l10n.t('Apply a patch to which adapter?'));
    const files = await showOpenDialog({
      title: vscode.l10n.t('Patch for {0}', adapter.adapter.name),
      openLabel: vscode.l10n.t('Apply Patch'),
      defaultUri: vscode.Uri.joinPath(vscode.Uri.file(adapter.adapter.path), '..'),
      filters: { [vscode.l10n.t('Safe LoRA patch')]: ['safetensors'] },
    });
    if (!files?.[0]) throw new Cancelled();
    await this.actions.applyPatch(adapter, files[0].fsPath);
  }

  /** The adapter of a command: the one it was called on, the one in the active tab, or one that the user picks. */
  private async target(resource: vscode.Uri | undefined = inlineFile(), title: string): Promise<OpenedDocument> {
    const { active } = this.editor;
    if (!resource && active) return active;
    return this.editor.reveal(resource ? adapterFile(resource) : await this.pick(title));
  }
}

/** The target of a menu: a file, a folder, or an adapter in a view. */
function resourceOf(argument: unknown): vscode.Uri | undefined {
  if (argument instanceof vscode.Uri) return argument;
  return isObject(argument) && argument.folder instanceof vscode.Uri ? argument.folder : undefined;
}

/** The configuration or the report of an adapter in the active text editor. */
function inlineFile(): vscode.Uri | undefined {
  const document = vscode.window.activeTextEditor?.document;
  return document && (isConfig(document) || isReport(document)) ? document.uri : undefined;
}

/** From an adapter's folder or a file in it. */
function folderOf(resource: vscode.Uri): vscode.Uri {
  const isFile = [ADAPTER_FILE, CONFIG_FILE, REPORT_FILE].includes(basename(resource.path));
  return isFile ? parentOf(resource) : resource;
}

function adapterFile(resource: vscode.Uri): vscode.Uri {
  return vscode.Uri.joinPath(folderOf(resource), ADAPTER_FILE);
}

function notAPatchName(path: string): SafeLoraError {
  return new SafeLoraError(
    'patch-format',
    vscode.l10n.t('{0}: the name of a patch must end in {1}; choose another name.', path, PATCH_ENDING),
  );
}
