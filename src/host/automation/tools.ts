// Safe LoRA as language model tools: one reads, the other writes after the user's consent.
import { basename, isAbsolute } from 'node:path';
import * as vscode from 'vscode';
import { ADAPTER_FILE } from '../../core/adapter-folder';
import { SafeLoraError } from '../../core/errors';
import { realDestination, REPORT_FILE } from '../../core/output';
import { type Report, selectedIn } from '../../core/report';
import { type RuleMode, ruleModes, ruleOf, type Selection, selectionBy } from '../../core/rules';
import { type EditorActions } from '../editor/actions';
import { compactNotices, compactReport, compactSelection, MOST_ROWS } from './compact-report';
import { tools } from '../common/contributions';
import { Disposable } from '../common/dispose';
import { type AdapterDocument } from '../editor/document';
import { type AdapterEditorProvider } from '../editor/provider';
import { type EvaluateInput, type EvaluateTool } from './evaluate-tool';
import { Cancelled, requireTrust } from '../common/errors';
import { type HubService } from '../models/hub-service';
import { type Inspector } from '../editor/inspector';
import { type AdapterStatuses } from '../status/adapter-status';
import { type OriginalsLocation } from '../status/originals-location';
import { takenText } from '../common/rule-texts';
import { checkSetting } from '../settings/setting-rules';
import { wantedText } from '../settings/settings';
import { type Announcement, registerTool } from '../common/surface';
import { wrongInput } from './wrong-input';

/** A model's input, for which the schema is only a request. */
interface InspectInput extends Partial<Record<RuleMode, unknown>> {
  adapter?: unknown;
}

interface ProjectInput extends InspectInput {
  output?: unknown;
}

export class AdapterTools extends Disposable {
  constructor(
    private readonly inspector: Inspector,
    private readonly statuses: AdapterStatuses,
    private readonly editor: AdapterEditorProvider,
    private readonly actions: EditorActions,
    private readonly originals: OriginalsLocation,
    private readonly hub: HubService,
    evaluateTool: EvaluateTool,
  ) {
    super();
    this._register(
      registerTool<InspectInput>(tools.inspectAdapter, {
        announce: async ({ adapter }) => ({
          message: vscode.l10n.t('Measuring {0}', nameOf(await adapterFolder(adapter))),
        }),
        answer: (input, token) => orCancelled(this.inspect(input, token)),
      }),
    );
    this._register(
      registerTool<EvaluateInput>(tools.evaluateAdapter, {
        announce: async (input) => {
          const folder = await adapterFolder(input.adapter);
          return evaluateTool.announce(folder, nameOf(folder), input);
        },
        answer: (input, token) =>
          orCancelled(
            adapterFolder(input.adapter).then((folder) => evaluateTool.answer(folder, nameOf(folder), input, token)),
          ),
      }),
    );
    this._register(
      registerTool<ProjectInput>(tools.projectAdapter, {
        announce: (input) => this.announce(input),
        answer: (input, token) => orCancelled(this.project(input, token)),
      }),
    );
  }

  private async inspect(input: InspectInput, token: vscode.CancellationToken): Promise<object> {
    const folder = await adapterFolder(input.adapter);
    const status = await this.statuses.of(folder);
    const selection = selectionOf(input, status.selection);
    const report = status.report ?? (await this.measured(folder, selection, token));
    return compactReport(nameOf(folder), report, selection, status.projected);
  }

  private measured(folder: vscode.Uri, selection: Selection, token: vscode.CancellationToken): Promise<Report> {
    return this.inspector.withDocument(folder, async (document) => {
      await this.measure(document, token);
      return document.measuring.report(selection);
    });
  }

  /** Measures without asking. */
  private async measure(document: AdapterDocument, token: vscode.CancellationToken): Promise<void> {
    const { measuring } = document;
    const { base, aligned } = measuring.models;
    if (!base || !aligned) throw await this.actions.unknownModels(document);
    await cancellable(document, token, () => measuring.run(this.hub.refuse));
    measuring.requireDone();
  }

