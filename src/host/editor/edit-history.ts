// Undo and Redo steps between applied states; VS Code keeps their order, and requests each.
import * as vscode from 'vscode';
import { Disposable } from '../common/dispose';
import { showWarning } from '../common/surface';
import { type AppliedState } from './applied-state';

export interface Edit {
  label: string;
  undo(): void;
  redo(): void;
}

export class EditHistory extends Disposable {
  private readonly edited = this._register(new vscode.EventEmitter<Edit>());
  readonly onDidEdit = this.edited.event;
  private readonly stepped = this._register(new vscode.EventEmitter<void>());
  /** An edit was made, undone or redone. */
  readonly onDidStep = this.stepped.event;
  private present: AppliedState = { projection: null, report: null };
  private onDisk = this.present;
  /** Counts how often the document was read; edits from an earlier reading can no longer be undone. */
  private generation = 0;

  get state(): AppliedState {
    return this.present;
  }

  /** The state last read or saved. */
  get saved(): AppliedState {
    return this.onDisk;
  }

  get isDirty(): boolean {
    return this.present !== this.onDisk;
  }

  /** Starts with the file's state. */
  begin(state: AppliedState): void {
    this.present = state;
    this.onDisk = state;
  }

  /** Restores unsaved edits from when the window was closed: not a step of Undo. */
  resume(state: AppliedState): void {
    this.present = state;
  }

  markSaved(state: AppliedState): void {
    this.onDisk = state;
  }

  /** The weights changed: steps between earlier states are void. */
  abandon(): void {
    this.generation++;
  }

  make(next: AppliedState, label: string): void {
    const earlier = this.present;
    const { generation } = this;
    const go = (state: AppliedState) => (): void => {
      if (generation !== this.generation) {
        void showWarning(
          vscode.l10n.t(
            '“{0}” was done to the adapter as it was before it changed on disk, so it changes nothing now.',
            label,
          ),
        );
        return;
      }
      this.present = state;
      this.stepped.fire();
    };
    go(next)();
    this.edited.fire({ label, undo: go(earlier), redo: go(next) });
  }
}
