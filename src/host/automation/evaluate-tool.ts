// The language model tool that measures behaviour: figures only, after the user has agreed to its prompts and its time.
import { isAbsolute, join } from 'node:path';
import * as vscode from 'vscode';
import { parsePoints, type PointRequest } from '../../evaluation/points';
import { type PromptFile, promptFileOf, type PromptSet } from '../../evaluation/prompts';
import { type EvaluationReport } from '../../evaluation/report';
import { readSets } from '../../work/evaluation-prompts';
import { type LanguageServices } from '../../work/services';
import { aboutText, estimateOf } from '../behaviour/ask';
import { modelsUnknownNow } from '../behaviour/behaviour-run';
import { Cancelled } from '../common/errors';
import { type AdapterDocument } from '../editor/document';
import { type Inspector } from '../editor/inspector';
import { isOnHub, type HubService } from '../models/hub-service';
import { type EvaluationRequest } from '../status/evaluations';
import { type Announcement } from '../common/surface';
import { compactEvaluation } from './compact-evaluation';
import { wrongInput } from './wrong-input';

export interface EvaluateInput {
  adapter?: unknown;
  prompts?: unknown;
  points?: unknown;
}

export class EvaluateTool {
  constructor(
    private readonly inspector: Inspector,
    private readonly services: LanguageServices,
    private readonly hub: HubService,
  ) {}

  /** Names the prompts and the time, for the user's consent. */
  announce(folder: vscode.Uri, name: string, input: EvaluateInput): Promise<Announcement> {
    return this.inspector.withDocument(folder, async (document) => {
      const request = await this.requestOf(document, input);
      const aligned = await this.services.models.open(alignedOf(document));
      const sets = await readSets(request.prompts, [], aligned, this.services);
      const seconds = estimateOf({ adapter: document.adapter, aligned, slower: 1 }, sets, request);
      return {
        message: vscode.l10n.t('Evaluating {0}', name),
        question: {
          title: vscode.l10n.t('Evaluate {0}?', name),
          paragraphs: [
            vscode.l10n.t('Runs {0} on this machine with these prompts: {1}.', aligned.name, setsText(sets)),
            ...request.prompts
              .filter(({ path }) => isOnHub(path))
              .map(({ path }) => vscode.l10n.t('{0} is downloaded.', path)),
            vscode.l10n.t(
              'It takes {0}. The figures go to the language model, the answers do not.',
              aboutText(seconds),
            ),
          ],
        },
      };
    });
  }

  answer(folder: vscode.Uri, name: string, input: EvaluateInput, token: vscode.CancellationToken): Promise<object> {
    return this.inspector.withDocument(folder, async (document) => {
      const { behaviour } = document;
      const request = await this.requestOf(document, input);
      const { refuse, refuseToRun } = this.hub;
      if (token.isCancellationRequested) throw new Cancelled();
      const listening = token.onCancellationRequested(() => void behaviour.stop());
      try {
        await behaviour.evaluate(request, { agree: refuse, agreeToRun: refuseToRun });
      } finally {
        listening.dispose();
      }
      if (behaviour.failure !== undefined) throw behaviour.failure as Error;
      if (behaviour.view().state !== 'done') throw new Cancelled();
      const report: EvaluationReport = behaviour.report();
      return compactEvaluation(name, report);
    });
  }

  /** @throws SafeLoraError for input that is no request */
  private async requestOf(
    { behaviour, uri }: AdapterDocument,
    { prompts, points }: EvaluateInput,
  ): Promise<EvaluationRequest> {
    await behaviour.recall();
    const earlier = behaviour.lastRequest;
    return {
      prompts: prompts === undefined ? (earlier?.prompts ?? []) : promptFiles(prompts, uri),
      points: pointsIn(points) ?? { auto: true },
      scoreOnly: false,
    };
  }
}

function alignedOf({ measuring, adapter }: AdapterDocument): string {
  const { aligned } = measuring.models;
  if (aligned) return aligned;
  throw modelsUnknownNow(adapter.path);
}

/** “48 harmful (harmful), 52 utility (utility)” */
function setsText(sets: readonly PromptSet[]): string {
  return sets.map(({ name, role, prompts }) => `${prompts.length} ${role} (${name})`).join(', ');
}

function promptFiles(input: unknown, adapter: vscode.Uri): PromptFile[] {
  if (
    !Array.isArray(input) ||
    input.length === 0 ||
    !input.every((one) => typeof one === 'string' && one.trim() !== '')
  )
    throw wrongInput(vscode.l10n.t('prompts: {0} is not a list of files; give one.', JSON.stringify(input)));
  const beside = (vscode.workspace.getWorkspaceFolder(adapter) ?? vscode.workspace.workspaceFolders?.[0])?.uri.fsPath;
  return (input as string[]).map((given) => {
    const file = promptFileOf(given.trim());
    return isOnHub(file.path) || isAbsolute(file.path) ? file : { ...file, path: join(beside ?? '', file.path) };
  });
}

/** Undefined without points. */
function pointsIn(input: unknown): PointRequest | undefined {
  if (input === undefined) return undefined;
  const points = typeof input === 'string' ? parsePoints(input.trim()) : null;
  if (points) return points;
  throw wrongInput(
    vscode.l10n.t('points: {0} is not a list of points, such as 0,4,8 or tau:0.2,0.35.', JSON.stringify(input)),
  );
}
