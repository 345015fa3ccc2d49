// Which two models belong to an adapter: asked for once, checked at once, remembered for the next adapter on the same model.
import { homedir } from 'node:os';
import { basename, dirname } from 'node:path';
import * as vscode from 'vscode';
import { type Adapter } from '../core/adapter';
import { openCheckpoint } from '../core/checkpoint';
import { type ModelPair, SECTION } from './contributions';
import { type ModelRole } from './editor/protocol';
import { errorView } from './errors';
import { setting } from './settings';

interface FolderItem extends vscode.QuickPickItem {
  folder?: string;
}

/** Weights of a model in the workspace, in either of the two forms that are read. */
const MODEL_FILES = '**/{model.safetensors,model.safetensors.index.json}';
const MOST_MODELS = 200;

/** By what an adapter's models are found. */
export type ModelKey = Pick<Adapter, 'trainedOn' | 'path'>;

export class ModelPairs {
  /** Of this window; the settings of a workspace that is not trusted are not written. */
  private readonly chosen = new Map<string, Partial<ModelPair>>();

  private readonly changed = new vscode.EventEmitter<void>();
  /** Other models were chosen, for this window at least. */
  readonly onDidChange = this.changed.event;

  /** What is known of the adapter's models; either may still be missing. */
  find(adapter: ModelKey, scope: vscode.Uri): Partial<ModelPair> {
    const key = pairKey(adapter);
    const pair = this.chosen.get(key) ?? setting('pairs', scope)[key] ?? {};
    return Object.fromEntries(Object.entries(pair).map(([role, folder]) => [role, expandHome(folder)]));
  }

  async remember(adapter: Adapter, scope: vscode.Uri, pair: Partial<ModelPair>): Promise<void> {
    const key = pairKey(adapter);
    // Until the settings say it.
    this.chosen.set(key, pair);
    this.changed.fire();
    if (!pair.base || !pair.aligned || !vscode.workspace.isTrusted) return;
    const configuration = vscode.workspace.getConfiguration(SECTION, scope);
    const target = vscode.workspace.workspaceFolders
      ? vscode.ConfigurationTarget.Workspace
      : vscode.ConfigurationTarget.Global;
    const inspected = configuration.inspect<Record<string, ModelPair>>('pairs');
    const earlier =
      target === vscode.ConfigurationTarget.Workspace ? inspected?.workspaceValue : inspected?.globalValue;
    await configuration.update('pairs', { ...earlier, [key]: pair }, target);
    this.chosen.delete(key);
  }

  /**
   * Asks for a model's folder until one is given that can be read.
   * @returns undefined where the user gave up
   */
  async choose(role: ModelRole, adapter: Adapter, pair: Partial<ModelPair>): Promise<string | undefined> {
    const title =
      role === 'base'
        ? vscode.l10n.t('Base model of {0}: the pretrained one, before alignment', adapter.name)
        : vscode.l10n.t('Aligned model of {0}: the chat or instruct model it was trained on', adapter.name);
    const other = role === 'base' ? pair.aligned : pair.base;
    for (;;) {
      const folder = await pickFolder(title, role, adapter, pair[role], other);
      if (folder === undefined) return undefined;
      // With both known, the other's folder means that they change places.
      const problem = await problemOf(folder, pair[role] === undefined ? other : undefined, role);
      if (problem === null) return folder;
      const again = vscode.l10n.t('Choose Another');
      if ((await vscode.window.showErrorMessage(problem, { modal: true }, again)) !== again) return undefined;
    }
  }
}

async function problemOf(folder: string, other: string | undefined, role: ModelRole): Promise<string | null> {
  try {
    const { realPath } = await openCheckpoint(folder);
    if (other === undefined || (await openCheckpoint(other)).realPath !== realPath) return null;
    return role === 'base'
      ? vscode.l10n.t('{0} is already the aligned model; the base is the model before alignment.', folder)
      : vscode.l10n.t('{0} is already the base; the aligned model is the one after alignment.', folder);
  } catch (error) {
    return errorView(error).message;
  }
}

/** What is wrong with the folders of a pair: one that holds no model, or the same model in both. */
export async function folderProblems(pair: ModelPair): Promise<{ role: ModelRole; message: string }[]> {
  const [base, aligned] = [expandHome(pair.base), expandHome(pair.aligned)];
  const problems = {
    base: await problemOf(base, undefined, 'base'),
    aligned: await problemOf(aligned, undefined, 'aligned'),
  };
  if (problems.base === null && problems.aligned === null) problems.aligned = await problemOf(aligned, base, 'aligned');
  return (['base', 'aligned'] as const).flatMap((role) => {
    const message = problems[role];
    return message === null ? [] : [{ role, message }];
  });
}

async function pickFolder(
  title: string,
  role: ModelRole,
  adapter: Adapter,
  current: string | undefined,
  other: string | undefined,
): Promise<string | undefined> {
  const isOther =
    current === undefined
      ? vscode.l10n.t('chosen as the other of the two')
      : vscode.l10n.t('now the other of the two: choosing it swaps them');
  // What the adapter names is the aligned model as a rule, and so what the base is not.
  const unlikely = (folder: string): number =>
    folder === other ? 2 : Number((adapter.trainedOn?.endsWith(basename(folder)) ?? false) === (role === 'base'));
  const found = await modelFolders();
  const items = found
    .sort((a, b) => unlikely(a) - unlikely(b))
    .map((folder): FolderItem => ({
      label: basename(folder),
      description: folder,
      ...(folder === other ? { detail: isOther } : {}),
      folder,
    }));
  if (items.length > 0) {
    const browse: FolderItem = { label: `$(folder-opened) ${vscode.l10n.t('Browse…')}` };
    const placeHolder = adapter.trainedOn
      ? vscode.l10n.t('The adapter says that it was trained on {0}', adapter.trainedOn)
      : vscode.l10n.t('A folder with config.json and safetensors files');
    const chosen = await vscode.window.showQuickPick([...items, browse], {
      title,
      placeHolder,
      matchOnDescription: true,
    });
    if (chosen?.folder !== undefined || !chosen) return chosen?.folder;
  }
  const start = current ?? other;
  const folders = await vscode.window.showOpenDialog({
    title,
    openLabel: vscode.l10n.t('Choose Model Folder'),
    canSelectFiles: false,
    canSelectFolders: true,
    defaultUri: vscode.Uri.file(start === undefined ? adapter.path : dirname(start)),
  });
  return folders?.[0]?.fsPath;
}

/** Model folders of the workspace, by name. */
async function modelFolders(): Promise<string[]> {
  const files = await vscode.workspace.findFiles(MODEL_FILES, undefined, MOST_MODELS);
  return [...new Set(files.map((file) => dirname(file.fsPath)))].sort();
}

/** Adapters on the same model share their pair; one that does not name its model has a pair of its own. */
function pairKey(adapter: ModelKey): string {
  return adapter.trainedOn ?? adapter.path;
}

function expandHome(folder: string): string {
  return folder.replace(/^~(?=[\\/]|$)/, homedir());
}
