// Whether the adapter's files on disk are still those that were opened.
import * as vscode from 'vscode';
import { ADAPTER_FILES } from '../../core/adapter';
import { areAsStamped, type FileStamp } from '../../core/files';
import { Disposable } from '../common/dispose';

export class DiskWatch extends Disposable {
  private readonly changed = this._register(new vscode.EventEmitter<void>());
  /** They are others, or again those that were opened. */
  readonly onDidChange = this.changed.event;
  private outdated = false;

  /**
   * @param stamps of the files as they were opened last
   * @param settled ends when the document's own saving does
   */
  constructor(
    private readonly stamps: () => readonly FileStamp[],
    private readonly settled: () => Promise<unknown>,
  ) {
    super();
  }

  get isOutdated(): boolean {
    return this.outdated;
  }

  /** The files were read or written just now. */
  reset(): void {
    this.outdated = false;
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
    const outdated = !(await areAsStamped(this.stamps()));
    if (outdated === this.outdated || this.isDisposed) return;
    this.outdated = outdated;
    this.changed.fire();
  }
}
