// An adapter as a VS Code document: its edits are sets of projected modules, so that dirty mark, Undo, Save and hot exit are VS Code's.
import { lstat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import * as vscode from 'vscode';
import { type Adapter, ADAPTER_FILES, openAdapter } from '../../core/adapter';
import { companions } from '../../core/companions';
import { SafeLoraError, someNames } from '../../core/errors';
import { areAsStamped, ReadableFile } from '../../core/files';
import { comparePositions, positions } from '../../core/naming';
import { originalHashes } from '../../core/originals';
import { REPORT_FILE } from '../../core/output';
import { type Projection, readProjection } from '../../core/patch';
import { readPatch, writePatch } from '../../core/patch-file';
import { type Report, selectable, travellingReport } from '../../core/report';
import { type SafetensorsFile, type TensorHashes } from '../../core/safetensors';
import { refuseChanged, saveCopy, saveInPlace, writeObstacle } from '../../core/save';
import { select, type Selection } from '../../core/rules';
import { type ModelPair } from '../common/contributions';
import { Disposable } from '../common/dispose';
import { type EngineService } from '../devices/engine-service';
import { type HubService } from '../models/hub-service';
import { type Services } from '../../work/services';
import { requireTrust } from '../common/errors';
import { type InspectionStore } from '../status/store';
import { type ModelPairs } from '../models/models';
import { type OriginalsPlace } from '../status/originals-place';
import { selectionSetting } from '../settings/settings';
import { Measurement } from './measurement';
import { type AppliedView, type DocumentView, type ModuleView, type ReadOnlyReason } from '../../page/adapter';
import { TemporaryCopy } from './temporary-copy';
import { type Log, showInformation, showWarning } from '../common/surface';

/** What the adapter's file would hold if it were saved now. A new object for each edit: two are the same state only if they are one. */
interface State {
  /** Null is the original. */
  projection: Projection | null;
  /** The content of the report beside it, where one describes this state. */
  report: string | null;
}

export interface Edit {
  label: string;
  undo(): void;
  redo(): void;
}

/** Another state is applied, or the present one was saved. */
export type Move = 'moved' | 'saved';

export interface DocumentServices {
  /** What measures: the two after it, as the work knows them. */
  work: Services;
  engine: EngineService;
  hub: HubService;
  models: ModelPairs;
  originals: OriginalsPlace;
  inspections: InspectionStore;
  log: Log;
}

export class AdapterDocument extends Disposable {
  private readonly edited = this._register(new vscode.EventEmitter<Edit>());
  readonly onDidEdit = this.edited.event;
  private readonly reopened = this._register(new vscode.EventEmitter<void>());
  /** The adapter itself is another one: read anew, or its surroundings changed. */
  readonly onDidReopen = this.reopened.event;
  private readonly moved = this._register(new vscode.EventEmitter<Move>());
  readonly onDidMove = this.moved.event;

  private readonly viewChanged = this._register(new vscode.EventEmitter<void>());
  /** What is being chosen, or how many modules that selects, is another. */
  readonly onDidChangeView = this.viewChanged.event;

  readonly measurement: Measurement;
  /** What the page is choosing. */
  private draft: Selection | null = null;
  private state: State = { projection: null, report: null };
  private savedState = this.state;
  /** What Save As writes instead of the state, while it asks where to. */
  private copy: State | null = null;
  private readOnly: ReadOnlyReason | null = null;
  private changedOnDisk = false;
  /** Of the original tensors, taken before the first edit: what projections and backups belong to. */
  private hashes: TensorHashes | undefined;
  /** Counts the adapters that this document was read as; edits of an earlier one are no longer gone back to. */
  private generation = 0;
  private saving: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly uri: vscode.Uri,
    private opened: Adapter,
    private readonly services: DocumentServices,
  ) {
    super();
    this._register(services.engine.hold());
    const store = uri.scheme === 'file' ? services.inspections : null;
    const pair = services.models.find(opened, uri);
    this.measurement = this._register(
      new Measurement(opened, services.work, services.hub, pair, uri, store, services.log),
    );
    this._register(
      vscode.workspace.onDidChangeConfiguration((change) => {
        if (!change.affectsConfiguration('safeLora.pairs', uri)) return;
        void this.measurement.setModels(services.models.find(this.opened, uri));
      }),
    );
    this._register(this.measurement.onDidChange(() => this.viewChanged.fire()));
    if (uri.scheme === 'file') this.watch(dirname(uri.fsPath));
  }

  /**
   * @param backup the patch file in which VS Code kept unsaved edits
   * @throws SafeLoraError for a file that is no LoRA adapter, or a backup of another one
   */
  static async open(uri: vscode.Uri, services: DocumentServices, backup?: string): Promise<AdapterDocument> {
    const temporary = uri.scheme === 'file' ? null : await TemporaryCopy.of(uri);
    const folder = temporary?.folder ?? dirname(uri.fsPath);
    let document: AdapterDocument | undefined;
    try {
      const adapter = await openAdapter(folder, await services.originals.of(folder));
      document = new AdapterDocument(uri, adapter, services);
      if (temporary) document._register(temporary);
      await document.takeUp();
      void document.measurement.recall();
      if (backup !== undefined) {
        document.hashes = await originalHashes(adapter);
        document.state = { projection: await readPatch(backup, adapter), report: null };
      }
      return document;
    } catch (error) {
      document?.dispose();
      temporary?.dispose();
      throw error;
    }
  }

  get adapter(): Adapter {
    return this.opened;
  }

  get isDirty(): boolean {
    return this.state !== this.savedState;
  }

  /** The file on disk is no longer the one that was opened. */
  get isOutdated(): boolean {
    return this.changedOnDisk;
  }

  get isReadOnly(): boolean {
    return this.readOnly !== null;
  }

  /** The file on disk holds a projection whose originals are kept. */
  get isProjectedOnDisk(): boolean {
    return this.savedState.projection !== null;
  }

  /** Modules that were projected before, and whose originals are nowhere. */
  get irrecoverable(): string[] {
    return this.opened.modules.filter((module) => module.alreadyProjected).map((module) => module.name);
  }

  /** The selection that is applied, or null where none is. */
  get selection(): Selection | null {
    const gone = this.irrecoverable.length > 0 ? this.opened.provenance : null;
    return (this.state.projection?.provenance ?? gone)?.selection ?? null;
  }

  /** The selection with which a page begins. */
  get firstSelection(): Selection {
    return this.selection ?? selectionSetting(this.uri);
  }

  /** True where the last save kept originals in the adapter's own folder. */
  get keepsOriginalsBeside(): boolean {
    const { originals, path } = this.opened;
    return originals !== null && dirname(originals.file.path) === path;
  }

  choose(selection: Selection): void {
    this.draft = selection;
    this.viewChanged.fire();
  }

  /** What is being chosen, how many modules it selects, and where they were measured; null before they were. */
  choice(): { selection: Selection; selected: number | null; device: Report['device'] | null } {
    const selection = this.draft ?? this.firstSelection;
    const measured = this.changedOnDisk ? null : this.measurement.measured;
    return {
      selection,
      selected: measured && select(measured.modules.map(selectable), selection).size,
      device: measured?.device ?? null,
    };
  }

  view(): DocumentView {
    const { name, path, rank, trainedOn, config } = this.opened;
    const { alpha, targetModules } = config;
    return {
      adapter: { name, path, rank, alpha, targetModules, trainedOn },
      modules: moduleViews(this.opened),
      readOnly: this.readOnly,
      trusted: vscode.workspace.isTrusted,
      changedOnDisk: this.changedOnDisk,
      selection: this.firstSelection,
      draft: this.draft,
    };
  }

  appliedView(): AppliedView {
    const { projection } = this.state;
    return {
      modules: projection?.provenance.modules ?? this.irrecoverable,
      selection: this.selection,
      dirty: this.isDirty,
      canRestore: projection !== null,
    };
  }

  async setModels(pair: Partial<ModelPair>): Promise<void> {
    await this.measurement.setModels(pair);
    await this.services.models.remember(this.opened, this.uri, pair).catch((error: unknown) => {
      this.services.log.warn(`The models are not remembered: ${(error as Error).message}`);
    });
  }

  /** Makes the projection of the selected modules the document's state, as one step of Undo. */
  async apply(selection: Selection): Promise<void> {
    await this.prepareEdit();
    const next = await this.projected(selection);
    const count = next.projection?.tensors.size ?? 0;
    const label =
      count === 0
        ? vscode.l10n.t('Take back the projection')
        : count === 1
          ? vscode.l10n.t('Project 1 module')
          : vscode.l10n.t('Project {0} modules', count);
    this.edit(next, label);
  }

  /** The file as it was before anything was projected in place, as one step of Undo. */
  async restore(): Promise<void> {
    await this.prepareEdit();
    if (this.state.projection === null) throw this.nothingToRestore();
    this.edit({ projection: null, report: null }, vscode.l10n.t('Restore original weights'));
  }

  /** @throws SafeLoraError where the patch was made from another adapter */
  async applyPatch(path: string): Promise<void> {
    await this.prepareEdit();
    const projection = await readPatch(path, this.opened);
    this.edit({ projection, report: null }, vscode.l10n.t('Apply patch {0}', basename(path)));
  }

  /** @throws SafeLoraError where nothing is applied */
  requireProjection(): Projection {
    if (this.state.projection) return this.state.projection;
    throw nothingApplied();
  }

  async savePatch(path: string): Promise<void> {
    requireTrust();
    await this.writeState(path, this.requireProjection());
  }

  /** Replaces the adapter's file; the replaced weights are kept first. */
  save(): Promise<void> {
    return this.serialised(async () => {
      requireTrust();
      this.refuseReadOnly();
      const { state } = this;
      const { path } = this.opened;
      await this.measurement.paused(async () => {
        const originals = await this.services.originals.of(path);
        this.warn(await saveInPlace(this.opened, state.projection, originals, state.report));
        this.savedState = state;
        this.opened = await openAdapter(path, originals);
        return { adapter: this.opened, same: true };
      });
      await this.measurement.keep();
      this.changedOnDisk = false;
      this.moved.fire('saved');
    });
  }

  /** Writes what is applied to another folder. */
  saveAs(target: vscode.Uri): Promise<void> {
    return this.serialised(async () => {
      requireTrust();
      if (target.scheme !== 'file') {
        throw notOnThisMachine(target);
      }
      const { projection, report } = this.copy ?? this.state;
      this.warn(await saveCopy(target.fsPath, this.opened, projection, report));
      const count = projection?.tensors.size ?? 0;
      void showInformation(
        count === 0
          ? vscode.l10n.t('Saved as it is, nothing projected: {0}', target.fsPath)
          : vscode.l10n.t('Saved with {0} modules projected: {1}', count, target.fsPath),
      );
      const { linked } = await companions(this.opened);
      if (linked.length > 0) {
        void showWarning(
          vscode.l10n.t('Not copied, because they are links out of the adapter’s folder: {0}', someNames(linked)),
        );
      }
    });
  }

  /** Lets Save As write what is selected, where it is not to be applied here. */
  async withCopy(selection: Selection, action: () => Promise<void>): Promise<void> {
    this.copy = await this.projected(selection);
    try {
      await action();
    } finally {
      this.copy = null;
    }
  }

  /** Reads the adapter anew; what was applied and not saved is given up. */
  revert(): Promise<void> {
    return this.serialised(async () => {
      const { path, file, stamps } = this.opened;
      await this.measurement.paused(async () => {
        const adapter = await openAdapter(path, await this.services.originals.of(path));
        const sameWeights = await isUnchanged(file);
        const same = sameWeights && (await areAsStamped(stamps));
        this.opened = adapter;
        if (!sameWeights) this.generation++;
        return { adapter, same };
      });
      await this.takeUp();
      this.reopened.fire();
      this.moved.fire('moved');
    });
  }

  /** Keeps what is applied and not saved, as a patch. */
  backup(path: string): Promise<void> {
    return this.writeState(path, this.state.projection);
  }

  private async writeState(path: string, projection: Projection | null): Promise<void> {
    this.hashes ??= await originalHashes(this.opened);
    await writePatch(path, this.opened, this.hashes, projection);
  }

  /** Everything that must hold before an edit is made. */
  private async prepareEdit(): Promise<void> {
    requireTrust();
    this.refuseReadOnly();
    await this.saving;
    await refuseChanged(this.opened.file);
    this.hashes ??= await originalHashes(this.opened);
  }

  private edit(next: State, label: string): void {
    const earlier = this.state;
    const { generation } = this;
    const go = (state: State) => (): void => {
      if (generation !== this.generation) {
        void showWarning(
          vscode.l10n.t(
            '“{0}” was done to the adapter as it was before it changed on disk, so it changes nothing now.',
            label,
          ),
        );
        return;
      }
      this.state = state;
      this.draft = state.projection?.provenance.selection ?? this.draft;
      this.moved.fire('moved');
    };
    go(next)();
    this.edited.fire({ label, undo: go(earlier), redo: go(next) });
  }

  private async projected(selection: Selection): Promise<State> {
    const { projection, report } = await this.measurement.projected(selection);
    if (projection.tensors.size === 0) return { projection: null, report: null };
    return { projection, report: travellingReport(report) };
  }

  private refuseReadOnly(): void {
    if (this.readOnly === null) return;
    throw readOnly(this.opened.file.path);
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
    this.state = { projection, report: projection ? await reportBeside(this.opened.path) : null };
    this.savedState = this.state;
    this.hashes = undefined;
    this.readOnly = this.uri.scheme === 'file' ? await writeObstacle(this.opened) : 'not-on-disk';
    this.changedOnDisk = false;
  }

  private warn(problem: SafeLoraError | null): void {
    if (problem) this.services.log.warn(problem.message);
  }

  private serialised<T>(action: () => Promise<T>): Promise<T> {
    const result = this.saving.then(action);
    this.saving = result.catch(() => undefined);
    return result;
  }

  private watch(folder: string): void {
    const pattern = new vscode.RelativePattern(vscode.Uri.file(folder), `{${ADAPTER_FILES.join(',')}}`);
    const watcher = this._register(vscode.workspace.createFileSystemWatcher(pattern));
    const check = (): void => {
      void this.saving.then(() => this.checkDisk());
    };
    watcher.onDidChange(check);
    watcher.onDidCreate(check);
    watcher.onDidDelete(check);
  }

  private async checkDisk(): Promise<void> {
    const changed = !(await areAsStamped(this.opened.stamps));
    if (changed === this.changedOnDisk || this.isDisposed) return;
    this.changedOnDisk = changed;
    this.viewChanged.fire();
    if (changed) await this.measurement.stop();
    this.reopened.fire();
  }
}

