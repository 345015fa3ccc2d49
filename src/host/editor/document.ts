// An adapter as a VS Code document: its edits are sets of projected modules, so that dirty mark, Undo, Save and hot exit are VS Code's.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import * as vscode from 'vscode';
import { type Adapter, ADAPTER_FILE, CONFIG_FILE, openAdapter } from '../../core/adapter';
import { SafeLoraError } from '../../core/errors';
import { comparePositions, positions } from '../../core/naming';
import { REPORT_FILE } from '../../core/output';
import { makeProjection, type Projection, readProjection } from '../../core/patch';
import { readPatch, writePatch } from '../../core/patch-file';
import { travellingReport } from '../../core/report';
import { refuseChanged, saveCopy, saveInPlace, writeObstacle } from '../../core/save';
import { type Selection } from '../../core/selection';
import { type ModelPair } from '../contributions';
import { Disposable } from '../dispose';
import { type EngineService } from '../engine-service';
import { type ModelPairs } from '../models';
import { type OriginalsPlace } from '../originals-place';
import { requireTrust } from '../errors';
import { setting } from '../settings';
import { Measurement } from './measurement';
import { type AppliedView, type DocumentView, type ModuleView, type NoticeView, type ReadOnlyReason } from './protocol';

declare const SAFE_LORA_VERSION: string;

/** What the adapter's file would hold if it were saved now. */
interface State {
  /** Null is the original. */
  projection: Projection | null;
  /** The content of the report beside it, where one describes this state. */
  report: string | null;
  notices: NoticeView[];
}

export interface Edit {
  label: string;
  undo(): void;
  redo(): void;
}

export interface DocumentServices {
  engine: EngineService;
  models: ModelPairs;
  originals: OriginalsPlace;
  log: vscode.LogOutputChannel;
}

/** Another state is applied, or the present one was saved. */
export type Move = 'moved' | 'saved';

const ORIGINAL: State = { projection: null, report: null, notices: [] };

export class AdapterDocument extends Disposable implements vscode.CustomDocument {
  private readonly edited = this._register(new vscode.EventEmitter<Edit>());
  readonly onDidEdit = this.edited.event;
  private readonly reopened = this._register(new vscode.EventEmitter<void>());
  /** The adapter itself is another one: read anew, or its surroundings changed. */
  readonly onDidReopen = this.reopened.event;
  private readonly moved = this._register(new vscode.EventEmitter<Move>());
  readonly onDidMove = this.moved.event;

