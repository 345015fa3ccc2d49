// The one engine of all editors: started with the first module, stopped some seconds after its last user.
import { join } from 'node:path';
import * as vscode from 'vscode';
import { Engine } from '../engine/pool';
import { SECTION } from './contributions';
import { Disposable } from './dispose';
import { setting } from './settings';

/** Long enough to close one editor and open the next without a new start (about 150 ms). */
const LINGER_MS = 5000;

export class EngineService extends Disposable {
  private engine: Engine | undefined;
  private users = 0;
  private stopping: NodeJS.Timeout | undefined;

  constructor(
    private readonly extensionPath: string,
    private readonly log: vscode.LogOutputChannel,
  ) {
    super();
    this._register(
      vscode.workspace.onDidChangeConfiguration((change) => {
        const affects = ['memoryBudget', 'workers'].some((name) => change.affectsConfiguration(`${SECTION}.${name}`));
        if (affects && this.users === 0) this.stop();
      }),
    );
  }

  /** The engine runs on for as long as somebody holds it. */
  hold(): vscode.Disposable {
    this.users++;
    clearTimeout(this.stopping);
    let held = true;
    return new vscode.Disposable(() => {
      if (!held) return;
      held = false;
      if (--this.users > 0) return;
      this.stopping = setTimeout(() => {
        this.stop();
      }, LINGER_MS);
    });
  }

  get(): Engine {
    const workers = setting('workers');
    this.engine ??= new Engine({
      childPath: join(this.extensionPath, 'dist', 'engine-child.js'),
      memory: setting('memoryBudget') * 2 ** 20,
      ...(workers > 0 ? { workers } : {}),
      background: true,
      onStderr: (text) => {
        this.log.warn(`engine: ${text.trimEnd()}`);
      },
    });
    return this.engine;
  }

  override dispose(): void {
    clearTimeout(this.stopping);
    this.stop();
    super.dispose();
  }

  private stop(): void {
    this.engine?.dispose();
    this.engine = undefined;
  }
}
