// The custom editor for adapter_model.safetensors.
import { mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import * as vscode from 'vscode';
import { SafeLoraError } from '../../core/errors';
import { type BehaviourActions } from '../behaviour/actions';
import { type EditorActions } from './actions';
import { EDITOR } from '../common/contributions';
import { Disposable } from '../common/dispose';
import { type AdapterDocument, type DocumentServices } from './document';
import { OpenedDocument } from './opened-document';
import { AdapterPage } from './page';
import { plain, plainFailures } from '../common/surface';

/** VS Code accepts both kinds of event from one emitter, though its types allow only one kind. */
type EditEvent = vscode.CustomDocumentEditEvent<OpenedDocument>;

export class AdapterEditorProvider extends Disposable implements vscode.CustomEditorProvider<OpenedDocument> {
  private readonly edited = this._register(new vscode.EventEmitter<EditEvent>());
  readonly onDidChangeCustomDocument = this.edited.event;
  private readonly shown = this._register(new vscode.EventEmitter<void>());
  /** A document was read, or failed to. */
  readonly onDidShow = this.shown.event;
  private readonly open = new Map<string, OpenedDocument>();

  constructor(
    private readonly services: DocumentServices,
    private readonly actions: EditorActions,
    private readonly behaviour: BehaviourActions,
    private readonly extensionUri: vscode.Uri,
  ) {
    super();
    this._register(
      vscode.window.registerCustomEditorProvider(EDITOR, this, { supportsMultipleEditorsPerDocument: true }),
    );
  }

  /** Opens an adapter's editor, or focuses it. */
  async reveal(uri: vscode.Uri): Promise<OpenedDocument> {
    await vscode.commands.executeCommand('vscode.openWith', uri, EDITOR);
    // The editor may spell the path differently on a case-insensitive file system.
    const document = this.open.get(uri.toString()) ?? this.active;
    if (document) return document;
    throw notOpened(uri);
  }

  /** The adapter of a file, if a tab has it open and it is readable. */
  find(uri: vscode.Uri): OpenedDocument | undefined {
    const document = this.open.get(uri.toString());
    return document?.failure === undefined ? document : undefined;
  }

  /** The adapter in the active tab. */
  get active(): OpenedDocument | undefined {
    const input = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
    return input instanceof vscode.TabInputCustom ? this.open.get(input.uri.toString()) : undefined;
  }

  async openCustomDocument(uri: vscode.Uri, context: vscode.CustomDocumentOpenContext): Promise<OpenedDocument> {
    const backup = context.backupId === undefined ? undefined : vscode.Uri.parse(context.backupId).fsPath;
    const document = await OpenedDocument.open(uri, this.services, backup);
    let listening = this.forward(document);
    document.onDidLoad(() => {
      listening?.dispose();
      listening = this.forward(document);
      this.shown.fire();
    });
    const key = uri.toString();
    this.open.set(key, document);
    this.shown.fire();
    document.attach(
      new vscode.Disposable(() => {
        listening?.dispose();
        if (this.open.get(key) === document) this.open.delete(key);
      }),
    );
    return document;
  }

  resolveCustomEditor(document: OpenedDocument, panel: vscode.WebviewPanel): void {
    const page = new AdapterPage(panel, document, this.actions, this.behaviour, this.services.log, this.extensionUri);
    panel.onDidDispose(() => {
      page.dispose();
    });
  }

  async saveCustomDocument(document: OpenedDocument): Promise<void> {
    await plainFailures(() => this.actions.saved(document.adapter));
    // VS Code considers the state at return as saved; report edits made meanwhile again.
    setTimeout(() => {
      if (document.adapter.isDirty) this.edited.fire({ document } as EditEvent);
    });
  }

  async saveCustomDocumentAs(document: OpenedDocument, destination: vscode.Uri): Promise<void> {
    await plainFailures(() => document.adapter.saveAs(destination));
  }

  async revertCustomDocument(document: OpenedDocument): Promise<void> {
    await plainFailures(() => document.revert());
  }

  async backupCustomDocument(
    document: OpenedDocument,
    { destination }: vscode.CustomDocumentBackupContext,
  ): Promise<vscode.CustomDocumentBackup> {
    await mkdir(dirname(destination.fsPath), { recursive: true });
    await plainFailures(() => document.adapter.backup(destination.fsPath));
    return { id: destination.toString(), delete: () => void rm(destination.fsPath, { force: true }) };
  }

  private forward(document: OpenedDocument): vscode.Disposable | undefined {
    if (document.failure !== undefined) return undefined;
    const adapter: AdapterDocument = document.adapter;
    return adapter.onDidEdit((edit) => {
      this.edited.fire({ document, ...edit, label: plain(edit.label) });
    });
  }
}

function notOpened(uri: vscode.Uri): SafeLoraError {
  return new SafeLoraError('file-access', vscode.l10n.t('{0}: did not open; check the path.', uri.fsPath));
}