  readonly measurement: Measurement;
  private state = ORIGINAL;
  private savedState = ORIGINAL;
  private readOnly: ReadOnlyReason | null = null;
  private changedOnDisk = false;
  private saving: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly uri: vscode.Uri,
    private opened: Adapter,
    private readonly services: DocumentServices,
  ) {
    super();
    this._register(services.engine.hold());
    this.measurement = this._register(new Measurement(opened, services.engine, services.models.find(opened, uri), uri));
    if (uri.scheme === 'file') this.watch(dirname(uri.fsPath));
  }

  /**
   * @param backup the patch file in which VS Code kept unsaved edits
   * @throws SafeLoraError for a file that is no LoRA adapter
   */
  static async open(uri: vscode.Uri, services: DocumentServices, backup?: string): Promise<AdapterDocument> {
    const folder = uri.scheme === 'file' ? dirname(uri.fsPath) : await materialise(uri);
    const adapter = await openAdapter(folder, await services.originals.of(folder));
    const document = new AdapterDocument(uri, adapter, services);
    try {
      await document.takeUp();
      if (backup !== undefined) {
        document.state = { projection: await readPatch(backup, adapter), report: null, notices: [] };
      }
    } catch (error) {
      document.dispose();
      throw error;
    }
    return document;
  }

  get adapter(): Adapter {
    return this.opened;
  }

  get isDirty(): boolean {
    return this.state !== this.savedState;
  }

  get isReadOnly(): boolean {
    return this.readOnly !== null;
  }

  get hasProjection(): boolean {
    return this.state.projection !== null;
  }

  /** Modules that were projected before, and whose originals are nowhere. */
  get irrecoverable(): string[] {
    return this.opened.modules.filter((module) => module.alreadyProjected).map((module) => module.name);
  }

  view(): DocumentView {
    const { name, path, rank, alpha, targetModules, trainedOn } = this.opened;
    return {
      adapter: { name, path, rank, alpha, targetModules, trainedOn },
      modules: moduleViews(this.opened),
      readOnly: this.readOnly,
      trusted: vscode.workspace.isTrusted,
      changedOnDisk: this.changedOnDisk,
      selection: this.firstSelection,
    };
  }

  /** The selection that is applied, or null where none is. */
  get selection(): Selection | null {
    const gone = this.irrecoverable.length > 0 ? this.opened.provenance : null;
    return (this.state.projection?.provenance ?? gone)?.selection ?? null;
  }

  /** The selection with which a page begins. */
  get firstSelection(): Selection {
    const threshold = setting('threshold', this.uri);
    return this.selection ?? { mode: 'threshold', threshold, overrides: { added: [], removed: [] } };
  }

  appliedView(): AppliedView {
    const { projection, notices } = this.state;
    return {
      modules: projection?.provenance.modules ?? this.irrecoverable,
      selection: this.selection,
      dirty: this.isDirty,
      canRestore: projection !== null,
      notices,
    };
  }

  async setModels(pair: Partial<ModelPair>): Promise<void> {
    await this.services.models.remember(this.opened, this.uri, pair);
    await this.measurement.setModels(pair);
  }

  /** Makes the projection of the selected modules the document's state, as one step of Undo. */
  async apply(selection: Selection): Promise<void> {
    requireTrust();
    const next = await this.projected(selection);
    const count = next.projection?.tensors.size ?? 0;
    this.edit(
      next,
      count === 0
        ? vscode.l10n.t('Take back the projection')
        : count === 1
          ? vscode.l10n.t('Project 1 module')
          : vscode.l10n.t('Project {0} modules', count),
    );
  }

  /** The file as it was before anything was projected in place, as one step of Undo. */
  restore(): void {
    requireTrust();
    this.refuseReadOnly();
    if (this.state.projection === null) throw this.nothingToRestore();
    this.edit(ORIGINAL, vscode.l10n.t('Restore original weights'));
  }

  /** @throws SafeLoraError where nothing is applied */
  async savePatch(path: string): Promise<void> {
    requireTrust();
    await writePatch(path, this.opened, this.requireProjection());
  }

  /** @throws SafeLoraError where nothing is applied */
  requireProjection(): Projection {
    if (this.state.projection) return this.state.projection;
    throw new SafeLoraError(
      'nothing-applied',
      vscode.l10n.t(
        'There is nothing to save as a patch: no projection is applied. Choose modules and apply them first.',
      ),
    );
  }

  /** @throws SafeLoraError where the patch was made from another adapter */
  async applyPatch(path: string): Promise<void> {
    requireTrust();
    this.refuseReadOnly();
    const projection = await readPatch(path, this.opened);
    this.edit({ projection, report: null, notices: [] }, vscode.l10n.t('Apply patch {0}', basename(path)));
  }

  /** Replaces the adapter's file; the replaced weights are kept first. */
  save(): Promise<void> {
    return this.serialised(async () => {
      this.refuseReadOnly();
      const { state } = this;
      const { path } = this.opened;
      await this.whilePaused(async () => {
        const originals = await this.services.originals.of(path);
        await saveInPlace(this.opened, state.projection, originals, state.report);
        this.savedState = state;
        this.opened = await openAdapter(path, originals);
      });
      this.changedOnDisk = false;
      this.moved.fire('saved');
    });
  }

  /** @param selection what to save where the adapter itself is read-only; else what is applied */
  saveAs(target: vscode.Uri): Promise<void> {
    return this.serialised(async () => {
      if (target.scheme !== 'file') {
        throw new SafeLoraError(
          'read-only',
          vscode.l10n.t(
            '{0}: adapters are saved on the disk of the machine that runs the extension; choose a folder there.',
            target.toString(),
          ),
        );
      }
      requireTrust();
      if (target.fsPath === this.uri.fsPath && this.uri.scheme === 'file') {
        throw new SafeLoraError(
          'output-exists',
          vscode.l10n.t('{0}: is the adapter itself; choose another folder.', target.fsPath),
        );
      }
      const { projection, report } = this.state;
      await saveCopy(target.fsPath, this.opened, projection, report);
    });
  }

  /** For an adapter that is read-only: saves elsewhere what is selected, without an edit that could never be saved here. */
  async withSelection(selection: Selection, action: () => Promise<void>): Promise<void> {
    const earlier = this.state;
    this.state = this.measurement.view(selection).state === 'done' ? await this.projected(selection) : earlier;
    try {
      await action();
    } finally {
      this.state = earlier;
    }
  }

  /** Reads the adapter anew; what was applied and not saved is given up. */
  revert(): Promise<void> {
    return this.serialised(async () => {
      const { path } = this.opened;
      const earlier = this.opened.file;
      const next = await openAdapter(path, await this.services.originals.of(path));
      const same =
        next.file.size === earlier.size &&
        next.file.modified === earlier.modified &&
        next.file.headerHash === earlier.headerHash;
      this.opened = next;
      await this.measurement.setAdapter(next, same);
      await this.takeUp();
      this.reopened.fire();
      this.moved.fire('moved');
    });
  }

  async backup(path: string): Promise<void> {
    await writePatch(path, this.opened, this.state.projection);
  }

  override dispose(): void {
    if (this.uri.scheme !== 'file') void rm(dirname(this.opened.path), { recursive: true, force: true });
    super.dispose();
  }

  private edit(next: State, label: string): void {
    this.refuseReadOnly();
    const earlier = this.state;
    const go = (state: State) => (): void => {
      this.state = state;
      this.moved.fire('moved');
    };
    go(next)();
    this.edited.fire({ label, undo: go(earlier), redo: go(next) });
  }

  private async projected(selection: Selection): Promise<State> {
    const { plan, modules } = this.measurement.complete;
    const projection = await makeProjection(plan, modules, selection, SAFE_LORA_VERSION);
    if (projection.tensors.size === 0) return ORIGINAL;
    const report = this.measurement.report(selection);
    const general = new Set(this.measurement.view(selection).notices.map((notice) => notice.message));
    return {
      projection,
      report: travellingReport(report),
      notices: report.notices.filter((notice) => !general.has(notice.message)),
    };
  }

  private refuseReadOnly(): void {
    if (this.readOnly === null) return;
    throw new SafeLoraError(
      'read-only',
      vscode.l10n.t(
        '{0}: is read-only here; save the projected adapter to another folder with Save As.',
        this.opened.file.path,
      ),
    );
  }

  private nothingToRestore(): SafeLoraError {
    const { path } = this.opened.file;
    const reason = this.opened.notices.some((notice) => notice.code === 'originals-foreign')
      ? vscode.l10n.t(
          "{0}: the adapter's tensors are no longer those that were saved, so the kept originals do not fit them; use the adapter as it was before.",
          path,
        )
      : this.irrecoverable.length > 0
        ? vscode.l10n.t('{0}: the original weights were not kept; use the adapter that this one was made from.', path)
        : vscode.l10n.t('{0}: nothing is projected in this adapter, so there is nothing to restore.', path);
    return new SafeLoraError('originals-missing', reason);
  }

  /** The state that the file itself is in. */
  private async takeUp(): Promise<void> {
    const projection = await readProjection(this.opened);
    this.state = projection ? { projection, report: await reportBeside(this.opened.path), notices: [] } : ORIGINAL;
    this.savedState = this.state;
    this.readOnly = this.uri.scheme === 'file' ? await writeObstacle(this.opened) : 'not-on-disk';
    this.changedOnDisk = false;
  }

  /** Saving moves the tensors in the file, so that a run stops before it and goes on after it. */
  private async whilePaused(action: () => Promise<void>): Promise<void> {
    const resume = this.measurement.isRunning;
    await this.measurement.stop();
    try {
      await action();
      await this.measurement.setAdapter(this.opened, true);
    } finally {
      if (resume) void this.measurement.run();
    }
  }

  private serialised<T>(action: () => Promise<T>): Promise<T> {
    const result = this.saving.then(action);
    this.saving = result.catch(() => undefined);
    return result;
  }

  private watch(folder: string): void {
    const watcher = this._register(
      vscode.workspace.createFileSystemWatcher(new vscode.RelativePattern(vscode.Uri.file(folder), ADAPTER_FILE)),
    );
    const check = (): void => {
      void this.saving.then(() => this.checkDisk());
    };
    watcher.onDidChange(check);
    watcher.onDidCreate(check);
    watcher.onDidDelete(check);
  }

  private async checkDisk(): Promise<void> {
    const changed = await refuseChanged(this.opened).then(() => false, () => true); // prettier-ignore
    if (changed === this.changedOnDisk) return;
    this.changedOnDisk = changed;
    this.reopened.fire();
  }
}

