// Problems that the user has hidden in this workspace, by code, until all are shown again.
import * as vscode from 'vscode';
import { commands } from '../common/contributions';
import { Disposable } from '../common/dispose';

const KEY = 'dismissedReports';

export class Dismissals extends Disposable {
  private readonly changed = this._register(new vscode.EventEmitter<void>());
  readonly onDidChange = this.changed.event;

  constructor(private readonly workspace: vscode.Memento) {
    super();
    const { dismissProblem, showDismissedProblems } = commands;
    this._register(vscode.commands.registerCommand(dismissProblem, (code: string) => this.add(code)));
    this._register(vscode.commands.registerCommand(showDismissedProblems, () => this.clear()));
  }

  has(code: string): boolean {
    return this.codes.includes(code);
  }

  private async add(code: string): Promise<void> {
    await this.workspace.update(KEY, [...this.codes, code]);
    this.changed.fire();
  }

  private async clear(): Promise<void> {
    await this.workspace.update(KEY, undefined);
    this.changed.fire();
  }

  private get codes(): string[] {
    return this.workspace.get<string[]>(KEY, []);
  }
}
