// Registers disposables with their owner.
import type * as vscode from 'vscode';

export abstract class Disposable implements vscode.Disposable {
  private readonly owned = new Set<vscode.Disposable>();
  private disposed = false;

  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    for (const item of this.owned) item.dispose();
    this.owned.clear();
  }

  protected get isDisposed(): boolean {
    return this.disposed;
  }

  protected _register<T extends vscode.Disposable>(item: T): T {
    if (this.disposed) item.dispose();
    else this.owned.add(item);
    return item;
  }
}
