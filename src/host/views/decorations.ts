// Two letters in the explorer: an adapter's status on its folder, and a mark on kept originals.
import { basename } from 'node:path';
import * as vscode from 'vscode';
import { ORIGINALS_FILE } from '../../core/adapter';
import { type WorkspaceAdapters } from '../status/adapters';
import { Disposable } from '../common/dispose';
import { projectedText, ruleText, staleText } from '../status/finding-texts';
import { type AdapterStatus, type AdapterStatuses } from '../status/adapter-status';
import { decoration } from '../common/surface';

export class Decorations extends Disposable implements vscode.FileDecorationProvider {
  private readonly changed = this._register(new vscode.EventEmitter<vscode.Uri | vscode.Uri[] | undefined>());
  readonly onDidChangeFileDecorations = this.changed.event;

  constructor(
    private readonly adapters: WorkspaceAdapters,
    private readonly statuses: AdapterStatuses,
  ) {
    super();
    this._register(statuses.onDidChange((folder) => this.changed.fire(folder)));
    this._register(adapters.onDidChange(() => this.changed.fire(undefined)));
    this._register(vscode.window.registerFileDecorationProvider(this));
  }

  async provideFileDecoration(uri: vscode.Uri): Promise<vscode.FileDecoration | undefined> {
    if (basename(uri.path) === ORIGINALS_FILE) {
      const tooltip = vscode.l10n.t('Original weights, kept by Safe LoRA: Restore Original Weights needs this file');
      return decoration('OR', tooltip, 'disabledForeground');
    }
    return this.adapters.has(uri) ? decorationOf(await this.statuses.of(uri)) : undefined;
  }
}

function decorationOf(status: AdapterStatus): vscode.FileDecoration | undefined {
  const { state, report, selection, selected, projected } = status;
  const finding = report ? [ruleText(selection, selected.size, report.modules.length)] : [];
  const isProjected = projected.length > 0 ? [projectedText(status)] : [];
  const say = (badge: string, color: string, ...parts: string[]): vscode.FileDecoration =>
    decoration(badge, `Safe LoRA: ${parts.join(' · ')}`, color);
  if (state === 'stale') return say('ST', 'list.warningForeground', staleText(status), ...isProjected);
  if (projected.length > 0) return say('PR', 'charts.purple', ...isProjected, ...finding);
  if (state === 'inspected') return say('ME', 'charts.blue', vscode.l10n.t('measured'), ...finding);
  return undefined;
}
