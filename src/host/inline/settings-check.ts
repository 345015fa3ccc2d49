// Reports a wrong value as a problem of the settings file; the code uses a valid one instead.
import { findNodeAtLocation, type Node } from 'jsonc-parser';
import * as vscode from 'vscode';
import { openCheckpoint } from '../../core/checkpoint';
import { referenceOf } from '../../hub/reference';
import { kindOf } from '../../core/files';
import { SECTION, type Settings, settingNames } from '../common/contributions';
import { Disposable } from '../common/dispose';
import { jsonTree } from '../common/json-tree';
import { expandHome, folderProblems, type ModelSource } from '../models/models';
import { checkSetting, type WrongValue } from '../settings/setting-rules';
import { wantedText } from '../settings/settings';
import { type Log, problem, showWarning } from '../common/surface';

/** Far more than any settings have. */
const MOST_LETTERS = 10_000_000;

/** Debounce: the settings editor writes the file at every pause. */
const SETTLE_MS = 300;
const SOURCE = 'Safe LoRA';
const NAMING_FOLDERS = ['pairs', 'modelFolders'] as const satisfies readonly (keyof Settings)[];

/** A settings file of the workspace, and its content. */
interface SettingsFile {
  uri: vscode.Uri;
  /** Path to the settings in the file. */
  path: readonly string[];
  readonly valueOf: (name: keyof Settings) => unknown;
}

interface Problem {
  setting: keyof Settings;
  /** Path within the setting. */
  path: readonly (string | number)[];
  message: string;
}

export class SettingsCheck extends Disposable {
  private readonly diagnostics = this._register(vscode.languages.createDiagnosticCollection('safe-lora-settings'));
  private timer: NodeJS.Timeout | undefined;
  /** Findings in the folders that each file names, until they change. */
  private readonly folders = new Map<string, Promise<Problem[]>>();
  /** Only the latest check publishes its result. */
  private checks = 0;
  private toldOfUserSettings = false;

  constructor(private readonly log: Log) {
    super();
    this._register(
      vscode.workspace.onDidChangeConfiguration((change) => {
        if (!change.affectsConfiguration(SECTION)) return;
        if (NAMING_FOLDERS.some((name) => change.affectsConfiguration(`${SECTION}.${name}`))) this.folders.clear();
        this.checkSoon();
      }),
    );
    // Problems move with their lines.
    this._register(
      vscode.workspace.onDidSaveTextDocument(({ uri }) => {
        if (!settingsFiles().some((file) => file.uri.toString() === uri.toString())) return;
        this.folders.clear();
        this.checkSoon();
      }),
    );
    this._register(vscode.workspace.onDidChangeWorkspaceFolders(() => this.checkSoon()));
    this._register(vscode.workspace.onDidGrantWorkspaceTrust(() => this.checkSoon()));
    this.checkSoon();
  }

  override dispose(): void {
    clearTimeout(this.timer);
    super.dispose();
  }

  private checkSoon(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      void this.check().catch((error: unknown) => {
        this.log.error(error as Error);
      });
    }, SETTLE_MS);
  }

  private async check(): Promise<void> {
    const current = ++this.checks;
    this.tellOfUserSettings();
    const found = await Promise.all(
      settingsFiles().map(async (file): Promise<[vscode.Uri, vscode.Diagnostic[]]> => {
        const problems = [...wrongValues(file.valueOf), ...(await this.wrongFolders(file))];
        return [file.uri, problems.length > 0 ? await locate(file, problems) : []];
      }),
    );
    if (current !== this.checks || this.isDisposed) return;
    this.diagnostics.clear();
    this.diagnostics.set(found);
  }

  private wrongFolders({ uri, valueOf }: SettingsFile): Promise<Problem[]> {
    const key = uri.toString();
    const found = this.folders.get(key) ?? wrongFolders(valueOf);
    this.folders.set(key, found);
    return found;
  }

  /** The user's settings may be on another machine, so their problems have no file here. */
  private tellOfUserSettings(): void {
    if (this.toldOfUserSettings) return;
    const configuration = vscode.workspace.getConfiguration(SECTION);
    const problems = wrongValues((name) => configuration.inspect(name)?.globalValue);
    if (problems.length === 0) return;
    this.toldOfUserSettings = true;
    const text = problems.map(({ setting, message }) => `${SECTION}.${setting}: ${message}`).join(' ');
    this.log.warn(text);
    const open = vscode.l10n.t('Open Settings');
    void showWarning(vscode.l10n.t('User settings: {0}', text), open).then((chosen) => {
      if (chosen !== open) return;
      void vscode.commands.executeCommand('workbench.action.openSettings', `${SECTION}.${problems[0]!.setting}`);
    });
  }
}

