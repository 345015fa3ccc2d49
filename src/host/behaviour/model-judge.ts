// Lets a language model of the editor judge the answers in memory, after the user has agreed to send them.
import * as vscode from 'vscode';
import { SafeLoraError } from '../../core/errors';
import { type ModelJudgement, type ModelOpinion, opinionIn, questionFor } from '../../evaluation/model-judge';
import { Cancelled } from '../common/errors';
import { type PickItem, showQuickPick, showWarning, withProgress } from '../common/surface';
import { type BehaviourRun } from './behaviour-run';

/** Questions under way at once: providers limit their rate. */
const PARALLEL = 4;

/** The question asks for a word; a model that explains itself is read no further. */
const MOST_REPLY = 400;

interface ModelItem extends PickItem {
  model: vscode.LanguageModelChat;
}

/** @throws Cancelled; SafeLoraError if there is no model, no answer, or the model cannot be asked */
export async function askModelToJudge(behaviour: BehaviourRun): Promise<void> {
  const answers = behaviour.harmfulAnswers();
  if (answers.length === 0) throw noAnswers();
  const model = await chooseModel();
  const send = vscode.l10n.t('Send');
  const sent = await showWarning(
    vscode.l10n.t('Send {0} answers to {1} of {2}?', answers.length, model.name, model.vendor),
    {
      modal: true,
      lines: [
        vscode.l10n.t('The harmful prompts and the answers to them leave this machine.'),
        vscode.l10n.t('Its judgements are not reproducible. They stand beside those of the phrases, and replace none.'),
      ],
    },
    send,
  );
  if (sent !== send) throw new Cancelled();
  const title = vscode.l10n.t('Safe LoRA: {0} judges {1} answers', model.name, answers.length);
  const opinions = await withProgress(title, (progress, token) => judge(model, answers, progress, token), true);
  const judgement: ModelJudgement = { model: `${model.vendor} ${model.name}`, reproducible: false, opinions };
  await behaviour.judgeByModel(judgement);
}

async function chooseModel(): Promise<vscode.LanguageModelChat> {
  const models = await vscode.lm.selectChatModels();
  if (models.length === 0) throw noModels();
  const items = models.map((model): ModelItem => ({
    label: model.name,
    description: `${model.vendor}, ${model.family} ${model.version}`,
    model,
  }));
  const title = vscode.l10n.t('Safe LoRA: Which language model judges the answers?');
  const chosen = await showQuickPick(items, { title, ignoreFocusOut: true });
  if (!chosen) throw new Cancelled();
  return chosen.model;
}

async function judge(
  model: vscode.LanguageModelChat,
  answers: ReturnType<BehaviourRun['harmfulAnswers']>,
  progress: vscode.Progress<{ message?: string; increment?: number }>,
  token: vscode.CancellationToken,
): Promise<ModelOpinion[]> {
  const opinions: ModelOpinion[] = [];
  let queue = [...answers];
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      if (token.isCancellationRequested) throw new Cancelled();
      const { set, prompt, sha256 } = next;
      const reply = await replyOf(model, questionFor(next), token).catch((error: unknown) => {
        // After a failure nothing more is sent.
        queue = [];
        throw error;
      });
      opinions.push({ set, prompt, sha256, judgement: opinionIn(reply) });
      progress.report({
        message: vscode.l10n.t('{0} of {1}', opinions.length, answers.length),
        increment: 100 / answers.length,
      });
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  return opinions;
}

async function replyOf(
  model: vscode.LanguageModelChat,
  question: string,
  token: vscode.CancellationToken,
): Promise<string> {
  try {
    const response = await model.sendRequest([vscode.LanguageModelChatMessage.User(question)], {}, token);
    let reply = '';
    for await (const part of response.text) {
      reply += part;
      if (reply.length > MOST_REPLY) break;
    }
    return reply;
  } catch (error) {
    if (token.isCancellationRequested) throw new Cancelled();
    throw modelFailed(model.name, (error as Error).message);
  }
}

function noAnswers(): SafeLoraError {
  return new SafeLoraError(
    'not-evaluated',
    vscode.l10n.t('No answer to a harmful prompt is in memory; evaluate the adapter again in this window.'),
  );
}

function noModels(): SafeLoraError {
  return new SafeLoraError(
    'wrong-input',
    vscode.l10n.t('The editor offers no language model; install an extension that provides one, and sign in there.'),
  );
}

function modelFailed(name: string, reason: string): SafeLoraError {
  return new SafeLoraError(
    'wrong-input',
    vscode.l10n.t('{0} did not answer: {1}; try again, or choose another model.', name, reason),
  );
}
