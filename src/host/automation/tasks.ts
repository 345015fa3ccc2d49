// The command line as tasks: one to measure each adapter with known models, and those defined in tasks.json.
import { isAbsolute, join } from 'node:path';
import * as vscode from 'vscode';
import { CONFIG_FILE, readTrainedOn } from '../../core/adapter-config';
import { type WorkspaceAdapters } from '../status/adapters';
import { type ModelPair, PROBLEM_MATCHER, TASK_TYPE } from '../common/contributions';
import { Disposable } from '../common/dispose';
import { errorView, modelsUnknown } from '../common/errors';
import { isOnHub } from '../models/hub-service';
import { expandHome, type ModelPairs } from '../models/models';
import { commandLine, type TaskDefinition } from './task-arguments';
import { plain } from '../common/surface';

const SOURCE = 'Safe LoRA';
/** A terminal that closes with its last line gets no problem matching. */
const UNTIL_READ_MS = 200;

export class AdapterTasks extends Disposable implements vscode.TaskProvider {
  private readonly cli: string;

  constructor(
    private readonly adapters: WorkspaceAdapters,
    private readonly models: ModelPairs,
    extensionPath: string,
    /** The editor's storage of the CUDA provider; tasks share it. */
    private readonly storage: string,
  ) {
    super();
    this.cli = join(extensionPath, 'dist', 'cli.js');
    this._register(vscode.tasks.registerTaskProvider(TASK_TYPE, this));
  }

  async provideTasks(): Promise<vscode.Task[]> {
    const found = await Promise.all((await this.adapters.list()).map((folder) => this.inspectTask(folder)));
    return found.filter((task) => task !== undefined);
  }

  async resolveTask(task: vscode.Task): Promise<vscode.Task> {
    const definition = task.definition as TaskDefinition;
    const scope = typeof task.scope === 'object' ? task.scope : vscode.workspace.workspaceFolders?.[0];
    const execution = await this.execution(definition, scope).catch((error: unknown) =>
      failing(errorView(error).message),
    );
    return this.task(definition, task.scope ?? vscode.TaskScope.Workspace, task.name, execution);
  }

  /** Undefined if its models are unknown. */
  private async inspectTask(folder: vscode.Uri): Promise<vscode.Task | undefined> {
    const scope = vscode.workspace.getWorkspaceFolder(folder);
    if (!scope) return undefined;
    const path = folder.fsPath;
    const trainedOn = await readTrainedOn(path).catch(() => undefined);
    if (trainedOn === undefined) return undefined;
    const pair = this.models.find({ trainedOn, path }, folder);
    if (!isWhole(pair)) return undefined;
    const adapter = vscode.workspace.asRelativePath(folder, false);
    const definition: TaskDefinition = { type: TASK_TYPE, command: 'inspect', adapter };
    const name = plain(vscode.l10n.t('measure {0}', adapter));
    return this.task(definition, scope, name, this.process(definition, path, pair, scope));
  }

  private async execution(
    definition: TaskDefinition,
    scope: vscode.WorkspaceFolder | undefined,
  ): Promise<vscode.ProcessExecution> {
    const adapter = absolute(definition.adapter, scope);
    const pair = await this.pairOf(definition, adapter, scope);
    return this.process(definition, adapter, pair, scope);
  }

  /** Prefers the definition's own models to those of the settings. */
  private async pairOf(
    { base, aligned }: TaskDefinition,
    adapter: string,
    scope: vscode.WorkspaceFolder | undefined,
  ): Promise<ModelPair> {
    const given = {
      ...(base === undefined ? {} : { base: absolute(base, scope) }),
      ...(aligned === undefined ? {} : { aligned: absolute(aligned, scope) }),
    };
    if (isWhole(given)) return given;
    const trainedOn = await readTrainedOn(adapter);
    const pair = { ...this.models.find({ trainedOn, path: adapter }, vscode.Uri.file(adapter)), ...given };
    if (!isWhole(pair)) {
      const proposals = await this.models.propose({ trainedOn, path: adapter }, vscode.Uri.file(adapter));
      throw modelsUnknown(join(adapter, CONFIG_FILE), trainedOn, pair, proposals);
    }
    return pair;
  }

  private process(
    definition: TaskDefinition,
    adapter: string,
    pair: ModelPair,
    scope: vscode.WorkspaceFolder | undefined,
  ): vscode.ProcessExecution {
    // Nobody can consent to downloads: only cached weights are used.
    const args = [this.cli, ...commandLine(definition, adapter, pair), '--offline'];
    return new vscode.ProcessExecution(process.execPath, args, {
      ...(scope ? { cwd: scope.uri.fsPath } : {}),
      // On the desktop the extension host's executable is Electron.
      env: { ELECTRON_RUN_AS_NODE: '1', SAFE_LORA_STORAGE: this.storage },
    });
  }

  private task(
    definition: TaskDefinition,
    scope: vscode.WorkspaceFolder | vscode.TaskScope,
    name: string,
    execution: vscode.ProcessExecution | vscode.CustomExecution,
  ): vscode.Task {
    return new vscode.Task(definition, scope, name, SOURCE, execution, PROBLEM_MATCHER);
  }
}

function isWhole(pair: Partial<ModelPair>): pair is ModelPair {
  return Boolean(pair.base) && Boolean(pair.aligned);
}

/** A path of a definition, where VS Code does not replace variables. */
function absolute(path: string, scope: vscode.WorkspaceFolder | undefined): string {
  const folder = scope?.uri.fsPath ?? '';
  const expanded = expandHome(path.replaceAll('${workspaceFolder}', () => folder));
  // VS Code replaces other variables in the process's arguments.
  return isAbsolute(expanded) || expanded.startsWith('${') || isOnHub(expanded) ? expanded : join(folder, expanded);
}

/** A task that cannot run prints the reason in the format of the problem matcher. */
function failing(message: string): vscode.CustomExecution {
  return new vscode.CustomExecution(() => {
    const written = new vscode.EventEmitter<string>();
    const closed = new vscode.EventEmitter<number>();
    return Promise.resolve({
      onDidWrite: written.event,
      onDidClose: closed.event,
      open: () => {
        written.fire(`safe-lora: ${plain(message)}\r\n`);
        setTimeout(() => {
          closed.fire(1);
        }, UNTIL_READ_MS);
      },
      close: () => undefined,
    });
  });
}
