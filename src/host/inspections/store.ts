// What was measured, kept in the workspace's storage: a file for each adapter on its two models, found again by their identity.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as vscode from 'vscode';
import { type Adapter } from '../../core/adapter';
import { type Checkpoint } from '../../core/checkpoint';
import {
  type AdapterIdentity,
  adapterIdentity,
  areAsStamped,
  checkpointStamps,
  type FileStamp,
  inspectionKey,
} from '../../core/identity';
import { type Inspection, parseInspection } from '../../core/inspection';
import { type Plan } from '../../core/plan';
import { replaceFile } from '../../core/replace';
import { reportText } from '../../core/report';
import { type ModelPair } from '../contributions';
import { Disposable } from '../dispose';
import { type OriginalsPlace } from '../originals-place';

/** The last result of an adapter's folder: which it is, and the files whose change makes it stale. */
export interface Entry {
  key: string;
  adapter: AdapterIdentity;
  /** `base_model_name_or_path`, by which the models are found. */
  trainedOn: string | null;
  models: ModelPair;
  modelFiles: FileStamp[];
}

const INDEX = 'inspections';

export class InspectionStore extends Disposable {
  private readonly kept = this._register(new vscode.EventEmitter<string>());
  /** A result was kept, or taken over, for the adapter in this folder. */
  readonly onDidKeep = this.kept.event;

  /** @param storage the extension's folder for this workspace */
  constructor(
    private readonly storage: vscode.Uri,
    private readonly index: vscode.Memento,
    private readonly originals: OriginalsPlace,
  ) {
    super();
  }

  /** The last result of the adapter in a folder, whether or not it still holds. */
  entry(folder: string): Entry | undefined {
    return this.index.get<Record<string, Entry>>(INDEX, {})[folder];
  }

  /** Reads the adapter's files whole where they are not as they were last seen. */
  async identify(adapter: Pick<Adapter, 'file' | 'path' | 'originals'>): Promise<AdapterIdentity> {
    const known = this.entry(adapter.path)?.adapter;
    if (known?.originals === (adapter.originals !== null) && (await areAsStamped(known.stamps))) return known;
    return adapterIdentity(adapter, await this.originals.of(adapter.path));
  }

  /** Where the result of a plan belongs. */
  async place({ adapter, base, aligned }: Plan): Promise<Entry> {
    const identity = await this.identify(adapter);
    const [baseFiles, alignedFiles] = [base, aligned].map((model: Checkpoint) => checkpointStamps(model));
    return {
      key: inspectionKey(identity, baseFiles!, alignedFiles!),
      adapter: identity,
      trainedOn: adapter.trainedOn,
      models: { base: base.path, aligned: aligned.path },
      modelFiles: [...baseFiles!, ...alignedFiles!],
    };
  }

  async load(key: string): Promise<Inspection | null> {
    return readFile(this.fileOf(key), 'utf8').then(parseInspection, () => null);
  }

  async keep(folder: string, entry: Entry, inspection: Inspection): Promise<void> {
    await mkdir(this.folder, { recursive: true });
    await replaceFile(this.fileOf(entry.key), (path) => writeFile(path, reportText(inspection)));
    await this.point(folder, entry);
  }

  /** Makes an entry the folder's last result, whose file is there; that of an earlier one goes with its last user. */
  async point(folder: string, entry: Entry): Promise<void> {
    const entries = { ...this.index.get<Record<string, Entry>>(INDEX, {}) };
    const earlier = entries[folder]?.key;
    entries[folder] = entry;
    await this.index.update(INDEX, entries);
    if (earlier !== undefined && !Object.values(entries).some(({ key }) => key === earlier)) {
      await rm(this.fileOf(earlier), { force: true });
    }
    this.kept.fire(folder);
  }

  private get folder(): string {
    return join(this.storage.fsPath, INDEX);
  }

  private fileOf(key: string): string {
    return join(this.folder, `${key}.json`);
  }
}
