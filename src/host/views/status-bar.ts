// In the status bar, while an adapter is before the user: where it is computed, the rule, and how many modules that selects.
import { isDeepStrictEqual } from 'node:util';
import * as vscode from 'vscode';
import { type Report } from '../../core/report';
import { type Selection } from '../../core/rules';
import { commands, SECTION } from '../common/contributions';
import { Disposable } from '../common/dispose';
import { choiceOf } from '../editor/document-views';
import { type AdapterEditorProvider } from '../editor/provider';
import { folderOf, isConfig, isReport } from '../common/files';
import { behaviourText, ruleText } from '../status/finding-texts';
import { type AdapterStatuses } from '../status/adapter-status';
import { shortRuleText } from '../common/rule-texts';
import { selectionSetting, setting } from '../settings/settings';
import { StatusBarEntry } from '../common/surface';

interface Shown {
  folder: vscode.Uri;
  /** Null before measuring. */
  device: Report['device'] | null;
  selection: Selection;
  selected: number | null;
  modules: number;
  /** What the selection does to the model's behaviour; empty where that was not measured. */
  behaviour: string;
  /** The rule of the settings, by which the view and the lenses count; null where it is the one that is shown. */
  elsewhere: Selection | null;
}

export class StatusBar extends Disposable {
  private readonly item = this._register(new StatusBarEntry('safeLora.adapter', 'Safe LoRA'));
  private listening: vscode.Disposable | undefined;
  private turn = 0;

  constructor(
    private readonly editor: AdapterEditorProvider,
    private readonly statuses: AdapterStatuses,
  ) {
    super();
    const update = (): void => void this.update();
    this._register(vscode.window.tabGroups.onDidChangeTabs(update));
    this._register(vscode.window.tabGroups.onDidChangeTabGroups(update));
    this._register(vscode.window.onDidChangeActiveTextEditor(update));
    this._register(editor.onDidShow(update));
    this._register(statuses.onDidChange(update));
    this._register(
      vscode.workspace.onDidChangeConfiguration((change) => {
        if (change.affectsConfiguration(SECTION)) update();
      }),
    );
    update();
  }

  override dispose(): void {
    this.listening?.dispose();
    super.dispose();
  }

  private async update(): Promise<void> {
    const turn = ++this.turn;
    const shown = await this.look();
    if (turn !== this.turn || this.isDisposed) return;
    if (!shown) {
      this.item.hide();
      return;
    }
    const { folder, device, selection, selected, modules, behaviour, elsewhere } = shown;
    const where = device?.provider ?? setting('device', folder);
    const count = selected === null ? vscode.l10n.t('not measured') : vscode.l10n.t('{0} selected', selected);
    const tooltip = [
      device === null
        ? vscode.l10n.t('Safe LoRA: not measured yet; device setting {0}', where)
        : vscode.l10n.t('Safe LoRA: measured on {0}', where),
      ...(device?.fallbackReason ? [vscode.l10n.t('No faster device: {0}', device.fallbackReason)] : []),
      ...(selected === null ? [] : [ruleText(selection, selected, modules)]),
      ...(behaviour === '' ? [] : [behaviour]),
      ...(elsewhere === null
        ? []
        : [
            vscode.l10n.t(
              'This is the selection of this tab. The view and the lenses follow your settings: {0}.',
              shortRuleText(elsewhere),
            ),
          ]),
      vscode.l10n.t('Click to open the heatmap.'),
    ];
    const command = { command: commands.openReport, title: vscode.l10n.t('Open Heatmap'), arguments: [folder] };
    this.item.show({ icon: 'layers', text: `${where} · ${shortRuleText(selection)} · ${count}`, tooltip, command });
  }

  private async look(): Promise<Shown | null> {
    const active = this.editor.active;
    this.listening?.dispose();
    this.listening = undefined;
    if (active) {
      if (active.failure !== undefined) return null;
      const { adapter } = active;
      this.listening = adapter.onDidChangeView(() => void this.update());
      const { selection, selected, device } = choiceOf(adapter);
      const { evaluation } = await this.statuses.of(folderOf(active.uri));
      const folder = folderOf(active.uri);
      const ofSettings = selectionSetting(folder);
      const elsewhere = isDeepStrictEqual(ofSettings, selection) ? null : ofSettings;
      return {
        folder,
        device,
        selection,
        selected: selected?.size ?? null,
        modules: adapter.adapter.modules.length,
        behaviour: behaviourText(evaluation, selected ?? new Set()),
        elsewhere,
      };
    }
    const document = vscode.window.activeTextEditor?.document;
    if (!document || !(isConfig(document) || isReport(document))) return null;
    const folder = folderOf(document.uri);
    const { report, evaluation, selection, selected } = await this.statuses.of(folder);
    return {
      folder,
      device: report?.device ?? null,
      selection,
      selected: report ? selected.size : null,
      modules: report?.modules.length ?? 0,
      behaviour: behaviourText(evaluation, selected),
      elsewhere: null,
    };
  }
}
