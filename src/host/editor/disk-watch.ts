// Detects changes of the adapter's files on disk since they were opened.
import * as vscode from 'vscode';
import { ADAPTER_FILES } from '../../core/adapter';
import { areAsStamped, type FileStamp, kindOf } from '../../core/files';
import { type DiskChange } from '../../page/adapter';
import { Disposable } from '../common/dispose';

export class DiskWatch extends Disposable {
  private readonly changed = this._register(new vscode.EventEmitter<void>());
  /** They have changed, or are again as opened. */
  readonly onDidChange = this.changed.event;
  private found: DiskChange = null;

  /**
   * @param stamps of the files when last opened
   * @param settled resolves after the document's own saving
   */
  constructor(
    private readonly stamps: () => readonly FileStamp[],
    private readonly settled: () => Promise<unknown>,
  ) {
    super();
  }

  /** The change of the files since they were opened. */
  get change(): DiskChange {
    return this.found;
  }

  /** The files were read or written just now. */
  reset(): void {
    this.found = null;
  }

  watch(folder: string): void {
    const pattern = new vscode.RelativePattern(vscode.Uri.file(folder), `{${ADAPTER_FILES.join(',')}}`);
    const watcher = this._register(vscode.workspace.createFileSystemWatcher(pattern));
    const check = (): void => {
      void this.settled().then(() => this.check());
    };
    watcher.onDidChange(check);
    watcher.onDidCreate(check);
    watcher.onDidDelete(check);
  }

  private async check(): Promise<void> {
    const found = await this.look();
    if (found === this.found || this.isDisposed) return;
    this.found = found;
    this.changed.fire();
  }

  private async look(): Promise<DiskChange> {
    const stamps = this.stamps();
    if (await areAsStamped(stamps)) return null;
    const [weights] = stamps;
    const kind = await kindOf(weights!.path).catch(() => 'other');
    return kind === null ? 'deleted' : 'changed';
  }
}
