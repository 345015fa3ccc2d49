// An adapter as a VS Code document: its edits are sets of projected modules, so that VS Code provides dirty mark, Undo, Save and hot exit.
import { basename, dirname } from 'node:path';
import * as vscode from 'vscode';
import { type Adapter, openAdapter } from '../../core/adapter';
import { companions } from '../../core/companions';
import { type SafeLoraError, someNames } from '../../core/errors';
import { areAsStamped } from '../../core/files';
import { originalHashes } from '../../core/originals';
import { type Projection } from '../../core/patch';
import { readPatch, writePatch } from '../../core/patch-file';
import { travellingReport } from '../../core/report';
import { type SafetensorsFile, type TensorHashes } from '../../core/safetensors';
import { refuseChanged, saveCopy, saveInPlace, writeObstacle } from '../../core/save';
import { type Selection } from '../../core/rules';
import { type ModelPair } from '../common/contributions';
import { Disposable } from '../common/dispose';
import { type EngineService } from '../devices/engine-service';
import { type HubService } from '../models/hub-service';
import { type LanguageServices } from '../../work/services';
import { requireTrust } from '../common/errors';
import { type History, type HistoryAction, measuredEntry } from '../status/history';
import { type InspectionStore } from '../status/store';
import { type ModelPairs } from '../models/models';
import { type OriginalsLocation } from '../status/originals-location';
import { selectionSetting } from '../settings/settings';
import { type AppliedState, stateOnDisk } from './applied-state';
import { BehaviourRun } from '../behaviour/behaviour-run';
import { type EvaluationStore } from '../status/evaluations';
import { DiskWatch } from './disk-watch';
import { nothingApplied, nothingToRestore, notOnThisMachine, readOnly } from './document-errors';
import { EditHistory } from './edit-history';
import { MeasuringRun } from './measuring-run';
import { ProjectionNumbers } from './projection-numbers';
import { type DiskChange, type ReadOnlyReason } from '../../page/adapter';
import { TemporaryCopy } from './temporary-copy';
import { type Log, showInformation, showWarning } from '../common/surface';
import { folderOf } from '../common/files';

/** Another state was applied, or the present one was saved. */
export type Move = 'moved' | 'saved';

export interface DocumentServices {
  /** Combines the two below, and language models. */
  work: LanguageServices;
  engine: EngineService;
  hub: HubService;
  models: ModelPairs;
  originals: OriginalsLocation;
  inspections: InspectionStore;
  evaluations: EvaluationStore;
  history: History;
  log: Log;
}

export class AdapterDocument extends Disposable {
  private readonly history = this._register(new EditHistory());
  readonly onDidEdit = this.history.onDidEdit;
  private readonly reopened = this._register(new vscode.EventEmitter<void>());
  /** The adapter itself changed: it was read again, or its surroundings changed. */
  readonly onDidReopen = this.reopened.event;
  private readonly moved = this._register(new vscode.EventEmitter<Move>());
  readonly onDidMove = this.moved.event;

  private readonly viewChanged = this._register(new vscode.EventEmitter<void>());
  /** The selection or its number of modules changed. */
  readonly onDidChangeView = this.viewChanged.event;

