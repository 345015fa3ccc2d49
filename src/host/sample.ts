// The sample that ships inside the extension, copied to a folder of the user's own and opened there.
import { cp, mkdir, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import * as vscode from 'vscode';
import { fileError } from '../core/errors';
import { commands } from './common/contributions';
import { Disposable } from './common/dispose';
import { Cancelled, showingFailure } from './common/errors';
import { type Log, showOpenDialog } from './common/surface';

const NAME = 'safe-lora-sample';

export class Sample extends Disposable {
  private readonly shipped: string;

  constructor(extensionPath: string, log: Log) {
    super();
    this.shipped = join(extensionPath, 'sample');
    this._register(vscode.commands.registerCommand(commands.openSample, () => showingFailure(log, () => this.open())));
  }

  private async open(): Promise<void> {
    const parents = await showOpenDialog({
      title: vscode.l10n.t('Choose where the folder {0} is made', NAME),
      openLabel: vscode.l10n.t('Copy Sample Here'),
      canSelectFiles: false,
      canSelectFolders: true,
      defaultUri: vscode.Uri.file(homedir()),
    });
    if (!parents?.[0]) throw new Cancelled();
    const folder = await this.copyInto(parents[0].fsPath);
    const forceNewWindow = vscode.workspace.workspaceFolders !== undefined;
    await vscode.commands.executeCommand('vscode.openFolder', vscode.Uri.file(folder), { forceNewWindow });
  }

  /** @throws SafeLoraError where the copy fails; nothing of it is left then */
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

/** Makes the folder or, where something has its name, the first of NAME-2, NAME-3 … that is free. */
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
