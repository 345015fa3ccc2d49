// The steps of Undo and Redo between applied states; VS Code keeps their order, and asks for each.
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
  /** Counts the adapters that the document was read as; edits of an earlier one are no longer gone back to. */
  private generation = 0;

  get state(): AppliedState {
    return this.present;
  }

  /** The state that was read or saved last. */
  get saved(): AppliedState {
    return this.onDisk;
  }

  get isDirty(): boolean {
    return this.present !== this.onDisk;
  }

  /** Begins with what the file holds. */
  begin(state: AppliedState): void {
    this.present = state;
    this.onDisk = state;
  }

  /** Takes up what was applied and not saved when the window was closed: no step of Undo. */
  resume(state: AppliedState): void {
    this.present = state;
  }

  markSaved(state: AppliedState): void {
    this.onDisk = state;
  }

  /** The weights are others: steps between earlier states lead nowhere. */
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