function moduleViews(adapter: Adapter): ModuleView[] {
  const where = positions(adapter.modules.map((module) => module.name));
  return adapter.modules
    .map(({ name, a, b, rank, alreadyProjected }): ModuleView => ({
      name,
      ...where.get(name)!,
      shape: [b.shape[0]!, a.shape[1]!],
      rank,
      selectable: !alreadyProjected,
    }))
    .sort(comparePositions);
}

async function reportBeside(folder: string): Promise<string | null> {
  return readFile(join(folder, REPORT_FILE), 'utf8').catch(() => null);
}

/** Copies an adapter from another file system (a git revision, say) to a temporary folder; the engine reads files. */
async function materialise(uri: vscode.Uri): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), 'safe-lora-'));
  const folder = vscode.Uri.file(join(parent, basename(dirname(uri.path)) || 'adapter'));
  try {
    for (const name of [ADAPTER_FILE, CONFIG_FILE]) {
      await vscode.workspace.fs.writeFile(
        vscode.Uri.joinPath(folder, name),
        await vscode.workspace.fs.readFile(sibling(uri, name)),
      );
    }
  } catch (error) {
    await rm(parent, { recursive: true, force: true });
    throw new SafeLoraError(
      'file-access',
      vscode.l10n.t('{0}: cannot read it: {1}; open the file on disk.', uri.toString(), (error as Error).message),
    );
  }
  return folder.fsPath;
}

/** Git keeps the path in its query too: `{"path": …, "ref": …}`. */
function sibling(uri: vscode.Uri, name: string): vscode.Uri {
  const renamed = (path: string): string => path.replace(/[^\\/]*$/, name);
  let { query } = uri;
  try {
    const parsed = JSON.parse(query) as { path?: unknown };
    if (typeof parsed.path === 'string') query = JSON.stringify({ ...parsed, path: renamed(parsed.path) });
  } catch {
    // Other file systems' queries say nothing about the path.
  }
  return uri.with({ path: renamed(uri.path), query });
}