  /** Describes what will be written, for the user's consent. */
  private async announce(input: ProjectInput): Promise<Announcement> {
    requireTrust();
    const folder = await adapterFolder(input.adapter);
    const output = outputFolder(input.output, folder);
    const { report, selection: own } = await this.statuses.of(folder);
    const selection = selectionOf(input, own);
    const paragraphs = [
      ...(output === undefined ? await this.announceInPlace(folder) : await announceCopy(folder, output)),
      report
        ? vscode.l10n.t(
            '{0} of {1} modules are projected: {2}.',
            selectedIn(report, selection).size,
            report.modules.length,
            takenText(selection),
          )
        : vscode.l10n.t('The adapter is measured first, and these are projected: {0}.', takenText(selection)),
    ];
    const title =
      output === undefined
        ? vscode.l10n.t('Project {0} in place?', nameOf(folder))
        : vscode.l10n.t('Save a projected copy of {0}?', nameOf(folder));
    return {
      message: vscode.l10n.t('Projecting {0}', nameOf(folder)),
      question: { title, paragraphs },
    };
  }

  private async announceInPlace(folder: vscode.Uri): Promise<string[]> {
    return [
      vscode.l10n.t('Writes {0} and {1} in {2}.', ADAPTER_FILE, REPORT_FILE, folder.fsPath),
      vscode.l10n.t(
        'The original weights are kept in {0}; "Safe LoRA: Restore Original Weights" brings them back.',
        await this.originals.of(folder.fsPath),
      ),
    ];
  }

  private async project(input: ProjectInput, token: vscode.CancellationToken): Promise<object> {
    requireTrust();
    const folder = await adapterFolder(input.adapter);
    const output = outputFolder(input.output, folder);
    return this.inspector.withDocument(folder, async (document) => {
      if (document.isDirty) throw unsavedEdits(document.adapter.file.path);
      const gone = document.irrecoverable;
      if (gone.length > 0) throw irrecoverable(document.adapter.path, gone.length);
      const selection = selectionOf(input, document.firstSelection);
      await this.measure(document, token);
      const report = document.measuring.report(selection);
      const names = report.modules.filter(({ selected }) => selected).map(({ name }) => name);
      if (names.length === 0) throw nothingSelected(document.adapter.path, selection);
      const undo = await cancellable(document, token, () =>
        output === undefined ? this.projectInPlace(document, selection) : projectCopy(document, selection, output),
      );
      return {
        adapter: nameOf(folder),
        written: (output ?? folder).fsPath,
        selection: compactSelection(selection),
        totals: { modules: report.modules.length, projected: names.length },
        projected: names.slice(0, MOST_ROWS),
        ...undo,
        notices: compactNotices(report, selection),
      };
    });
  }

  private async projectInPlace(document: AdapterDocument, selection: Selection): Promise<object> {
    await document.apply(selection);
    // VS Code must know if a tab shows the adapter, since it owns the dirty mark.
    await (this.editor.find(document.uri) ? this.actions.save(document) : document.save());
    return {
      originals: await this.originals.of(document.adapter.path),
      undo: vscode.l10n.t('Open the adapter and run "Safe LoRA: Restore Original Weights".'),
    };
  }
}

async function projectCopy(document: AdapterDocument, selection: Selection, output: vscode.Uri): Promise<object> {
  await document.withCopy(selection, () => document.saveAs(vscode.Uri.joinPath(output, ADAPTER_FILE)));
  return { undo: vscode.l10n.t('The adapter itself is unchanged; delete the copy.') };
}

async function announceCopy(folder: vscode.Uri, output: vscode.Uri): Promise<string[]> {
  const real = await realDestination(output.fsPath);
  const isOutside = vscode.workspace.getWorkspaceFolder(vscode.Uri.file(real)) === undefined;
  return [
    vscode.l10n.t('Writes the projected adapter with its other files to the folder {0}.', real),
    ...(isOutside ? [vscode.l10n.t('This folder is outside the workspace.')] : []),
    vscode.l10n.t('{0} itself is not changed.', folder.fsPath),
  ];
}

/** Ends the run that an action waits for if the token is cancelled. */
async function cancellable<T>(
  { measuring }: AdapterDocument,
  token: vscode.CancellationToken,
  action: () => Promise<T>,
): Promise<T> {
  if (token.isCancellationRequested) throw new Cancelled();
  const listening = token.onCancellationRequested(() => void measuring.stop());
  try {
    return await action();
  } finally {
    listening.dispose();
  }
}

async function orCancelled(result: Promise<object>): Promise<object> {
  try {
    return await result;
  } catch (error) {
    throw error instanceof Cancelled ? new vscode.CancellationError() : error;
  }
}

