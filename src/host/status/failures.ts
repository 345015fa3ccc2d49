// Why each adapter could last not be measured: kept for this session, until the adapter or its models are others.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import * as vscode from 'vscode';
import { adapterStamps } from '../../core/adapter';
import { readTrainedOn } from '../../core/adapter-config';
import { areAsStamped, type FileStamp, stampOf } from '../../core/files';
import { type ModelPair } from '../common/contributions';
import { Disposable } from '../common/dispose';
import { Cancelled, errorView } from '../common/errors';
import { isOnHub } from '../models/hub-service';
import { type ModelKey, type ModelPairs } from '../models/models';
import { type OriginalsLocation } from './originals-location';

export interface Failure {
  readonly message: string;
  /** The folders of its models: a change there may fix it. */
  readonly modelFolders: readonly string[];
}

interface Kept extends Failure {
  key: ModelKey;
  pair: Partial<ModelPair>;
  /** Of the adapter's files and of the models' folders with what lies in them. */
  stamps: FileStamp[];
}

export class MeasuringFailures extends Disposable {
  private readonly kept = new Map<string, Kept>();
  private readonly changed = this._register(new vscode.EventEmitter<vscode.Uri>());
  /** Measuring an adapter failed. */
  readonly onDidFail = this.changed.event;

  constructor(
    private readonly pairs: ModelPairs,
    private readonly originals: OriginalsLocation,
  ) {
    super();
  }

  async keep(folder: vscode.Uri, failure: unknown): Promise<void> {
    if (folder.scheme !== 'file' || failure instanceof Cancelled) return;
    const path = folder.fsPath;
    const key = { trainedOn: await readTrainedOn(path).catch(() => null), path };
    const pair = this.pairs.find(key, folder);
    const modelFolders = Object.values(pair).filter((model) => !isOnHub(model));
    const files = await this.stampsOf(path);
    if (!files) return;
    const models = await Promise.all(modelFolders.map(stampsIn));
    const stamps = [...files, ...models.flat()];
    const { message } = errorView(failure);
    this.kept.set(folder.toString(), { message, modelFolders, key, pair, stamps });
    this.changed.fire(folder);
  }

  /** Null if no failure is known for the present adapter and models. */
  async of(folder: vscode.Uri): Promise<Failure | null> {
    const kept = this.kept.get(folder.toString());
    if (!kept) return null;
    if (isDeepStrictEqual(this.pairs.find(kept.key, folder), kept.pair) && (await areAsStamped(kept.stamps)))
      return kept;
    this.forget(folder);
    return null;
  }

  forget(folder: vscode.Uri): void {
    this.kept.delete(folder.toString());
  }

  /** Null for an adapter that cannot be examined, which its status reports. */
  private async stampsOf(path: string): Promise<FileStamp[] | null> {
    try {
      return await adapterStamps(path, await this.originals.of(path));
    } catch {
      return null;
    }
  }
}

/** Of a model's folder and its files, whose content may be replaced without a change of the folder. */
async function stampsIn(folder: string): Promise<FileStamp[]> {
  const names = await readdir(folder).catch(() => []);
  const stamps = await Promise.all(
    [folder, ...names.map((name) => join(folder, name))].map((path) => stampOf(path).catch(() => null)),
  );
  return stamps.filter((stamp) => stamp !== null);
}
