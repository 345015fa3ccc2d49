// Why each adapter's last measurement failed: kept for this session, until the adapter or its models change.
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
  /** Of the adapter's files and of the folders of its models. */
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
    const models = await Promise.all(modelFolders.map((model) => stampOf(model).catch(() => null)));
    const stamps = [...files, ...models.filter((stamp) => stamp !== null)];
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
