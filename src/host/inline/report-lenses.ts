// In a saved safe_lora_report.json: its finding above it, and beside each module what stands there, one click from the editor.
import { findNodeAtLocation, getNodeValue, type Node, parseTree } from 'jsonc-parser';
import * as vscode from 'vscode';
import { isObject } from '../../core/objects';
import { type ModuleReport, type Report, REPORT_SCHEMA } from '../../core/report';
import { isSelection } from '../../core/selection';
import { signed } from '../../core/text';
import { commands } from '../contributions';
import { Disposable } from '../dispose';
import { folderOf, REPORT_SELECTOR } from './files';
import { DIGITS, findingText, similarityText } from '../inspections/words';

/** A report of 560 modules has 300 kB; a text far beyond is none, and parsing it would hold the host up. */
const MAX_LENGTH = 10_000_000;

export class ReportLenses extends Disposable implements vscode.CodeLensProvider {
  constructor() {
    super();
    this._register(vscode.languages.registerCodeLensProvider(REPORT_SELECTOR, this));
  }

  provideCodeLenses(document: vscode.TextDocument): vscode.CodeLens[] {
    const text = document.getText();
    const root = text.length > MAX_LENGTH ? undefined : parseTree(text);
    const report: unknown = root && getNodeValue(root);
    if (!root || !isReportObject(report)) return [];
    const folder = folderOf(document.uri);
    const open = (module?: string): vscode.Command => ({
      title: vscode.l10n.t('Open in Report'),
      command: commands.openReport,
      arguments: [folder, module],
    });
    const count = report.modules.filter(({ selected }) => selected).length;
    const finding = { title: findingText(report, report.selection, count), command: '' };
    const modules = findNodeAtLocation(root, ['modules'])!.children!;
    return [
      ...[finding, open()].map((command) => new vscode.CodeLens(new vscode.Range(0, 0, 0, 0), command)),
      ...modules.flatMap((node, i) => {
        const range = rangeOf(document, node);
        const module = report.modules[i]!;
        return [{ title: moduleText(module), command: '' }, open(module.name)].map(
          (command) => new vscode.CodeLens(range, command),
        );
      }),
    ];
  }
}

function moduleText(module: ModuleReport): string {
  return [
    vscode.l10n.t('similarity {0}', similarityText(module)),
    vscode.l10n.t('direction {0}', signed(module.direction, DIGITS)),
    ...(module.selected ? [vscode.l10n.t('selected')] : []),
  ].join(' · ');
}

function rangeOf(document: vscode.TextDocument, node: Node): vscode.Range {
  const start = document.positionAt(node.offset);
  return new vscode.Range(start, start);
}

/** As much of a report as the lenses show; anybody may have edited it. */
function isReportObject(value: unknown): value is Report {
  return (
    isObject(value) &&
    value.schema === REPORT_SCHEMA &&
    isSelection(value.selection) &&
    isObject(value.totals) &&
    isNumberOrNull(value.totals.direction) &&
    Array.isArray(value.modules) &&
    value.modules.every(isModule)
  );
}

function isModule(value: unknown): value is ModuleReport {
  return (
    isObject(value) &&
    typeof value.name === 'string' &&
    typeof value.kind === 'string' &&
    [value.layer, value.expert, value.similarity, value.nullSimilarity, value.direction].every(isNumberOrNull)
  );
}

function isNumberOrNull(value: unknown): value is number | null {
  return value === null || typeof value === 'number';
}
