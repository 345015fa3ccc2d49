// Whether an adapter or its models are others than those that a result was computed from.
import * as vscode from 'vscode';
import { openAdapter } from '../../core/adapter';
import { areAsStamped, stampOf } from '../../core/files';
import { type AdapterIdentity, sameAdapter } from '../../core/identity';
import { type ModelPairs } from '../models/models';
import { type OriginalsLocation } from './originals-location';
import { type Entry, type InspectionStore } from './store';

export class Changes {
  /** Adapters are read whole one after the other, even if many changed. */
  private reading: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly inspections: InspectionStore,
    private readonly pairs: ModelPairs,
    private readonly originals: OriginalsLocation,
  ) {}

  /**
   * @param path the adapter's folder
   * @param onTouched its files have other times, and the same content
   */
  async since(
    path: string,
    entry: Entry,
    onTouched?: (identity: AdapterIdentity) => Promise<void>,
  ): Promise<'adapter' | 'models' | null> {
    if (!(await areAsStamped(entry.adapter.stamps)) && !(await this.isSame(path, entry, onTouched))) return 'adapter';
    const { base, aligned } = this.pairs.find({ trainedOn: entry.trainedOn, path }, vscode.Uri.file(path));
    const others =
      (base ?? entry.models.base) !== entry.models.base || (aligned ?? entry.models.aligned) !== entry.models.aligned;
    return others || !(await areAsStamped(entry.modelFiles)) ? 'models' : null;
  }

  /** An adapter that was touched or checked out again may be unchanged. */
  private async isSame(
    path: string,
    entry: Entry,
    onTouched?: (identity: AdapterIdentity) => Promise<void>,
  ): Promise<boolean> {
    const now = await Promise.all(entry.adapter.stamps.map(({ path: file }) => stampOf(file)));
    if (now.some(({ size }, i) => size !== entry.adapter.stamps[i]!.size)) return false;
    const look = this.reading.then(async () => {
      const identity = await this.inspections.identify(await openAdapter(path, await this.originals.of(path)));
      if (!sameAdapter(identity, entry.adapter)) return false;
      await onTouched?.(identity);
      return true;
    });
    this.reading = look.catch(() => undefined);
    return look;
  }
}
