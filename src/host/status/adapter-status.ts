// The status of each adapter: not measured, measured, or stale; shown by every surface but the editor.
import { dirname, join } from 'node:path';
import * as vscode from 'vscode';
import { ADAPTER_FILES, adapterStamps, provenanceOf } from '../../core/adapter';
import { ADAPTER_FILE } from '../../core/adapter-folder';
import { folderName } from '../../core/model-names';
import { areAsStamped, type FileStamp, kindOf } from '../../core/files';
import { type Report, selectedIn } from '../../core/report';
import { openSafetensors } from '../../core/safetensors';
import { type Selection } from '../../core/rules';
import { type WorkspaceAdapters } from './adapters';
import { type Changes } from './changes';
import { type EvaluationStore, type KeptEvaluation } from './evaluations';
import { SECTION } from '../common/contributions';
import { Disposable } from '../common/dispose';
import { errorView } from '../common/errors';
import { type ModelPairs } from '../models/models';
import { type MeasuringFailures } from './failures';
import { type OriginalsLocation } from './originals-location';
import { selectionSetting } from '../settings/settings';
import { isOnHub } from '../models/hub-service';
import { type Entry, type InspectionStore } from './store';
import { type Log } from '../common/surface';

export interface AdapterStatus {
  readonly folder: vscode.Uri;
  readonly name: string;
  /** `stale`: measured, but the adapter or a model has changed since. */
  readonly state: 'uninspected' | 'inspected' | 'stale' | 'unreadable';
  /** What changed, if stale. */
  readonly changed: 'adapter' | 'models' | null;
  /** Why it is unreadable. */
  readonly problem: string | null;
  /** Why the last measurement failed, if it has no result. */
  readonly failure: string | null;
  /** Only if inspected: a stale result is not shown. */
  readonly report: Report | null;
  /** The file's own, or the settings' default. */
  readonly selection: Selection;
  /** How the model behaves with it; null if that was not measured. */
  readonly evaluation: KeptEvaluation | null;
  /** Names of the selected modules. */
  readonly selected: ReadonlySet<string>;
  /** The modules whose lora_B in the file is a projection. */
  readonly projected: readonly string[];
  /** Their originals are available. */
  readonly restorable: boolean;
}

const FILES = `**/{${ADAPTER_FILES.join(',')}}`;
/** Debounce: a save writes several files. */
const SETTLE_MS = 250;
const SETTINGS = ['pairs', 'selection', 'threshold', 'count'];

/** A status, and the adapter's files that it was read from. */
interface Known {
  status: AdapterStatus;
  stamps: FileStamp[];
}

export class AdapterStatuses extends Disposable {
  private readonly changed = this._register(new vscode.EventEmitter<vscode.Uri | undefined>());
  /** An adapter's status changed; undefined for any of them. */
  readonly onDidChange = this.changed.event;
  private readonly known = new Map<string, Promise<Known>>();
  private readonly settling = new Map<string, NodeJS.Timeout>();
  /** Watchers of model folders with which adapters were measured, or failed. */
  private readonly models = new Map<string, vscode.Disposable>();

  constructor(
    adapters: WorkspaceAdapters,
    private readonly inspections: InspectionStore,
    pairs: ModelPairs,
    private readonly originals: OriginalsLocation,
    private readonly changes: Changes,
    private readonly evaluations: EvaluationStore,
    private readonly failures: MeasuringFailures,
    private readonly log: Log,
  ) {
    super();
    const files = this._register(vscode.workspace.createFileSystemWatcher(FILES));
    for (const event of [files.onDidChange, files.onDidCreate, files.onDidDelete]) {
      this._register(event((file) => this.settle(vscode.Uri.joinPath(file, '..'))));
    }
    // The watcher reports a renamed folder without its files.
    this._register(adapters.onDidChange(() => this.settle(undefined)));
    this._register(pairs.onDidChange(() => this.settle(undefined)));
    this._register(inspections.onDidKeep((folder) => this.forget(vscode.Uri.file(folder))));
    this._register(evaluations.onDidChange((folder) => this.forget(vscode.Uri.file(folder))));
    this._register(failures.onDidFail((folder) => this.forget(folder)));
    this._register(
      vscode.workspace.onDidChangeConfiguration((change) => {
        if (SETTINGS.some((name) => change.affectsConfiguration(`${SECTION}.${name}`))) this.forget(undefined);
      }),
    );
  }