/** @throws SafeLoraError if the input names no existing folder */
async function adapterFolder(input: unknown): Promise<vscode.Uri> {
  // A trailing slash would make it another adapter's.
  const path = pathIn(input, 'adapter').replace(/(?<=.)[\\/]+$/, '');
  for (const candidate of candidatesFor(path)) {
    const folder = basename(candidate.path) === ADAPTER_FILE ? vscode.Uri.joinPath(candidate, '..') : candidate;
    const type = await vscode.workspace.fs.stat(folder).then(
      (found) => found.type,
      () => undefined,
    );
    if (type === vscode.FileType.Directory) return folder;
  }
  throw noSuchFolder(path);
}

/** @returns undefined to project the adapter in place */
function outputFolder(input: unknown, adapter: vscode.Uri): vscode.Uri | undefined {
  if (input === undefined) return undefined;
  const path = pathIn(input, 'output');
  if (isAbsolute(path)) return vscode.Uri.file(path);
  const beside = vscode.workspace.getWorkspaceFolder(adapter) ?? vscode.workspace.workspaceFolders?.[0];
  if (beside) return vscode.Uri.joinPath(beside.uri, path);
  throw wrongInput(
    vscode.l10n.t('output: no workspace is open that {0} could be relative to; give an absolute path.', path),
  );
}

function pathIn(input: unknown, key: string): string {
  const path = typeof input === 'string' ? input.trim() : '';
  if (path === '') {
    throw wrongInput(
      vscode.l10n.t('{0}: {1} is not the path of a folder; give one.', key, JSON.stringify(input ?? null)),
    );
  }
  // Windows would tell the other machine who the user is.
  if (/^[\\/]{2}/.test(path) && !vscode.workspace.getWorkspaceFolder(vscode.Uri.file(path))) {
    throw wrongInput(
      vscode.l10n.t(
        '{0}: {1} is on another machine, outside the workspace; open its folder as a workspace.',
        key,
        path,
      ),
    );
  }
  return path;
}

/** Tries a relative path in each workspace folder, with and without that folder's name as a prefix, as VS Code writes it. */
function candidatesFor(path: string): vscode.Uri[] {
  if (isAbsolute(path)) return [vscode.Uri.file(path)];
  return (vscode.workspace.workspaceFolders ?? []).flatMap(({ uri, name }) => [
    vscode.Uri.joinPath(uri, path),
    ...(path.startsWith(`${name}/`) ? [vscode.Uri.joinPath(uri, path.slice(name.length + 1))] : []),
  ]);
}

/** @param otherwise the default if the input has no value */
function selectionOf(input: InspectInput, otherwise: Selection): Selection {
  const [mode, another] = ruleModes.filter((known) => input[known] !== undefined);
  if (mode === undefined) return otherwise;
  if (another !== undefined)
    throw wrongInput(vscode.l10n.t('{0} and {1} cannot be used together; give one of them.', mode, another));
  const { value, wrong } = checkSetting(mode, input[mode]);
  if (!wrong[0]) return selectionBy(ruleOf(mode, value));
  throw wrongInput(
    vscode.l10n.t('{0}: {1} is not {2}.', mode, JSON.stringify(input[mode]), wantedText(wrong[0].wanted)),
  );
}

function nameOf(folder: vscode.Uri): string {
  return vscode.workspace.asRelativePath(folder);
}

function unsavedEdits(path: string): SafeLoraError {
  return new SafeLoraError(
    'unsaved-edits',
    vscode.l10n.t('{0}: has unsaved edits in its tab; save or undo them first.', path),
  );
}

function irrecoverable(path: string, count: number): SafeLoraError {
  return new SafeLoraError(
    'already-projected',
    vscode.l10n.t(
      '{0}: {1} modules are already projected and their originals are missing; use the original adapter.',
      path,
      count,
    ),
  );
}

function nothingSelected(path: string, selection: Selection): SafeLoraError {
  return new SafeLoraError(
    'nothing-applied',
    vscode.l10n.t(
      '{0}: no module is selected by this rule ({1}), so nothing is written; choose another.',
      path,
      takenText(selection),
    ),
  );
}

function noSuchFolder(path: string): SafeLoraError {
  return new SafeLoraError(
    'file-access',
    vscode.l10n.t(
      '{0}: there is no such folder; give an absolute path or one relative to a folder of the workspace.',
      path,
    ),
  );
}
