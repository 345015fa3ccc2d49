// Problems of an open adapter_config.json, as information and warnings on its entries.
import { join } from 'node:path';
import * as vscode from 'vscode';
import { type Adapter, adapterStamps, openAdapter } from '../../core/adapter';
import { CONFIG_FILE, UNSUPPORTED_SETTINGS } from '../../core/adapter-config';
import { unquantisedName } from '../../core/model-names';
import { type ErrorCode, type Notice, type NoticeCode, shown } from '../../core/errors';
import { areAsStamped, type FileStamp } from '../../core/files';
import { noticesUnder } from '../../core/report';
import { Disposable } from '../common/dispose';
import { errorView } from '../common/errors';
import { type AdapterStatus, type AdapterStatuses } from '../status/adapter-status';
import { type OriginalsLocation } from '../status/originals-location';
import { type ConfigText, readConfigText } from './config-text';
import { type Dismissals } from './dismissals';
import { type Explanations } from './explanations';
import { folderOf, isConfig } from '../common/files';
import { isProjectedAsSelected, staleText, statusFinding } from '../status/finding-texts';
import { type Log, problem } from '../common/surface';

export const SOURCE = 'Safe LoRA';

/** Of a problem: an error's, a notice's, or one only used here. */
export type ProblemCode = ErrorCode | NoticeCode | 'modules-selected' | 'adapter-modified';

/** Debounce: users type, and several files may change. */
const SETTLE_MS = 200;

interface Problem {
  code: ProblemCode;
  message: string;
  severity: vscode.DiagnosticSeverity;
  /** The related entries of the configuration; the first existing one is marked. */
  keys: readonly string[];
}

export class ConfigDiagnostics extends Disposable {
  private readonly collection = this._register(vscode.languages.createDiagnosticCollection('safe-lora'));
  private readonly pending = new Map<string, NodeJS.Timeout>();
  /** Only the latest check of a document publishes its result. */
  private readonly turns = new WeakMap<vscode.TextDocument, number>();
  /** Each adapter's own notices, which typing in its configuration does not change. */
  private readonly told = new Map<string, { stamps: FileStamp[]; problems: Problem[] }>();

  constructor(
    private readonly statuses: AdapterStatuses,
    private readonly originals: OriginalsLocation,
    private readonly dismissals: Dismissals,
    private readonly explanations: Explanations,
    private readonly log: Log,
  ) {
    super();
    const again = (folder?: vscode.Uri): void => {
      for (const document of vscode.workspace.textDocuments) {
        if (isConfig(document) && (!folder || folderOf(document.uri).toString() === folder.toString()))
          this.schedule(document);
      }
    };
    this._register(vscode.workspace.onDidOpenTextDocument((document) => this.schedule(document)));
    this._register(vscode.workspace.onDidChangeTextDocument(({ document }) => this.schedule(document)));
    this._register(vscode.workspace.onDidCloseTextDocument(({ uri }) => this.collection.delete(uri)));
    this._register(statuses.onDidChange(again));
    this._register(dismissals.onDidChange(() => again()));
    again();
  }

  override dispose(): void {
    for (const timer of this.pending.values()) clearTimeout(timer);
    super.dispose();
  }

  private schedule(document: vscode.TextDocument): void {
    if (!isConfig(document)) return;
    const key = document.uri.toString();
    clearTimeout(this.pending.get(key));
    const look = (): void => {
      this.pending.delete(key);
      this.publish(document).catch((error: unknown) => {
        this.log.error(error as Error);
      });
    };
    this.pending.set(key, setTimeout(look, SETTLE_MS));
  }

  private async publish(document: vscode.TextDocument): Promise<void> {
    const turn = (this.turns.get(document) ?? 0) + 1;
    this.turns.set(document, turn);
    const folder = folderOf(document.uri);
    const status = await this.statuses.of(folder);
    const problems = [...(await this.problemsOfAdapter(folder, status)), ...problemsOfStatus(status)];
    const shown = problems.filter(({ code }) => !this.dismissals.has(code));
    const links = await Promise.all(shown.map(({ code }) => this.explanations.of(code)));
    if (document.isClosed || this.isDisposed || turn !== this.turns.get(document)) return;
    const text = readConfigText(document);
    this.collection.set(
      document.uri,
      shown.map((found, i) => diagnosticOf(document, text, found, links[i]!)),
    );
  }

