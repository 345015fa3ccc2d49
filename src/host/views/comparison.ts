// Compares two adapters side by side: opened from the palette, the explorer or the tree; one tab per pair.
import { isDeepStrictEqual } from 'node:util';
import * as vscode from 'vscode';
import { ADAPTER_FILE } from '../../core/adapter-folder';
import { folderName } from '../../core/model-names';
import { alignModules, type ComparedModule, onSameModels } from '../../core/comparison';
import { SafeLoraError } from '../../core/errors';
import { type WorkspaceAdapters } from '../status/adapters';
import { commands, EDITOR } from '../common/contributions';
import { Disposable } from '../common/dispose';
import { numberRows } from '../../page/numbers';
import { Cancelled, showingFailure } from '../common/errors';
import { type AdapterStatus, type AdapterStatuses } from '../status/adapter-status';
import { resultsView } from '../behaviour/behaviour-run';
import { type Inspector } from '../editor/inspector';
import { type KeptEvaluation } from '../status/evaluations';
import { textLanguage } from '../common/language';
import { servePage } from '../common/webview';
import {
  type ComparedAdapterView,
  type ComparisonView,
  type FromComparison,
  type Side,
  sides,
  type ToComparison,
} from '../../page/comparison';
import { comparisonStrings } from '../../page/comparison-strings';
import { createWebviewPanel, type Log } from '../common/surface';

type Folders = Record<Side, vscode.Uri>;

export class Comparisons extends Disposable {
  private readonly open = new Map<string, ComparisonPanel>();

  constructor(
    private readonly statuses: AdapterStatuses,
    private readonly inspector: Inspector,
    private readonly adapters: WorkspaceAdapters,
    private readonly log: Log,
    private readonly extensionUri: vscode.Uri,
  ) {
    super();
    this._register(
      vscode.commands.registerCommand(commands.compareAdapters, (item: unknown, items: unknown) =>
        showingFailure(log, () => this.compare(foldersOf(items ?? (item === undefined ? [] : [item])))),
      ),
    );
  }

  override dispose(): void {
    for (const panel of this.open.values()) panel.dispose();
    super.dispose();
  }

  private async compare(given: readonly vscode.Uri[]): Promise<void> {
    const folders = given.length > 1 ? onlyTwo(given) : await this.ask(given[0]);
    for (const side of sides) await this.inspectIfDue(folders[side]);
    const key = `${folders.a.toString()} ${folders.b.toString()}`;
    const open = this.open.get(key);
    if (open) {
      open.reveal();
      return;
    }
    const panel = new ComparisonPanel(folders, this.statuses, this.inspector, this.log, this.extensionUri);
    this.open.set(key, panel);
    panel.onDidClose(() => this.open.delete(key));
  }

  /**
   * The order in which they are chosen is the one of the difference.
   * @param first the folder of A where it is known
   */
  private async ask(first?: vscode.Uri): Promise<Folders> {
    const title = vscode.l10n.t('Safe LoRA: Compare Adapters');
    const a = first
      ? vscode.Uri.joinPath(first, ADAPTER_FILE)
      : await this.adapters.pick({ title, placeHolder: vscode.l10n.t('Choose the first adapter, A') });
    if (!a) throw new Cancelled();
    const placeHolder = vscode.l10n.t('Choose the second adapter, B: the difference is B − A');
    const b = await this.adapters.pick({ title, placeHolder, without: a });
    if (!b) throw new Cancelled();
    return onlyTwo([a, b].map((file) => vscode.Uri.joinPath(file, '..')));
  }

  private async inspectIfDue(folder: vscode.Uri): Promise<void> {
    if (folder.scheme !== 'file') {
      throw notOnDisk(folder);
    }
    if ((await this.statuses.of(folder)).state !== 'inspected') await this.inspector.inspect(folder);
  }
}

/** One tab: sends the page its data, again whenever either adapter's status changes. */
class ComparisonPanel extends Disposable {
  private readonly panel: vscode.WebviewPanel;
  private ready = false;
  private updates = 0;

  constructor(
    private readonly folders: Folders,
    private readonly statuses: AdapterStatuses,
    private readonly inspector: Inspector,
    private readonly log: Log,
    extensionUri: vscode.Uri,
  ) {
    super();
    const title = sides.map((side) => folderName(folders[side].fsPath)).join(' ↔ ');
    this.panel = this._register(createWebviewPanel(commands.compareAdapters, title));
    this._register(this.panel.onDidDispose(() => this.dispose()));
    this._register(this.panel.webview.onDidReceiveMessage((message: FromComparison) => void this.receive(message)));
    this._register(
      statuses.onDidChange((changed) => {
        const concerned = sides.some((side) => folders[side].toString() === changed?.toString());
        if (changed === undefined || concerned) void this.update();
      }),
    );
    servePage(this.panel.webview, extensionUri, 'comparison');
  }

