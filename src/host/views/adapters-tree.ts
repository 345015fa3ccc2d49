// The view "LoRA Adapters": every adapter of the workspace, its status, and its modules by layer.
import { dirname } from 'node:path';
import * as vscode from 'vscode';
import { openAdapter } from '../../core/adapter';
import { comparePositions, type Position, positions } from '../../core/naming';
import { type ModuleReport } from '../../core/report';
import { decimal, signed } from '../../core/text';
import { type WorkspaceAdapters } from '../status/adapters';
import { commands, VIEW } from '../common/contributions';
import { Disposable } from '../common/dispose';
import {
  behaviourText,
  DIGITS,
  statusFinding,
  lowestOf,
  projectedText,
  similarityText,
  staleText,
} from '../status/finding-texts';
import { type AdapterStatus, type AdapterStatuses } from '../status/adapter-status';
import { reasonOf } from '../status/reason';
import { createTreeView, plainLines, showQuickPick } from '../common/surface';

const orders = ['name', 'direction', 'similarity'] as const;
/** By path; by direction, the lowest first; by the lowest similarity of any module. */
type Order = (typeof orders)[number];

export type TreeNode = AdapterNode | LayerNode | ModuleNode;

export interface AdapterNode {
  type: 'adapter';
  folder: vscode.Uri;
  status: AdapterStatus;
}

interface LayerNode {
  type: 'layer';
  folder: vscode.Uri;
  label: string;
  modules: ModuleNode[];
}

interface ModuleNode {
  type: 'module';
  folder: vscode.Uri;
  name: string;
  position: Position;
  /** Null before measuring. */
  report: ModuleReport | null;
  selected: boolean;
  projected: boolean;
}

const ORDER_KEY = 'adaptersOrder';

export class AdaptersTree extends Disposable implements vscode.TreeDataProvider<TreeNode> {
  private readonly changed = this._register(new vscode.EventEmitter<TreeNode | undefined>());
  readonly onDidChangeTreeData = this.changed.event;
  private readonly view: vscode.TreeView<TreeNode>;
  private nodes: AdapterNode[] = [];
  private refreshing: NodeJS.Timeout | undefined;

  constructor(
    private readonly adapters: WorkspaceAdapters,
    private readonly statuses: AdapterStatuses,
    private readonly memory: vscode.Memento,
  ) {
    super();
    this.view = this._register(createTreeView(VIEW, this));
    this._register(adapters.onDidChange(() => this.refresh()));
    this._register(statuses.onDidChange(() => this.refresh()));
    this._register(vscode.commands.registerCommand(commands.sortAdapters, () => this.chooseOrder()));
  }

  private get order(): Order {
    const kept = this.memory.get<Order>(ORDER_KEY);
    return orders.find((order) => order === kept) ?? 'name';
  }

  private async chooseOrder(): Promise<void> {
    const items = [
      { order: 'name', label: vscode.l10n.t('By path') },
      {
        order: 'direction',
        label: vscode.l10n.t('By agreement'),
        description: vscode.l10n.t('of all modules together, the lowest first'),
      },
      {
        order: 'similarity',
        label: vscode.l10n.t('By lowest similarity'),
        description: vscode.l10n.t('of any module, the lowest first'),
      },
    ].map((item) => (item.order === this.order ? { ...item, icon: 'check' } : item));
    const chosen = await showQuickPick(items, { title: vscode.l10n.t('Sort the adapters') });
    if (!chosen) return;
    await this.memory.update(ORDER_KEY, chosen.order);
    this.refresh();
  }

  override dispose(): void {
    clearTimeout(this.refreshing);
    super.dispose();
  }

  async getChildren(node?: TreeNode): Promise<TreeNode[]> {
    switch (node?.type) {
      case undefined:
        return this.adapterNodes();
      case 'adapter':
        return layersOf(node.folder, await modulesOf(node));
      case 'layer':
        return node.modules;
      case 'module':
        return [];
    }
  }

  getTreeItem(node: TreeNode): vscode.TreeItem {
    switch (node.type) {
      case 'adapter':
        return adapterItem(node);
      case 'layer':
        return layerItem(node);
      case 'module':
        return moduleItem(node);
    }
  }

  private async adapterNodes(): Promise<AdapterNode[]> {
    const folders = await this.adapters.list();
    const found = await Promise.all(folders.map((folder) => this.statuses.of(folder)));
    const nodes = folders.map((folder, i): AdapterNode => ({ type: 'adapter', folder, status: found[i]! }));
    const orLast = (value: number | null | undefined): number => value ?? Infinity;
    const sortKeys: Record<Order, (status: AdapterStatus) => number> = {
      name: () => 0,
      direction: ({ report }) => orLast(report?.totals.direction),
      similarity: ({ report }) => orLast(report && lowestOf(report.modules)?.similarity),
    };
    const sortKey = sortKeys[this.order];
    // Infinity − Infinity is NaN: those without a result keep their order.
    this.nodes = nodes.sort((a, b) => sortKey(a.status) - sortKey(b.status) || 0);
    const inspected = found.filter(({ state }) => state === 'inspected').length;
    this.view.description = nodes.length === 0 ? '' : vscode.l10n.t('{0} of {1} measured', inspected, nodes.length);
    return this.nodes;
  }

  /** Debounce: many adapters may change at once. */
  private refresh(): void {
    this.refreshing ??= setTimeout(() => {
      this.refreshing = undefined;
      this.changed.fire(undefined);
    }, 100);
  }
}