  readonly measuring: MeasuringRun;
  readonly behaviour: BehaviourRun;
  readonly projectionNumbers: ProjectionNumbers;
  private readonly disk = this._register(
    new DiskWatch(
      () => this.opened.stamps,
      () => this.saving,
    ),
  );
  private chosen: Selection | null = null;
  /** Save As writes this instead, while it asks for a destination. */
  private copy: AppliedState | null = null;
  private obstacle: ReadOnlyReason | null = null;
  /** Hashes of the original tensors, taken before the first edit: projections and backups belong to them. */
  private hashes: TensorHashes | undefined;
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
    this.measuring = this._register(
      new MeasuringRun(opened, services.work, services.hub, pair, uri, store, services.log),
    );
    this.projectionNumbers = this._register(
      new ProjectionNumbers(this.measuring, services.work, uri, services.hub.refuse, services.log),
    );
    this.behaviour = this._register(
      new BehaviourRun(
        {
          uri,
          adapter: () => this.opened,
          models: () => this.measuring.models,
          selection: () => this.draft ?? this.firstSelection,
          known: () => this.measuring.knownProjections(),
        },
        { ...services, language: services.work },
      ),
    );
    this._register(
      vscode.workspace.onDidChangeConfiguration((change) => {
        if (!change.affectsConfiguration('safeLora.pairs', uri)) return;
        void this.measuring.setModels(services.models.find(this.opened, uri));
      }),
    );
    this._register(this.measuring.onDidChange(() => this.viewChanged.fire()));
    this._register(this.measuring.onDidFinish(() => this.recordMeasured()));
    this._register(
      this.history.onDidStep(() => {
        this.chosen = this.projection?.provenance.selection ?? this.chosen;
        this.projectionNumbers.follow(this.projection);
        this.moved.fire('moved');
      }),
    );
    this._register(this.disk.onDidChange(() => void this.diskChanged()));
    if (uri.scheme === 'file') this.disk.watch(dirname(uri.fsPath));
  }

  /**
   * @param backup the patch file with unsaved edits that VS Code kept
   * @throws SafeLoraError for a file that is not a LoRA adapter, or another one's backup
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
      void document.measuring.recall();
      void document.behaviour.recall();
      if (backup !== undefined) {
        document.hashes = await originalHashes(adapter);
        document.history.resume({ projection: await readPatch(backup, adapter), report: null });
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
    return this.history.isDirty;
  }

  /** The file on disk has changed since it was opened. */
  get isOutdated(): boolean {
    return this.disk.change !== null;
  }

  get diskChange(): DiskChange {
    return this.disk.change;
  }

  get isReadOnly(): boolean {
    return this.obstacle !== null;
  }

  /** Why the file cannot be replaced, or null. */
  get readOnlyReason(): ReadOnlyReason | null {
    return this.obstacle;
  }

  /** The file on disk is a projection with kept originals. */
  get isProjectedOnDisk(): boolean {
    return this.history.saved.projection !== null;
  }

  /** The applied projection, saved or not; null means the original. */
  get projection(): Projection | null {
    return this.history.state.projection;
  }

  /** Modules that were projected before and have no originals. */
  get irrecoverable(): string[] {
    return this.opened.modules.filter((module) => module.alreadyProjected).map((module) => module.name);
  }

  /** The applied selection, or null. */
  get selection(): Selection | null {
    const gone = this.irrecoverable.length > 0 ? this.opened.provenance : null;
    return (this.projection?.provenance ?? gone)?.selection ?? null;
  }

  /** A page's initial selection. */
  get firstSelection(): Selection {
    return this.selection ?? selectionSetting(this.uri);
  }

  /** The page's selection, null before there is one. */
  get draft(): Selection | null {
    return this.chosen;
  }

  /** True if the last save kept originals in the adapter's own folder. */
  get keepsOriginalsBeside(): boolean {
    const { originals, path } = this.opened;
    return originals !== null && dirname(originals.file.path) === path;
  }

  choose(selection: Selection): void {
    this.chosen = selection;
    this.viewChanged.fire();
  }

  /** The numbers of the applied projection; `projectionNumbers` tells when they are ready. */
  async measureProjection(): Promise<void> {
    await this.projectionNumbers.measure(this.requireProjection(), this.services.hub.agree);
  }

  async setModels(pair: Partial<ModelPair>): Promise<void> {
    await this.measuring.setModels(pair);
    void this.behaviour.recall();
    await this.services.models.remember(this.opened, this.uri, pair).catch((error: unknown) => {
      this.services.log.warn(`The models are not remembered: ${(error as Error).message}`);
    });
  }

  /** Applies the projection of the selected modules, as one step of Undo. */
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
    this.history.make(next, label);
  }

  /** Applies the file before any in-place projection, as one step of Undo. */
  async restore(): Promise<void> {
    await this.prepareEdit();
    if (this.projection === null) throw nothingToRestore(this.opened);
    this.history.make({ projection: null, report: null }, vscode.l10n.t('Restore original weights'));
  }

  /** @throws SafeLoraError if the patch belongs to another adapter */
  async applyPatch(path: string): Promise<void> {
    await this.prepareEdit();
    const projection = await readPatch(path, this.opened);
    this.history.make({ projection, report: null }, vscode.l10n.t('Apply patch {0}', basename(path)));
  }

  /** @throws SafeLoraError if nothing is applied */
  requireProjection(): Projection {
    if (this.projection) return this.projection;
    throw nothingApplied();
  }

  async savePatch(path: string): Promise<void> {
    requireTrust();
    const projection = this.requireProjection();
    await this.writeState(path, projection);
    this.record('patch', projection, path);
  }

  /** Replaces the adapter's file, after keeping the replaced weights. */
  save(): Promise<void> {
    return this.serialised(async () => {
      requireTrust();
      await this.updateObstacle();
      this.refuseReadOnly();
      const { state } = this.history;
      const { path } = this.opened;
      await this.measuring.paused(async () => {
        const originals = await this.services.originals.of(path);
        this.warn(await saveInPlace(this.opened, state.projection, originals, state.report));
        this.history.markSaved(state);
        this.opened = await openAdapter(path, originals);
        return { adapter: this.opened, same: true };
      });
      await this.measuring.keep();
      await this.behaviour.keep();
      this.record(state.projection ? 'saved' : 'restored', state.projection);
      this.disk.reset();
      this.moved.fire('saved');
      if (this.projectionNumbers.of(state.projection) === null) this.projectionNumbers.follow(state.projection);
    });
  }

  /** Writes what is applied to another folder. */
  saveAs(target: vscode.Uri): Promise<void> {
    return this.serialised(async () => {
      requireTrust();
      if (target.scheme !== 'file') {
        throw notOnThisMachine(target);
      }
      const { projection, report } = this.copy ?? this.history.state;
      this.warn(await saveCopy(target.fsPath, this.opened, projection, report));
      this.record('copied', projection, target.fsPath);
      const count = projection?.tensors.size ?? 0;
      void showInformation(
        count === 0
          ? vscode.l10n.t('Saved without a projection: {0}', target.fsPath)
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

  /** Lets Save As write the selection without applying it here. */
  async withCopy(selection: Selection, action: () => Promise<void>): Promise<void> {
    this.copy = await this.projected(selection);
    try {
      await action();
    } finally {
      this.copy = null;
    }
  }

  /** Reads the adapter again; discards unsaved edits. */
  revert(): Promise<void> {
    return this.serialised(async () => {
      const { path, file, stamps } = this.opened;
      await this.measuring.paused(async () => {
        const adapter = await openAdapter(path, await this.services.originals.of(path));
        const sameWeights = await isUnchanged(file);
        const same = sameWeights && (await areAsStamped(stamps));
        this.opened = adapter;
        if (!sameWeights) this.history.abandon();
        return { adapter, same };
      });
      await this.takeUp();
      await this.behaviour.recall();
      this.reopened.fire();
      this.moved.fire('moved');
    });
  }

  /** Keeps unsaved edits as a patch. */
  backup(path: string): Promise<void> {
    return this.writeState(path, this.projection);
  }

  private async writeState(path: string, projection: Projection | null): Promise<void> {
    this.hashes ??= await originalHashes(this.opened);
    await writePatch(path, this.opened, this.hashes, projection);
  }

  /** Checks all preconditions of an edit. */
  private async prepareEdit(): Promise<void> {
    requireTrust();
    this.refuseReadOnly();
    await this.saving;
    await refuseChanged(this.opened.file);
    this.hashes ??= await originalHashes(this.opened);
  }

  private async projected(selection: Selection): Promise<AppliedState> {
    const { projection, report } = await this.measuring.projected(selection);
    if (projection.tensors.size === 0) return { projection: null, report: null };
    const names = report.modules.filter((module) => module.selected).map(({ name }) => name);
    return { projection, report: travellingReport({ ...report, ...this.behaviour.excerpt(new Set(names)) }) };
  }

  private async findObstacle(): Promise<ReadOnlyReason | null> {
    return this.uri.scheme === 'file' ? writeObstacle(this.opened) : 'not-on-disk';
  }

  /** Permissions and links may change while the adapter is open. A missing file is reported by the save itself. */
  private async updateObstacle(): Promise<void> {
    const before = this.obstacle;
    this.obstacle = await this.findObstacle().catch(() => before);
    if (this.obstacle !== before) this.reopened.fire();
  }

  private refuseReadOnly(): void {
    if (!this.isReadOnly) return;
    throw readOnly(this.opened.file.path);
  }

  /** Starts with the adapter as it was opened. */
  private async takeUp(): Promise<void> {
    this.history.begin(await stateOnDisk(this.opened));
    this.hashes = undefined;
    this.obstacle = await this.findObstacle();
    this.disk.reset();
  }

  private recordMeasured(): void {
    const { services, uri, measuring } = this;
    services.history.add(measuredEntry(folderOf(uri), measuring.report(selectionSetting(uri))));
  }

  /** @param target what was written elsewhere; null where the adapter itself was saved */
  private record(
    action: Exclude<HistoryAction, 'measured'>,
    projection: Projection | null,
    target: string | null = null,
  ): void {
    this.services.history.add({
      action,
      folder: folderOf(this.uri).toString(),
      count: projection?.tensors.size ?? 0,
      modules: this.opened.modules.length,
      selection: projection?.provenance.selection ?? null,
      direction: null,
      models: this.measuring.models,
      target,
    });
  }

  private warn(problem: SafeLoraError | null): void {
    if (problem) this.services.log.warn(problem.message);
  }

  private serialised<T>(action: () => Promise<T>): Promise<T> {
    const result = this.saving.then(action);
    this.saving = result.catch(() => undefined);
    return result;
  }

  private async diskChanged(): Promise<void> {
    this.viewChanged.fire();
    if (this.isOutdated) await Promise.all([this.measuring.stop(), this.behaviour.stop()]);
    void this.behaviour.recall();
    this.reopened.fire();
  }
}

async function isUnchanged(file: SafetensorsFile): Promise<boolean> {
  return refuseChanged(file).then(
    () => true,
    () => false,
  );
}