  get onDidClose(): vscode.Event<void> {
    return this.panel.onDidDispose;
  }

  reveal(): void {
    this.panel.reveal();
  }

  private async receive(message: FromComparison): Promise<void> {
    switch (message.type) {
      case 'ready':
        this.ready = true;
        this.send({ type: 'strings', strings: comparisonStrings(vscode.l10n), language: textLanguage() });
        return this.update();
      case 'open': {
        const file = vscode.Uri.joinPath(this.folders[message.side], ADAPTER_FILE);
        await vscode.commands.executeCommand('vscode.openWith', file, EDITOR);
        return;
      }
      case 'inspect':
        await showingFailure(this.log, () => this.inspector.inspect(this.folders[message.side]));
    }
  }

  private async update(): Promise<void> {
    if (!this.ready) return;
    const update = ++this.updates;
    const [a, b] = await Promise.all(sides.map((side) => this.statuses.of(this.folders[side])));
    // If a later update overtook this one, it has the newer statuses.
    if (update === this.updates) this.send({ type: 'comparison', comparison: comparisonView(a!, b!) });
  }

  private send(message: ToComparison): void {
    if (!this.isDisposed) void this.panel.webview.postMessage(message);
  }
}

function comparisonView(a: AdapterStatus, b: AdapterStatus): ComparisonView {
  const modules = alignModules(a.report?.modules ?? [], b.report?.modules ?? []);
  return {
    modules: modules.map(({ a: ofA, b: ofB, ...module }) => ({ ...module, has: { a: ofA !== null, b: ofB !== null } })),
    adapters: { a: adapterView(a, 'a', modules), b: adapterView(b, 'b', modules) },
    samePrompts: onSamePrompts(a.evaluation, b.evaluation),
    sameModels: !a.report || !b.report || onSameModels(a.report, b.report),
  };
}

function adapterView(status: AdapterStatus, side: Side, modules: readonly ComparedModule[]): ComparedAdapterView {
  const { name, folder, state, changed, problem, report, evaluation, selection, selected, projected } = status;
  const indicesIn = (names: ReadonlySet<string>): number[] =>
    modules.flatMap((module, index) => (names.has(module.name) ? [index] : []));
  return {
    name,
    path: vscode.workspace.asRelativePath(folder),
    state,
    changed,
    problem,
    finding: report && {
      base: report.base,
      aligned: report.aligned,
      selection,
      modules: report.modules.length,
      direction: report.totals.direction,
      selected: indicesIn(selected),
      projected: indicesIn(new Set(projected)),
    },
    behaviour: evaluation && { results: resultsView(evaluation.record), stale: evaluation.stale },
    values: numberRows(modules.map((module) => module[side])),
  };
}

/** Only then are the figures of both comparable. */
function onSamePrompts(a: KeptEvaluation | null, b: KeptEvaluation | null): boolean {
  const asked = ({ record }: KeptEvaluation): unknown => {
    const { sets, judge, chat, engine } = record.report;
    return [
      sets.map(({ sha256, role, metric }) => [sha256, role, metric]),
      judge.sha256,
      chat.sha256,
      engine.maxTokens,
      engine.precision,
    ];
  };
  return a !== null && b !== null && isDeepStrictEqual(asked(a), asked(b));
}

/** From the explorer's folders or the tree's items. */
function foldersOf(items: unknown): vscode.Uri[] {
  return (items as (vscode.Uri | { folder: vscode.Uri })[]).map((item) =>
    item instanceof vscode.Uri ? item : item.folder,
  );
}

/** @throws SafeLoraError unless there are exactly two */
function onlyTwo(folders: readonly vscode.Uri[]): Folders {
  const [a, b, ...more] = new Map(folders.map((folder) => [folder.toString(), folder])).values();
  if (a && b && more.length === 0) return { a, b };
  throw notTwo(more.length + (b ? 2 : 1));
}

function notOnDisk(folder: vscode.Uri): SafeLoraError {
  return new SafeLoraError(
    'file-access',
    vscode.l10n.t('{0}: only adapters on disk can be compared; copy it to disk first.', folder.toString(true)),
  );
}

function notTwo(selected: number): SafeLoraError {
  return new SafeLoraError(
    'two-adapters',
    vscode.l10n.t('{0} adapters selected; select exactly two to compare them.', selected),
  );
}