async function modulesOf({ folder, status }: AdapterNode): Promise<ModuleNode[]> {
  const { report, selected, projected } = status;
  const changed = new Set(projected);
  const node = (name: string, position: Position, found: ModuleReport | null): ModuleNode => ({
    type: 'module',
    folder,
    name,
    position,
    report: found,
    selected: selected.has(name),
    projected: changed.has(name),
  });
  if (report) return report.modules.map((module) => node(module.name, module, module));
  if (status.state === 'unreadable') return [];
  const names = await openAdapter(folder.fsPath).then(
    ({ modules }) => modules.map(({ name }) => name),
    () => [],
  );
  const found = positions(names);
  return names
    .map((name) => ({ name, ...found.get(name)! }))
    .sort(comparePositions)
    .map(({ name, ...position }) => node(name, position, null));
}

function layersOf(folder: vscode.Uri, modules: readonly ModuleNode[]): LayerNode[] {
  const layers = new Map<string, ModuleNode[]>();
  for (const module of modules) {
    const { stack, layer } = module.position;
    const ofLayer = layer === null ? vscode.l10n.t('outside all layers') : vscode.l10n.t('layer {0}', layer);
    const label = stack === null ? ofLayer : `${stack}, ${ofLayer}`;
    layers.set(label, [...(layers.get(label) ?? []), module]);
  }
  return [...layers].map(([label, members]) => ({ type: 'layer', folder, label, modules: members }));
}

function adapterItem({ folder, status }: AdapterNode): vscode.TreeItem {
  const { state, projected } = status;
  const item = new vscode.TreeItem(status.name, vscode.TreeItemCollapsibleState.Collapsed);
  const path = vscode.workspace.asRelativePath(folder);
  const parent = dirname(path) === '.' ? '' : dirname(path);
  const isProjected = projected.length > 0 ? [projectedText(status)] : [];
  const says = summaryOf(status);
  const behaves = behaviourText(status.evaluation, status.selected);
  // The URI brings the explorer's own decoration of the folder.
  item.resourceUri = folder;
  item.id = folder.toString();
  // What does not fit is cut off: behaviour says more than similarity.
  item.description = [behaves, says, ...isProjected, parent].filter(Boolean).join(' · ');
  const details = status.failure ?? status.problem ?? statusFinding(status);
  item.tooltip = plainLines([
    folder.fsPath,
    ...(state === 'stale' ? [staleText(status)] : []),
    ...(details === '' ? [] : [details]),
    ...(behaves === '' ? [] : [behaves]),
    ...isProjected,
  ]);
  item.iconPath = iconOf(status);
  item.contextValue = status.restorable ? 'adapter restorable' : 'adapter';
  if (state === 'unreadable') item.collapsibleState = vscode.TreeItemCollapsibleState.None;
  return item;
}

/** "3 of 12 selected · agreement −0.08", or why there are no numbers */
function summaryOf({ state, failure, report, selected }: AdapterStatus): string {
  if (failure !== null) return vscode.l10n.t('failed: {0}', reasonOf(failure));
  if (report) {
    return [
      vscode.l10n.t('{0} of {1} selected', selected.size, report.modules.length),
      vscode.l10n.t('agreement {0}', signed(report.totals.direction, DIGITS)),
    ].join(' · ');
  }
  if (state === 'unreadable') return vscode.l10n.t('cannot be read');
  return state === 'stale' ? vscode.l10n.t('changed since it was measured') : vscode.l10n.t('not measured');
}

function iconOf({ state, failure, report }: AdapterStatus): vscode.ThemeIcon {
  const warning = new vscode.ThemeColor('list.warningForeground');
  if (failure !== null || state === 'unreadable') return new vscode.ThemeIcon('warning', warning);
  if (state === 'stale') return new vscode.ThemeIcon('history', warning);
  if (report) return new vscode.ThemeIcon('circle-filled', new vscode.ThemeColor('charts.blue'));
  return new vscode.ThemeIcon('circle-outline');
}

function layerItem({ folder, label, modules }: LayerNode): vscode.TreeItem {
  const item = new vscode.TreeItem(label, vscode.TreeItemCollapsibleState.Collapsed);
  const lowest = lowestOf(modules.map(({ report }) => report).filter((report) => report !== null));
  const selected = modules.filter((module) => module.selected).length;
  item.id = `${folder.toString()} ${label}`;
  item.description = lowest
    ? [
        vscode.l10n.t('{0} of {1} selected', selected, modules.length),
        vscode.l10n.t('lowest similarity {0}', decimal(lowest.similarity, DIGITS)),
      ].join(' · ')
    : '';
  return item;
}

function moduleItem({ folder, name, position, report, selected, projected }: ModuleNode): vscode.TreeItem {
  const { kind, expert } = position;
  const item = new vscode.TreeItem(expert === null ? kind : vscode.l10n.t('{0}, expert {1}', kind, expert));
  const numbers = report
    ? [
        vscode.l10n.t('similarity {0}', similarityText(report)),
        vscode.l10n.t('agreement {0}', signed(report.direction, DIGITS)),
      ]
    : [];
  const marks = [...(selected ? [vscode.l10n.t('selected')] : []), ...(projected ? [vscode.l10n.t('projected')] : [])];
  item.id = `${folder.toString()} ${name}`;
  item.description = [...numbers, ...marks].join(' · ');
  item.tooltip = plainLines([name, ...numbers, ...marks]);
  item.iconPath = new vscode.ThemeIcon(projected ? 'circle-large-filled' : selected ? 'circle-filled' : 'circle-small');
  item.command = { command: commands.openReport, title: vscode.l10n.t('Open Heatmap'), arguments: [folder, name] };
  return item;
}