async function isUnchanged(file: SafetensorsFile): Promise<boolean> {
  return refuseChanged(file).then(
    () => true,
    () => false,
  );
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

/** A report is some hundred kilobytes; what is far larger is none. */
const MAX_REPORT_BYTES = 20_000_000;

async function reportBeside(folder: string): Promise<string | null> {
  const path = join(folder, REPORT_FILE);
  try {
    if (!(await lstat(path)).isFile()) return null;
    return await ReadableFile.with(path, async (file) =>
      file.size > MAX_REPORT_BYTES ? null : Buffer.from(await file.read(0, file.size)).toString('utf8'),
    );
  } catch {
    return null;
  }
}

function nothingApplied(): SafeLoraError {
  return new SafeLoraError(
    'nothing-applied',
    vscode.l10n.t(
      'There is nothing to save as a patch: no projection is applied. Choose modules and apply them first.',
    ),
  );
}

function notOnThisMachine(target: vscode.Uri): SafeLoraError {
  return new SafeLoraError(
    'read-only',
    vscode.l10n.t(
      '{0}: adapters are saved on the disk of the machine that runs the extension; choose a folder there.',
      target.toString(),
    ),
  );
}

function readOnly(path: string): SafeLoraError {
  return new SafeLoraError(
    'read-only',
    vscode.l10n.t('{0}: is read-only here; save the projected adapter to another folder with Save As.', path),
  );
}