  /** The earlier status, unless a file of the adapter has changed: not every folder is watched. */
  async of(folder: vscode.Uri): Promise<AdapterStatus> {
    const key = folder.toString();
    const earlier = this.known.get(key);
    if (earlier) {
      const { status, stamps } = await earlier;
      if (await areAsStamped(stamps)) return status;
      if (this.known.get(key) === earlier) this.known.delete(key);
    }
    let known = this.known.get(key);
    if (!known) {
      known = this.find(folder);
      this.known.set(key, known);
    }
    return (await known).status;
  }

  override dispose(): void {
    for (const timer of this.settling.values()) clearTimeout(timer);
    for (const watcher of this.models.values()) watcher.dispose();
    super.dispose();
  }

  /** @param folder undefined for all adapters */
  private settle(folder: vscode.Uri | undefined): void {
    const key = folder?.toString() ?? '';
    clearTimeout(this.settling.get(key));
    const forget = (): void => {
      this.settling.delete(key);
      this.forget(folder);
    };
    this.settling.set(key, setTimeout(forget, SETTLE_MS));
  }

  private forget(folder: vscode.Uri | undefined): void {
    if (folder) this.known.delete(folder.toString());
    else this.known.clear();
    this.changed.fire(folder);
  }

  private async find(folder: vscode.Uri): Promise<Known> {
    if (folder.scheme !== 'file') return { status: await this.look(folder), stamps: [] };
    const path = folder.fsPath;
    const stamps = await adapterStamps(path, await this.originals.of(path));
    return { status: await this.look(folder), stamps };
  }

  private async look(folder: vscode.Uri): Promise<AdapterStatus> {
    const path = folder.fsPath;
    const nothing = {
      folder,
      name: folderName(path),
      changed: null,
      problem: null,
      failure: null,
      report: null,
      evaluation: null,
      selection: selectionSetting(folder),
      selected: new Set<string>(),
      projected: [],
      restorable: false,
    };
    if (folder.scheme !== 'file') return { ...nothing, state: 'uninspected' };
    try {
      const provenance = provenanceOf(await openSafetensors(join(path, ADAPTER_FILE)));
      const selection = provenance?.selection ?? nothing.selection;
      const projected = provenance?.modules ?? [];
      const restorable = projected.length > 0 && (await kindOf(await this.originals.of(path))) !== null;
      const evaluation = await this.evaluations.of(path);
      const facts = { ...nothing, selection, projected, restorable, evaluation };
      const entry = await this.inspections.entry(path);
      const inspection = entry && (await this.inspections.load(entry.key));
      if (!entry || !inspection) return { ...facts, state: 'uninspected', failure: await this.failureOf(folder) };
      this.watch(modelFoldersOf(entry));
      const changed = await this.whatChanged(path, entry);
      if (changed) return { ...facts, state: 'stale', changed, failure: await this.failureOf(folder) };
      this.failures.forget(folder);
      const { report } = inspection;
      return { ...facts, state: 'inspected', report, selected: selectedIn(report, selection) };
    } catch (error) {
      return { ...nothing, state: 'unreadable', problem: errorView(error).message };
    }
  }

  private async failureOf(folder: vscode.Uri): Promise<string | null> {
    const failure = await this.failures.of(folder);
    this.watch(failure?.modelFolders ?? []);
    return failure?.message ?? null;
  }

  private whatChanged(path: string, entry: Entry): Promise<AdapterStatus['changed']> {
    return this.changes.since(path, entry, async (identity) => {
      await this.inspections.point(path, { ...entry, adapter: identity }).catch((error: unknown) => {
        this.log.warn(`The result is not kept: ${(error as Error).message}`);
      });
    });
  }

  private watch(modelFolders: Iterable<string>): void {
    for (const folder of modelFolders) {
      if (this.models.has(folder) || this.isDisposed) continue;
      const pattern = new vscode.RelativePattern(vscode.Uri.file(folder), '*');
      const watcher = vscode.workspace.createFileSystemWatcher(pattern);
      const changed = (): void => this.settle(undefined);
      this.models.set(
        folder,
        vscode.Disposable.from(
          watcher,
          watcher.onDidChange(changed),
          watcher.onDidCreate(changed),
          watcher.onDidDelete(changed),
        ),
      );
    }
  }
}

function modelFoldersOf({ modelFiles }: Entry): Set<string> {
  return new Set(modelFiles.filter(({ path }) => !isOnHub(path)).map(({ path }) => dirname(path)));
}
