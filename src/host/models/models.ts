// The two models of an adapter: requested once, checked at once, remembered for the next adapter on the same model.
import { homedir } from 'node:os';
import * as vscode from 'vscode';
import { type Adapter } from '../../core/adapter';
import { type Checkpoint } from '../../core/checkpoint';
import { type ReadCard } from '../../models/card';
import { propose, type Proposals } from '../../models/propose';
import { type ModelPair, SECTION } from '../common/contributions';
import { type ModelRole } from '../../page/adapter';
import { type ErrorView } from '../../page/error-view';
import { errorView } from '../common/errors';
import { type HubService, isOnHub } from './hub-service';
import { type Choice, pickModel, type Question } from './model-picker';
import { askRemedy } from './remedies';
import { setting } from '../settings/settings';
import { withProgress } from '../common/surface';

/** Criteria to find an adapter's models. */
export type ModelKey = Pick<Adapter, 'trainedOn' | 'path'>;

export class ModelPairs {
  /** For this window; settings of an untrusted workspace are not written. */
  private readonly chosen = new Map<string, Partial<ModelPair>>();

  private readonly changed = new vscode.EventEmitter<void>();
  /** Other models were chosen, at least for this window. */
  readonly onDidChange = this.changed.event;

  constructor(private readonly hub: HubService) {}

  /** The known models of an adapter; either may be missing. */
  find(adapter: ModelKey, scope: vscode.Uri): Partial<ModelPair> {
    const key = pairKey(adapter);
    const pair = this.chosen.get(key) ?? setting('pairs', scope)[key] ?? {};
    return Object.fromEntries(Object.entries(pair).map(([role, folder]) => [role, expandHome(folder)]));
  }

  async remember(adapter: Adapter, scope: vscode.Uri, pair: Partial<ModelPair>): Promise<void> {
    const key = pairKey(adapter);
    // Until the settings contain it.
    this.chosen.set(key, pair);
    this.changed.fire();
    if (!pair.base || !pair.aligned || !vscode.workspace.isTrusted) return;
    const configuration = vscode.workspace.getConfiguration(SECTION, scope);
    const target = vscode.workspace.workspaceFolders
      ? vscode.ConfigurationTarget.Workspace
      : vscode.ConfigurationTarget.Global;
    const inspected = configuration.inspect<Record<string, ModelPair>>('pairs');
    const earlier =
      target === vscode.ConfigurationTarget.Workspace ? inspected?.workspaceValue : inspected?.globalValue;
    await configuration.update('pairs', { ...earlier, [key]: pair }, target);
    this.chosen.delete(key);
  }

  /**
   * Suggestions on this machine for the adapter and its models; nothing is applied.
   * @param asksHub reads model cards from the hub as well: only on the user's request
   */
  propose({ trainedOn, path }: ModelKey, scope: vscode.Uri, asksHub = false): Promise<Proposals> {
    const modelFolders = setting('modelFolders', scope).map(expandHome);
    const search = { env: process.env, home: homedir(), modelFolders };
    let asked = 0;
    const readCard: ReadCard = (id) =>
      // The first one's source may be private; its own information is valid all the same.
      asked++ === 0 ? this.hub.card(id) : this.hub.card(id).catch(() => null);
    return propose({ trainedOn, path }, search, asksHub ? readCard : undefined);
  }

  /**
   * Asks for a model until the answer is readable.
   * @returns the folder, or both if a suggested pair was chosen; undefined if the user cancelled
   */
  async choose(question: Question): Promise<Choice | undefined> {
    const { role, pair } = question;
    const other = role === 'base' ? pair.aligned : pair.base;
    let choice = await pickModel(question);
    while (choice !== undefined) {
      const chosen = choice;
      const problem = await looking(chosen, async () =>
        'pair' in chosen
          ? ((await folderProblems(chosen.pair, this.hub))[0] ?? null)
          : // With both known, the other's folder means that they are swapped.
            this.problemWith(chosen.folder, pair[role] === undefined ? other : undefined, role),
      );
      if (problem === null) return chosen;
      const next = await askRemedy(problem);
      if (next === undefined) return undefined;
      if (next === 'another') choice = await pickModel(question);
    }
    return undefined;
  }

  private async problemWith(folder: string, other: string | undefined, role: ModelRole): Promise<ErrorView | null> {
    const model = await opened(folder, this.hub);
    const beside = other === undefined || 'message' in model ? null : await opened(other, this.hub);
    return problemOf(folder, model, beside, role);
  }
}

function foldersOf(choice: Choice): string[] {
  return 'pair' in choice ? [choice.pair.base, choice.pair.aligned] : [choice.folder];
}

/** Shows progress while it asks the hub. */
async function looking<T>(choice: Choice, look: () => Promise<T>): Promise<T> {
  const onHub = foldersOf(choice).filter(isOnHub);
  if (onHub.length === 0) return look();
  const title = vscode.l10n.t('Safe LoRA: looking at {0}', onHub.join(', '));
  return withProgress(title, look);
}

/** Opens a model as far as needed to tell it from another. */
export interface ModelSource {
  open: (given: string) => Promise<Pick<Checkpoint, 'realPath'>>;
}

type Opened = { realPath: string } | ErrorView;

async function opened(given: string, source: ModelSource): Promise<Opened> {
  try {
    return await source.open(given);
  } catch (error) {
    return errorView(error);
  }
}

/** Problems of a model for a role, given the other known one. */
function problemOf(folder: string, model: Opened, other: Opened | null, role: ModelRole): ErrorView | null {
  if ('message' in model) return model;
  if (other === null) return null;
  if ('message' in other) return other;
  if (model.realPath !== other.realPath) return null;
  const message =
    role === 'base'
      ? vscode.l10n.t('{0} is already the aligned model; the base is the model before alignment.', folder)
      : vscode.l10n.t('{0} is already the base; the aligned model is the one after alignment.', folder);
  return { code: 'wrong-input', message };
}

/** Problems of a pair's folders: one without a model, or the same model in both. */
export async function folderProblems(
  pair: ModelPair,
  source: ModelSource,
): Promise<(ErrorView & { role: ModelRole })[]> {
  const [base, aligned] = [expandHome(pair.base), expandHome(pair.aligned)];
  const models = { base: await opened(base, source), aligned: await opened(aligned, source) };
  const problems = {
    base: problemOf(base, models.base, null, 'base'),
    aligned: problemOf(aligned, models.aligned, 'message' in models.base ? null : models.base, 'aligned'),
  };
  return (['base', 'aligned'] as const).flatMap((role) => {
    const problem = problems[role];
    return problem === null ? [] : [{ role, ...problem }];
  });
}

/** Adapters on the same model share their pair; one that names no model has its own. */
function pairKey(adapter: ModelKey): string {
  return adapter.trainedOn ?? adapter.path;
}

export function expandHome(folder: string): string {
  return folder.replace(/^~(?=[\\/]|$)/, homedir());
}
