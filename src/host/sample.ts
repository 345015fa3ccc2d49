// The sample shipped with the extension: copied to a folder of the user, opened there, and measured without questions.
import { cp, mkdir, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, sep } from 'node:path';
import * as vscode from 'vscode';
import { ADAPTER_FILE } from '../core/adapter-folder';
import { fileError } from '../core/errors';
import { commands } from './common/contributions';
import { Disposable } from './common/dispose';
import { Cancelled, showingFailure } from './common/errors';
import { type Log, showInformation, showOpenDialog } from './common/surface';
import { type EditorActions } from './editor/actions';
import { type AdapterEditorProvider } from './editor/provider';

const NAME = 'safe-lora-sample';

/** The first adapter that a newcomer sees: it has the most modules. */
const FIRST_ADAPTER = 'mixed-all';

/** In the global state: the folder whose window continues from here. */
const OPENED = 'openedSample';

export class Sample extends Disposable {
  private readonly shipped: string;

  constructor(
    private readonly context: Pick<vscode.ExtensionContext, 'extensionPath' | 'extension' | 'globalState'>,
    private readonly editor: AdapterEditorProvider,
    private readonly actions: EditorActions,
    log: Log,
  ) {
    super();
    this.shipped = join(context.extensionPath, 'sample');
    this._register(vscode.commands.registerCommand(commands.openSample, () => showingFailure(log, () => this.open())));
    void showingFailure(log, () => this.goOn());
  }

  private async open(): Promise<void> {
    const folder = await this.copy();
    await this.context.globalState.update(OPENED, folder);
    const forceNewWindow = vscode.workspace.workspaceFolders !== undefined;
    await vscode.commands.executeCommand('vscode.openFolder', vscode.Uri.file(folder), { forceNewWindow });
  }

  /** In the window of a new copy: shows its pair, one adapter's heatmap, and the walkthrough behind that. */
  private async goOn(): Promise<void> {
    const folder = this.context.globalState.get<string>(OPENED);
    if (folder === undefined || vscode.workspace.workspaceFolders?.[0]?.uri.fsPath !== folder) return;
    await this.context.globalState.update(OPENED, undefined);
    void showInformation(vscode.l10n.t('Your copy of the sample: {0}', tildified(folder)));
    const { id } = this.context.extension;
    const step = { category: `${id}#start`, step: `${id}#start#heatmap` };
    await vscode.commands.executeCommand('workbench.action.openWalkthrough', step, false);
    const file = vscode.Uri.file(join(folder, 'adapters', FIRST_ADAPTER, ADAPTER_FILE));
    const { adapter } = await this.editor.reveal(file);
    await adapter.setModels({ base: join(folder, 'base'), aligned: join(folder, 'aligned') });
    await this.actions.measure(adapter);
  }

  /** Copies into the user's home folder; if that is not writable, the user chooses a folder. */
  private async copy(): Promise<string> {
    try {
      return await this.copyInto(homedir());
    } catch {
      const parents = await showOpenDialog({
        title: vscode.l10n.t('Choose a folder for {0}', NAME),
        openLabel: vscode.l10n.t('Copy Sample Here'),
        canSelectFiles: false,
        canSelectFolders: true,
        defaultUri: vscode.Uri.file(homedir()),
      });
      if (!parents?.[0]) throw new Cancelled();
      return this.copyInto(parents[0].fsPath);
    }
  }

  /** @throws SafeLoraError if the copy fails; it is then removed */
  private async copyInto(parent: string): Promise<string> {
    const folder = await makeNewFolder(join(parent, NAME));
    try {
      await cp(this.shipped, folder, { recursive: true });
      return folder;
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw fileError(folder, error, 'write');
    }
  }
}

/** Short enough for one line of a notification. */
function tildified(path: string): string {
  return path.startsWith(homedir() + sep) ? `~${path.slice(homedir().length)}` : path;
}

/** Creates the folder or, if the name is taken, the first free one of NAME-2, NAME-3 … */
async function makeNewFolder(path: string): Promise<string> {
  for (let count = 1; ; count++) {
    const folder = count === 1 ? path : `${path}-${count}`;
    try {
      await mkdir(folder);
      return folder;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw fileError(folder, error, 'write');
    }
  }
}
