// All of our output in the editor passes here: names, paths and messages come from strangers' files and must remain text. Control and
// bidirectional characters are escaped, long text is shortened, and nothing becomes a link, an icon or markup. An ESLint rule forbids other
// modules to use the editor's own functions.
import * as vscode from 'vscode';
import { elided, visible, visibleJson } from '../../core/text';

/** Fits a row of a list. */
const MOST_LABEL = 200;
/** Longer than any of our sentences with a path and some names. */
const MOST_MESSAGE = 1500;
/** The log is a file that explains what a message left out. */
const MOST_LOGGED = 20_000;

/** Escapes a text of one line. */
export function plain(text: string, most = MOST_MESSAGE): string {
  return visible(elided(text, most));
}

/** Escapes a text of several lines, each separately. */
export function plainLines(lines: readonly string[]): string {
  return lines.map((line) => plain(line)).join('\n');
}

/** One line where the editor renders Markdown links, even to commands: notifications, their progress, a tool's question. */
function linkless(text: string): string {
  return plain(text).replaceAll('](', '] (');
}

/** One line where the editor renders `$(name)` as an icon; ours is passed separately. */
function iconless(text: string, icon?: string): string {
  const label = plain(text, MOST_LABEL).replace(/\$\(/g, '\\$(');
  return icon === undefined ? label : `$(${icon}) ${label}`;
}

/** Untrusted text in Markdown, without HTML or commands. */
export function markdown(value = ''): vscode.MarkdownString {
  const made = new vscode.MarkdownString(value);
  made.isTrusted = false;
  made.supportHtml = false;
  return made;
}

export interface MessageOptions extends vscode.MessageOptions {
  /** Lines below a modal message. */
  lines?: readonly string[];
}

interface ShowMessage {
  <T extends string>(message: string, ...buttons: T[]): Promise<T | undefined>;
  <T extends string>(message: string, options: MessageOptions, ...buttons: T[]): Promise<T | undefined>;
}

type EditorMessage = (message: string, options: vscode.MessageOptions, ...buttons: string[]) => Thenable<unknown>;

function messages(show: EditorMessage): ShowMessage {
  return (message: string, first?: MessageOptions | string, ...others: string[]) => {
    const { lines = [], ...options } = typeof first === 'object' ? first : {};
    const detail = lines.length > 0 ? { detail: lines.map(linkless).join('\n') } : {};
    const buttons = typeof first === 'string' ? [first, ...others] : others;
    return Promise.resolve(show(linkless(message), { ...options, ...detail }, ...buttons)) as Promise<never>;
  };
}

export const showInformation = messages(vscode.window.showInformationMessage);
export const showWarning = messages(vscode.window.showWarningMessage);
export const showError = messages(vscode.window.showErrorMessage);

export type Progress = vscode.Progress<{ message?: string; increment?: number }>;

/** Shows a notification during work; cancellable with a token. */
export function withProgress<T>(
  title: string,
  work: (progress: Progress, token: vscode.CancellationToken) => Thenable<T>,
  cancellable = false,
): Thenable<T> {
  const options = { location: vscode.ProgressLocation.Notification, title: linkless(title), cancellable };
  return vscode.window.withProgress(options, (progress, token) =>
    work(
      {
        report: ({ message, increment }) => {
          progress.report({
            ...(message === undefined ? {} : { message: linkless(message) }),
            ...(increment === undefined ? {} : { increment }),
          });
        },
      },
      token,
    ),
  );
}

export interface PickItem extends vscode.QuickPickItem {
  /** Before the label. */
  icon?: string;
}

type PickOptions = vscode.QuickPickOptions & { title: string };

export async function showQuickPick<T extends PickItem>(
  items: readonly T[],
  options: PickOptions,
): Promise<T | undefined> {
  const chosen = await vscode.window.showQuickPick(items.map(plainPick), plainPickOptions(options));
  return chosen?.item;
}

/** Any number of the items; undefined if the user cancelled. */
export async function showQuickPickMany<T extends PickItem>(
  items: readonly T[],
  options: PickOptions,
): Promise<T[] | undefined> {
  const all = { ...plainPickOptions(options), canPickMany: true } as const;
  const chosen = await vscode.window.showQuickPick(items.map(plainPick), all);
  return chosen?.map(({ item }) => item);
}

function plainPick<T extends PickItem>(item: T): vscode.QuickPickItem & { item: T } {
  return {
    label: iconless(item.label, item.icon),
    ...(item.kind === undefined ? {} : { kind: item.kind }),
    ...(item.description === undefined ? {} : { description: iconless(item.description) }),
    ...(item.detail === undefined ? {} : { detail: iconless(item.detail) }),
    item,
  };
}

function plainPickOptions({ title, placeHolder, ...options }: PickOptions): vscode.QuickPickOptions {
  return {
    ...options,
    title: plain(title, MOST_LABEL),
    ...(placeHolder === undefined ? {} : { placeHolder: plain(placeHolder, MOST_LABEL) }),
  };
}

/** The field stays open until answered: a page in front may take the focus, and users look up the answer elsewhere. */
export function showInputBox(options: vscode.InputBoxOptions & { title: string }): Thenable<string | undefined> {
  return vscode.window.showInputBox({ ...options, title: plain(options.title, MOST_LABEL), ignoreFocusOut: true });
}

export function showOpenDialog(
  options: vscode.OpenDialogOptions & { title: string },
): Thenable<vscode.Uri[] | undefined> {
  return vscode.window.showOpenDialog({ ...options, title: plain(options.title, MOST_LABEL) });
}

export function showSaveDialog(
  options: vscode.SaveDialogOptions & { title: string },
): Thenable<vscode.Uri | undefined> {
  return vscode.window.showSaveDialog({ ...options, title: plain(options.title, MOST_LABEL) });
}

/** Shows a sentence in the status bar for some seconds. */
export function showBriefly(text: string): void {
  vscode.window.setStatusBarMessage(iconless(text), 3000);
}

/** The extension's output channel. */
export interface Log {
  debug: (message: string) => void;
  info: (message: string) => void;
  warn: (message: string) => void;
  error: (problem: string | Error) => void;
  show: () => void;
  dispose: () => void;
}

export function createLog(name: string): Log {
  const channel = vscode.window.createOutputChannel(name, { log: true });
  // Indents the following lines, so that none looks like a separate entry.
  const text = (message: string): string =>
    elided(message, MOST_LOGGED)
      .trimEnd()
      .split('\n')
      .map((line, i) => (i === 0 ? visible(line) : `    ${visible(line.trim())}`))
      .join('\n');
  return {
    debug: (message) => channel.debug(text(message)),
    info: (message) => channel.info(text(message)),
    warn: (message) => channel.warn(text(message)),
    error: (problem) => {
      channel.error(text(typeof problem === 'string' ? problem : (problem.stack ?? problem.message)));
    },
    show: () => channel.show(),
    dispose: () => channel.dispose(),
  };
}

export function createTreeView<T>(
  id: string,
  provider: vscode.TreeDataProvider<T>,
  options = { canSelectMany: true, showCollapseAll: true },
): vscode.TreeView<T> {
  const treeDataProvider: vscode.TreeDataProvider<T> = {
    ...(provider.onDidChangeTreeData ? { onDidChangeTreeData: provider.onDidChangeTreeData } : {}),
    getChildren: (node) => provider.getChildren(node),
    getTreeItem: async (node) => plainItem(await provider.getTreeItem(node)),
  };
  return vscode.window.createTreeView(id, { treeDataProvider, ...options });
}

/** @param item with a tooltip from `plainLines` */
function plainItem(item: vscode.TreeItem): vscode.TreeItem {
  if (typeof item.label === 'string') item.label = plain(item.label, MOST_LABEL);
  if (typeof item.description === 'string') item.description = plain(item.description, MOST_LABEL);
  if (typeof item.tooltip === 'string') item.tooltip = plainLines(item.tooltip.split('\n'));
  return item;
}

export interface StatusBarText {
  icon: string;
  text: string;
  tooltip: readonly string[];
  command: vscode.Command;
}

/** An entry of the status bar, hidden while empty. */
export class StatusBarEntry implements vscode.Disposable {
  private readonly item: vscode.StatusBarItem;

  constructor(id: string, name: string) {
    this.item = vscode.window.createStatusBarItem(id, vscode.StatusBarAlignment.Right, 100);
    this.item.name = name;
  }

  show({ icon, text, tooltip, command }: StatusBarText): void {
    this.item.text = iconless(text, icon);
    this.item.tooltip = plainLines(tooltip);
    this.item.command = command;
    this.item.show();
  }

  hide(): void {
    this.item.hide();
  }

  dispose(): void {
    this.item.dispose();
  }
}

export interface Lens {
  range: vscode.Range;
  icon?: string;
  title: string;
  /** Without one it is only text. */
  command?: string;
  arguments?: unknown[];
  tooltip?: string;
}

export interface LensProvider {
  onDidChangeCodeLenses?: vscode.Event<void>;
  lenses: (document: vscode.TextDocument) => Lens[] | Promise<Lens[]>;
}

export function registerLenses(selector: vscode.DocumentSelector, provider: LensProvider): vscode.Disposable {
  const { onDidChangeCodeLenses } = provider;
  return vscode.languages.registerCodeLensProvider(selector, {
    ...(onDidChangeCodeLenses ? { onDidChangeCodeLenses } : {}),
    provideCodeLenses: async (document) =>
      (await provider.lenses(document)).map(
        ({ range, icon, title, command = '', tooltip, arguments: given }) =>
          new vscode.CodeLens(range, {
            title: iconless(title, icon),
            command,
            ...(given === undefined ? {} : { arguments: given }),
            ...(tooltip === undefined ? {} : { tooltip: plain(tooltip) }),
          }),
      ),
  });
}

/** An entry of the Problems view. */
export function problem(
  range: vscode.Range,
  message: string,
  severity: vscode.DiagnosticSeverity,
  source: string,
): vscode.Diagnostic {
  const made = new vscode.Diagnostic(range, plain(message), severity);
  made.source = source;
  return made;
}

export function decoration(badge: string, tooltip: string, color: string): vscode.FileDecoration {
  return new vscode.FileDecoration(badge, plain(tooltip), new vscode.ThemeColor(color));
}

export function createWebviewPanel(id: string, title: string): vscode.WebviewPanel {
  return vscode.window.createWebviewPanel(id, plain(title, MOST_LABEL), vscode.ViewColumn.Active);
}

/** The question of a language model's tool before it runs. */
export interface Announcement {
  /** Its message while it runs. */
  message: string;
  question?: { title: string; paragraphs: readonly string[] };
}

export interface Tool<T> {
  announce: (input: T) => Promise<Announcement>;
  /** @returns the result as JSON without invisible characters; the values are the same */
  answer: (input: T, token: vscode.CancellationToken) => Promise<object>;
}

export function registerTool<T>(name: string, { announce, answer }: Tool<T>): vscode.Disposable {
  return vscode.lm.registerTool<T>(name, {
    prepareInvocation: ({ input }) =>
      plainFailures(async () => {
        const { message, question } = await announce(input);
        const invocationMessage = paragraphsOf([message]);
        if (!question) return { invocationMessage };
        const { title, paragraphs } = question;
        return {
          invocationMessage,
          confirmationMessages: { title: linkless(title), message: paragraphsOf(paragraphs) },
        };
      }),
    invoke: ({ input }, token) =>
      plainFailures(async () => {
        const json = visibleJson(JSON.stringify(await answer(input, token)));
        return new vscode.LanguageModelToolResult([new vscode.LanguageModelTextPart(json)]);
      }),
  });
}

/** The editor would read a string as Markdown. */
function paragraphsOf(paragraphs: readonly string[]): vscode.MarkdownString {
  const made = markdown();
  paragraphs.forEach((paragraph, i) => {
    made.appendMarkdown(i === 0 ? '' : '\n\n').appendText(plain(paragraph));
  });
  return made;
}

/** For failures that the editor itself shows: of a tool or a save. */
export async function plainFailures<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof Error) || error instanceof vscode.CancellationError) throw error;
    const { name, message } = error;
    throw Object.assign(new Error(linkless(message), { cause: error }), { name });
  }
}
