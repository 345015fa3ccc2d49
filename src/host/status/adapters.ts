// The workspace's adapters: searched once, then watched; a context key serves the explorer's menu.
import { basename } from 'node:path';
import * as vscode from 'vscode';
import { ADAPTER_FILE } from '../../core/adapter-folder';
import { CONFIG_FILE } from '../../core/adapter-config';
import { contextKeys } from '../common/contributions';
import { Disposable } from '../common/dispose';
import { folderOf } from '../common/files';
import { type Log, type PickItem, showOpenDialog, showQuickPick } from '../common/surface';

const PATTERN = `**/${CONFIG_FILE}`;

export interface PickOptions {
  title: string;
  placeHolder: string;
  /** An adapter's file to suggest first. */
  preferred?: vscode.Uri | undefined;
  /** One not to suggest. */
  without?: vscode.Uri;
}

interface AdapterItem extends PickItem {
  file?: vscode.Uri;
}

export class WorkspaceAdapters extends Disposable {
  /** Folders by their URI. */
  private readonly folders = new Map<string, vscode.Uri>();
  private readonly found: Promise<void>;
  private readonly changed = this._register(new vscode.EventEmitter<void>());
  /** Adapters were added or removed. */
  readonly onDidChange = this.changed.event;

  constructor(private readonly log: Log) {
    super();
    // The watcher reports a copied or renamed folder without its files.
    const anything = this._register(vscode.workspace.createFileSystemWatcher('**', false, true, false));
    this._register(anything.onDidCreate((created) => void this.look(created)));
    this._register(anything.onDidDelete((deleted) => this.forget(deleted)));
    this.found = this.find();
    this._register(vscode.workspace.onDidChangeWorkspaceFolders(() => void this.find()));
  }

  /** The folders of all adapters, by their paths in the workspace. */
  async list(): Promise<vscode.Uri[]> {
    await this.found;
    return [...this.folders.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  has(folder: vscode.Uri): boolean {
    return this.folders.has(folder.toString());
  }

  /**
   * Lets the user pick an adapter of the workspace, or any folder.
   * @returns the adapter's file
   */
  async pick({ title, placeHolder, preferred, without }: PickOptions): Promise<vscode.Uri | undefined> {
    await this.found;
    const items = [...this.folders.values()]
      .map((folder): AdapterItem => ({
        label: basename(folder.path),
        description: vscode.workspace.asRelativePath(folder),
        file: vscode.Uri.joinPath(folder, ADAPTER_FILE),
      }))
      .filter(({ file }) => file?.toString() !== without?.toString())
      .sort(
        (a, b) =>
          Number(b.file?.toString() === preferred?.toString()) - Number(a.file?.toString() === preferred?.toString()) ||
          (a.description! < b.description! ? -1 : 1),
      );
    if (items.length > 0) {
      const browse: AdapterItem = { icon: 'folder-opened', label: vscode.l10n.t('Browse…') };
      const chosen = await showQuickPick([...items, browse], {
        title,
        placeHolder,
        // A page in front may take the focus back, which would close the question.
        ignoreFocusOut: true,
        matchOnDescription: true,
      });
      if (!chosen || chosen.file) return chosen?.file;
    }
    const folders = await showOpenDialog({
      title: vscode.l10n.t('Choose the folder of a LoRA adapter'),
      openLabel: vscode.l10n.t('Choose Adapter Folder'),
      canSelectFiles: false,
      canSelectFolders: true,
    });
    return folders?.[0] && vscode.Uri.joinPath(folders[0], ADAPTER_FILE);
  }

  private async find(): Promise<void> {
    const start = performance.now();
    const files = await vscode.workspace.findFiles(PATTERN);
    this.folders.clear();
    for (const file of files) this.add(file);
    this.publish();
    this.log.info(`Found ${this.folders.size} adapters in ${Math.round(performance.now() - start)} ms`);
  }

  private async look(created: vscode.Uri): Promise<void> {
    if (basename(created.path) === CONFIG_FILE) {
      this.announce([created]);
      return;
    }
    const found = await vscode.workspace.fs.stat(created).then(
      (stat) => stat.type,
      () => undefined,
    );
    if (found !== vscode.FileType.Directory) return;
    this.announce(await vscode.workspace.findFiles(new vscode.RelativePattern(created, PATTERN)));
  }

  private announce(files: vscode.Uri[]): void {
    const fresh = files.filter((file) => this.add(file));
    for (const file of fresh) this.log.info(`Adapter found: ${folderOf(file).fsPath}`);
    if (fresh.length > 0) this.publish();
  }

  private forget(deleted: vscode.Uri): void {
    const gone = [...this.folders.values()].filter((folder) => isWithin(configOf(folder), deleted));
    for (const folder of gone) {
      this.folders.delete(folder.toString());
      this.log.info(`Adapter gone: ${folder.fsPath}`);
    }
    if (gone.length > 0) this.publish();
  }

  /** @returns whether the adapter is new */
  private add(file: vscode.Uri): boolean {
    const folder = folderOf(file);
    const known = this.folders.has(folder.toString());
    this.folders.set(folder.toString(), folder);
    return !known;
  }

  private publish(): void {
    const paths = [...this.folders.values()].map((folder) => folder.fsPath);
    void vscode.commands.executeCommand('setContext', contextKeys.adapterFolders, paths);
    this.changed.fire();
  }
}

function configOf(folder: vscode.Uri): vscode.Uri {
  return vscode.Uri.joinPath(folder, CONFIG_FILE);
}

function isWithin(file: vscode.Uri, folder: vscode.Uri): boolean {
  return `${file.toString()}/`.startsWith(`${folder.toString()}/`);
}