function settingsFiles(): SettingsFile[] {
  const { workspaceFile, workspaceFolders = [] } = vscode.workspace;
  const ofFolder = (
    folder: vscode.WorkspaceFolder,
    level: 'workspaceValue' | 'workspaceFolderValue',
  ): SettingsFile => ({
    uri: vscode.Uri.joinPath(folder.uri, '.vscode', 'settings.json'),
    path: [],
    valueOf: (name) => vscode.workspace.getConfiguration(SECTION, folder.uri).inspect(name)?.[level],
  });
  // Without a workspace file, the only folder's settings are the workspace's.
  if (!workspaceFile) return workspaceFolders.map((folder) => ofFolder(folder, 'workspaceValue'));
  return [
    {
      uri: workspaceFile,
      path: ['settings'],
      valueOf: (name) => vscode.workspace.getConfiguration(SECTION).inspect(name)?.workspaceValue,
    },
    ...workspaceFolders.map((folder) => ofFolder(folder, 'workspaceFolderValue')),
  ];
}

function wrongValues(valueOf: SettingsFile['valueOf']): Problem[] {
  return settingNames.flatMap((setting) => {
    const value = valueOf(setting);
    if (value === undefined) return [];
    return checkSetting(setting, value).wrong.map((wrong) => ({
      setting,
      path: wrong.path,
      message: messageOf(wrong),
    }));
  });
}

function messageOf({ value, wanted, instead }: WrongValue): string {
  const given = JSON.stringify(value);
  return instead === undefined
    ? vscode.l10n.t('{0} is not {1}, so it is ignored.', given, wantedText(wanted))
    : vscode.l10n.t('{0} is not {1}; {2} is used instead.', given, wantedText(wanted), JSON.stringify(instead));
}

async function wrongFolders(valueOf: SettingsFile['valueOf']): Promise<Problem[]> {
  return [...(await wrongPairs(valueOf('pairs'))), ...(await wrongModelFolders(valueOf('modelFolders')))];
}

/** Missing ones. */
async function wrongModelFolders(folders: unknown): Promise<Problem[]> {
  // By its index in the file's list, wrong values included.
  const found = (Array.isArray(folders) ? folders : []).map(async (folder: unknown, i): Promise<Problem[]> => {
    const [valid] = checkSetting('modelFolders', [folder]).value;
    if (valid === undefined || (await kindOf(expandHome(valid)).catch(() => null)) === 'folder') return [];
    return [
      { setting: 'modelFolders', path: [i], message: vscode.l10n.t('{0} is not a folder on this machine.', valid) },
    ];
  });
  return (await Promise.all(found)).flat();
}

/** A model on the hub is checked on use: settings are read without the network. */
const offline: ModelSource = {
  open: async (given) => ((await referenceOf(given)) === null ? openCheckpoint(given) : { realPath: given }),
};

/** The pairs with a folder without a model, or with one model twice. */
async function wrongPairs(pairs: unknown): Promise<Problem[]> {
  const found = Object.entries(checkSetting('pairs', pairs).value).map(async ([key, pair]) =>
    (await folderProblems(pair, offline)).map(({ role, message }): Problem => ({
      setting: 'pairs',
      path: [key, role],
      message,
    })),
  );
  return (await Promise.all(found)).flat();
}

async function locate(file: SettingsFile, problems: readonly Problem[]): Promise<vscode.Diagnostic[]> {
  const document = await vscode.workspace.openTextDocument(file.uri);
  const tree = jsonTree(document.getText(), MOST_LETTERS);
  return problems.map(({ setting, path, message }) => {
    const key = tree && keyAt(tree, [...file.path, `${SECTION}.${setting}`, ...path]);
    const range = key
      ? new vscode.Range(document.positionAt(key.offset), document.positionAt(key.offset + key.length))
      : new vscode.Range(0, 0, 0, 0);
    const diagnostic = problem(range, message, vscode.DiagnosticSeverity.Warning, SOURCE);
    diagnostic.code = `${SECTION}.${setting}`;
    return diagnostic;
  });
}

/** The key of a property, which is the first child of its value's parent; a list's item itself. */
function keyAt(tree: Node, path: readonly (string | number)[]): Node | undefined {
  const value = findNodeAtLocation(tree, [...path]);
  return value?.parent?.type === 'array' ? value : value?.parent?.children?.[0];
}