  /** The adapter's notices; a measured one's report has the same and more. */
  private async problemsOfAdapter(folder: vscode.Uri, status: AdapterStatus): Promise<Problem[]> {
    if (status.report) return noticesUnder(status.report, status.selection).map(problemOf);
    const key = folder.toString();
    const earlier = this.told.get(key);
    if (earlier && (await areAsStamped(earlier.stamps))) return earlier.problems;
    const originals = await this.originals.of(folder.fsPath);
    const stamps = await adapterStamps(folder.fsPath, originals);
    const problems = await problemsOfUnmeasured(folder.fsPath, originals);
    this.told.set(key, { stamps, problems });
    return problems;
  }
}

async function problemsOfUnmeasured(folder: string, originals: string): Promise<Problem[]> {
  try {
    const adapter = await openAdapter(folder, originals);
    return [...adapter.notices, ...quantisedNotice(adapter)].map(problemOf);
  } catch (error) {
    const { code, message } = errorView(error);
    const severity = code === 'not-lora' ? vscode.DiagnosticSeverity.Information : vscode.DiagnosticSeverity.Warning;
    // The problem is in this file itself.
    const own = `${join(folder, CONFIG_FILE)}: `;
    return [
      { code, message: message.startsWith(own) ? message.slice(own.length) : message, severity, keys: keysOf(code) },
    ];
  }
}

function diagnosticOf(
  document: vscode.TextDocument,
  text: ConfigText,
  { code, message, severity, keys }: Problem,
  target: vscode.Uri,
): vscode.Diagnostic {
  const entry = keys.map(text.entry).find((found) => isSet(found?.value));
  const range = entry
    ? new vscode.Range(document.positionAt(entry.start), document.positionAt(entry.end))
    : new vscode.Range(0, 0, 0, 1);
  const diagnostic = problem(range, message, severity, SOURCE);
  diagnostic.code = { value: code, target };
  return diagnostic;
}

function problemsOfStatus(status: AdapterStatus): Problem[] {
  const { state, report, selected } = status;
  if (state === 'stale') {
    const message = vscode.l10n.t('{0}. Measure it again to see its numbers.', staleText(status));
    // A warning would replace the explorer's letters.
    return [{ code: 'adapter-modified', message, severity: vscode.DiagnosticSeverity.Information, keys: [] }];
  }
  if (!report || selected.size === 0 || isProjectedAsSelected(status)) return [];
  const message = statusFinding(status);
  const severity = vscode.DiagnosticSeverity.Information;
  return [{ code: 'modules-selected', message, severity, keys: ['target_modules'] }];
}

/** Before the models are known, only the adapter itself can tell. */
function quantisedNotice({ trainedOn }: Adapter): Notice[] {
  const name = trainedOn === null ? null : unquantisedName(trainedOn);
  if (name === null) return [];
  const message = vscode.l10n.t(
    'The adapter says it was trained on {0}, a quantised model: measure it against the exact weights of {1} and its base.',
    shown(trainedOn!),
    shown(name),
  );
  return [{ code: 'trained-on-quantised', message, modules: [] }];
}

const WARNINGS: readonly NoticeCode[] = [
  'adapter-not-covered',
  'aligned-mismatch',
  'names-not-loaded',
  'originals-foreign',
  'rank-differs',
  'setting-unknown',
  'tensors-empty',
  'token-activated',
  'trained-on-base',
];

function problemOf(notice: Notice): Problem {
  const { Warning, Information } = vscode.DiagnosticSeverity;
  const { code, message } = notice;
  return { code, message, severity: WARNINGS.includes(code) ? Warning : Information, keys: keysOf(code, notice) };
}

/** The entries related to a code; the first existing one is marked. */
function keysOf(code: ProblemCode, notice?: Notice): string[] {
  switch (code) {
    case 'aligned-mismatch':
    case 'trained-on-base':
    case 'trained-on-quantised':
      return ['base_model_name_or_path'];
    case 'adapter-not-covered':
      return notice?.modules.some((name) => name.endsWith('.bias')) ? ['bias'] : ['modules_to_save', 'target_modules'];
    case 'rank-differs':
      return ['r', 'target_modules'];
    case 'token-activated':
      return ['alora_invocation_tokens'];
    case 'revision-unconfirmed':
      return ['revision'];
    case 'tensors-empty':
      return ['modules_to_save', 'target_modules'];
    case 'not-lora':
      return ['peft_type'];
    case 'unsupported-adapter':
      return [...UNSUPPORTED_SETTINGS, 'target_parameters', 'init_lora_weights'];
    default:
      return ['target_modules'];
  }
}

function isSet(value: unknown): boolean {
  return (
    value === true ||
    typeof value === 'string' ||
    typeof value === 'number' ||
    (Array.isArray(value) && value.length > 0)
  );
}
