// Lenses of a saved safe_lora_report.json: its finding above it, and each module's result beside it, one click from the editor.
import { isDeepStrictEqual } from 'node:util';
import * as vscode from 'vscode';
import { type ModuleReport, type Report } from '../../core/report';
import { signed } from '../../core/text';
import { commands } from '../common/contributions';
import { Disposable } from '../common/dispose';
import { type AdapterStatus, type AdapterStatuses } from '../status/adapter-status';
import { folderOf, REPORT_SELECTOR } from '../common/files';
import { readReportText } from './report-text';
import { DIGITS, findingText, reportedText, similarityText } from '../status/finding-texts';
import { type Lens, type LensProvider, registerLenses } from '../common/surface';

export class ReportLenses extends Disposable implements LensProvider {
  private readonly changed = this._register(new vscode.EventEmitter<void>());
  readonly onDidChangeCodeLenses = this.changed.event;

  constructor(private readonly statuses: AdapterStatuses) {
    super();
    this._register(statuses.onDidChange(() => this.changed.fire()));
    this._register(registerLenses(REPORT_SELECTOR, this));
  }

  async lenses(document: vscode.TextDocument): Promise<Lens[]> {
    const found = readReportText(document.getText());
    if (!found) return [];
    const { report, offsets } = found;
    const folder = folderOf(document.uri);
    const open = (range: vscode.Range, module?: string): Lens => ({
      range,
      title: vscode.l10n.t('Open in Heatmap'),
      command: commands.openReport,
      arguments: [folder, module],
    });
    const count = report.modules.filter(({ selected }) => selected).length;
    const top = new vscode.Range(0, 0, 0, 0);
    if (isOfAnother(report, await this.statuses.of(folder))) {
      return [{ range: top, icon: 'warning', title: vscode.l10n.t('This report is not about the adapter beside it') }];
    }
    return [
      ...reportedLenses(report, count).map((title) => ({ range: top, icon: 'comment-discussion', title })),
      { range: top, title: findingText(report, report.selection, count) },
      open(top),
      ...report.modules.flatMap((module, i) => {
        const start = document.positionAt(offsets[i]!);
        const range = new vscode.Range(start, start);
        return [{ range, title: moduleText(module) }, open(range, module.name)];
      }),
    ];
  }
}

/** What the report says of behaviour. */
function reportedLenses({ behaviour }: Report, count: number): string[] {
  const text = behaviour ? reportedText(behaviour, count) : '';
  return text === '' ? [] : [text];
}

function moduleText(module: ModuleReport): string {
  return [
    vscode.l10n.t('similarity {0}', similarityText(module)),
    vscode.l10n.t('agreement {0}', signed(module.direction, DIGITS)),
    ...(module.selected ? [vscode.l10n.t('selected')] : []),
  ].join(' · ');
}

/** Another adapter's report, or an edited one: its modules differ from the measured ones, or its rule from the file's projection. */
function isOfAnother({ modules, selection }: Report, status: AdapterStatus): boolean {
  const { report, projected } = status;
  const names = new Set(modules.map(({ name }) => name));
  if (report && !(report.modules.length === names.size && report.modules.every(({ name }) => names.has(name))))
    return true;
  const changed = new Set(projected);
  const isSaved = changed.size > 0 && isDeepStrictEqual(selection, status.selection);
  return isSaved && modules.some(({ name, selected }) => selected && !changed.has(name));
}
