// The questions before an evaluation: which prompts, and at how many points, each with about how long it takes.
import { basename, dirname } from 'node:path';
import * as vscode from 'vscode';
import { type Adapter } from '../../core/adapter';
import { type Checkpoint } from '../../core/checkpoint';
import { metrics, type Metric } from '../../evaluation/judge';
import { AUTO_POINTS, parsePoints, type PointRequest } from '../../evaluation/points';
import { type PromptFile, type PromptSet, type Role } from '../../evaluation/prompts';
import { readArchitecture } from '../../llm/architecture';
import { estimateSeconds } from '../../work/estimate';
import { readSets, samplePrompts, USUAL_TOKENS } from '../../work/evaluation-prompts';
import { type LanguageServices } from '../../work/services';
import { Cancelled } from '../common/errors';
import { type PickItem, showInputBox, showOpenDialog, showQuickPick, showQuickPickMany } from '../common/surface';
import { type EvaluationRequest } from '../status/evaluations';
import { findPrompts, type FoundPrompts, lookInto } from './prompt-files';

/** Points that always have answers: the aligned model, the adapter and the selection. */
const FIXED_POINTS = 3;

/** Few enough to answer at every one. */
const MOST_EVERY = 64;

export interface Asked {
  adapter: Adapter;
  aligned: Checkpoint;
  /** The last request for this adapter. */
  earlier: EvaluationRequest | null;
  services: LanguageServices;
  /** How much longer evaluations take here than is estimated. */
  slower: number;
}

interface PromptItem extends PickItem {
  files?: readonly PromptFile[];
  found?: FoundPrompts;
  other?: 'several' | 'browse' | 'hub';
}

/** @throws Cancelled; SafeLoraError if the prompts or the model cannot be used */
export async function askForEvaluation(asked: Asked): Promise<{ request: EvaluationRequest; seconds: number }> {
  const prompts = await askForPrompts(asked);
  const sets = await readSets(prompts, [], asked.aligned, asked.services);
  const points = await askForPoints(asked, sets);
  return { request: { prompts, ...points }, seconds: estimateOf(asked, sets, points) };
}

/** @returns about how many seconds a request takes */
export function estimateOf(
  { adapter, aligned, slower }: Pick<Asked, 'adapter' | 'aligned' | 'slower'>,
  sets: readonly PromptSet[],
  { points, scoreOnly }: Pick<EvaluationRequest, 'points' | 'scoreOnly'>,
): number {
  const architecture = readArchitecture(aligned.config, aligned.path);
  const counts = adapter.modules.length + 1;
  const answered = scoreOnly
    ? 1
    : 'auto' in points
      ? FIXED_POINTS + AUTO_POINTS
      : FIXED_POINTS + points.counts.length + points.thresholds.length;
  const maxTokens = Math.min(USUAL_TOKENS, architecture.positions / 2);
  const scored = counts + 1;
  return estimateSeconds({ architecture, sets, scored, answered: Math.min(answered, scored), maxTokens }, slower);
}

/** “about 40 s”, “about 3 min” */
export function aboutText(seconds: number): string {
  if (seconds < 90) return vscode.l10n.t('about {0} s', Math.max(5, Math.ceil(seconds / 5) * 5));
  if (seconds < 90 * 60) return vscode.l10n.t('about {0} min', Math.ceil(seconds / 60));
  return vscode.l10n.t('about {0} h', Math.ceil(seconds / 3600));
}

async function askForPrompts({ aligned, earlier }: Asked): Promise<PromptFile[]> {
  const title = vscode.l10n.t('Safe LoRA: Evaluate with which prompts?');
  const found = await findPrompts();
  const ofSample = (await samplePrompts(aligned)) !== null;
  const own: PromptItem[] = [
    ...(ofSample ? [{ icon: 'beaker', label: vscode.l10n.t('The sample’s prompts'), files: [] }] : []),
    ...(earlier && earlier.prompts.length > 0
      ? [{ icon: 'history', label: vscode.l10n.t('As last time'), description: namesOf(earlier.prompts), files: earlier.prompts }]
      : []),
  ]; // prettier-ignore
  const files = found.map(itemOf);
  const others: PromptItem[] = [
    ...(found.length > 1
      ? [{ icon: 'checklist', label: vscode.l10n.t('Several of these files…'), other: 'several' as const }]
      : []),
    { icon: 'folder-opened', label: vscode.l10n.t('Browse…'), other: 'browse' },
    { icon: 'cloud-download', label: vscode.l10n.t('A file of a dataset on the hub…'), other: 'hub' },
  ];
  const chosen = await showQuickPick([...own, ...files, ...others], {
    title,
    placeHolder:
      own.length + files.length > 0
        ? vscode.l10n.t('Harmful prompts, harmless ones, or a task with references')
        : vscode.l10n.t('No file of this workspace looks like prompts; sets such as AdvBench or XSTest are on the hub'),
    ignoreFocusOut: true,
    matchOnDescription: true,
  });
  if (!chosen) throw new Cancelled();
  if (chosen.files) return [...chosen.files];
  if (chosen.found) return [await completed(chosen.found)];
  if (chosen.other === 'several') return severalOf(title, files);
  return chosen.other === 'hub' ? [await fromHub(title)] : fromDialog(title);
}

function itemOf(found: FoundPrompts): PromptItem {
  const { path } = found.file;
  const folder = vscode.workspace.asRelativePath(vscode.Uri.file(dirname(path)));
  return {
    icon: 'list-unordered',
    label: basename(path),
    description: folder === dirname(path) ? '' : folder,
    detail: contentText(found),
    found,
  };
}

/** “48 harmful, 52 utility prompts” */
function contentText({ sets, lacks }: FoundPrompts): string {
  const count = (role: Role): number =>
    sets.filter((set) => set.role === role).reduce((sum, { prompts }) => sum + prompts.length, 0);
  const total = sets.reduce((sum, { prompts }) => sum + prompts.length, 0);
  if (lacks === 'role') return vscode.l10n.t('{0}; you are asked whether harmful or harmless', total);
  if (lacks === 'metric') return vscode.l10n.t('{0} with references', total);
  return [
    ...(count('harmful') > 0 ? [vscode.l10n.t('{0} harmful', count('harmful'))] : []),
    ...(count('harmless') > 0 ? [vscode.l10n.t('{0} harmless', count('harmless'))] : []),
    ...(count('utility') > 0 ? [vscode.l10n.t('{0} for utility', count('utility'))] : []),
  ].join(', ');
}

async function severalOf(title: string, items: readonly PromptItem[]): Promise<PromptFile[]> {
  const chosen = await showQuickPickMany(items, { title, ignoreFocusOut: true });
  if (!chosen || chosen.length === 0) throw new Cancelled();
  const files: PromptFile[] = [];
  for (const { found } of chosen) files.push(await completed(found!));
  return files;
}

async function fromDialog(title: string): Promise<PromptFile[]> {
  const uris = await showOpenDialog({
    title,
    openLabel: vscode.l10n.t('Use These Prompts'),
    canSelectMany: true,
    filters: { [vscode.l10n.t('Prompts')]: ['jsonl', 'ndjson', 'json', 'csv', 'tsv', 'yaml', 'yml', 'txt'] },
  });
  if (!uris || uris.length === 0) throw new Cancelled();
  const files: PromptFile[] = [];
  for (const { fsPath } of uris) {
    const found = await lookInto(fsPath);
    // The evaluation says what is wrong with a file without prompts.
    files.push(found ? await completed(found) : { path: fsPath, role: null, metric: null });
  }
  return files;
}

/** Naming the file is the consent to download it. */
async function fromHub(title: string): Promise<PromptFile> {
  const path = await showInputBox({
    title,
    prompt: vscode.l10n.t(
      'Such as {0}. The file is downloaded and cached; nothing else is sent.',
      'hf://datasets/JailbreakBench/JBB-Behaviors/data/harmful-behaviors.csv',
    ),
    value: 'hf://datasets/',
    valueSelection: [14, 14],
    validateInput: (text) =>
      /^hf:\/\/datasets\/[^/\s]+\/[^/\s]+\/\S+$/.test(text.trim())
        ? null
        : vscode.l10n.t('hf://datasets/organisation/name/file'),
  });
  if (path === undefined) throw new Cancelled();
  return askForRole({ path: path.trim(), role: null, metric: null }, true);
}

async function completed({ file, lacks }: FoundPrompts): Promise<PromptFile> {
  if (lacks === 'role') return askForRole(file, false);
  return lacks === 'metric' ? { ...file, role: 'utility', metric: await askForMetric(file.path) } : file;
}

/** @param mayKnow the file may name the role itself */
async function askForRole(file: PromptFile, mayKnow: boolean): Promise<PromptFile> {
  const items: (PickItem & { role: Role | null })[] = [
    ...(mayKnow
      ? [{ label: vscode.l10n.t('As the file says'), description: vscode.l10n.t('a field, a label or its name'), role: null }]
      : []),
    { label: vscode.l10n.t('Harmful'), description: vscode.l10n.t('refusing them is right'), role: 'harmful' },
    { label: vscode.l10n.t('Harmless'), description: vscode.l10n.t('refusing them is over-refusal'), role: 'harmless' },
    { label: vscode.l10n.t('Utility'), description: vscode.l10n.t('the task, with references'), role: 'utility' },
  ]; // prettier-ignore
  const title = vscode.l10n.t('What are the prompts of {0}?', basename(file.path));
  const chosen = await showQuickPick(items, { title, ignoreFocusOut: true });
  if (!chosen) throw new Cancelled();
  const { role } = chosen;
  return { ...file, role, metric: role === 'utility' ? await askForMetric(file.path) : null };
}

async function askForMetric(path: string): Promise<Metric> {
  const texts: Record<Metric, string> = {
    exact: vscode.l10n.t('answers that are exactly the reference'),
    contains: vscode.l10n.t('answers that contain the reference'),
    rouge1: vscode.l10n.t('ROUGE-1 F1 against the reference, mean'),
    likelihood: vscode.l10n.t('log-probability of the reference; no answers are generated'),
  };
  const items = metrics.map((metric) => ({ label: metric, description: texts[metric], metric }));
  const title = vscode.l10n.t('How are answers held against the references of {0}?', basename(path));
  const chosen = await showQuickPick(items, { title, ignoreFocusOut: true });
  if (!chosen) throw new Cancelled();
  return chosen.metric;
}

interface PointsItem extends PickItem {
  points: PointRequest;
  scoreOnly: boolean;
}

async function askForPoints(
  asked: Asked,
  sets: readonly PromptSet[],
): Promise<Pick<EvaluationRequest, 'points' | 'scoreOnly'>> {
  const modules = asked.adapter.modules.length;
  const every = { counts: Array.from({ length: modules + 1 }, (_, count) => count), thresholds: [] };
  const item = (label: string, detail: string, points: PointRequest, scoreOnly = false): PointsItem => ({
    label,
    detail,
    description: aboutText(estimateOf(asked, sets, { points, scoreOnly })),
    points,
    scoreOnly,
  });
  const items = [
    item(
      vscode.l10n.t('Curve and answers'),
      vscode.l10n.t('Answers at the ends, at your selection, and where the refusal score changes most'),
      { auto: true },
    ),
    item(
      vscode.l10n.t('Refusal score only'),
      vscode.l10n.t('At every number of modules, without answers: quick, and no attack success'),
      { auto: true },
      true,
    ),
    ...(modules <= MOST_EVERY
      ? [item(vscode.l10n.t('Answers at every number of modules'), vscode.l10n.t('From none to all {0}', modules), every)]
      : []),
  ]; // prettier-ignore
  const own: PickItem = { label: vscode.l10n.t('Choose the points…') };
  const total = sets.reduce((sum, { prompts }) => sum + prompts.length, 0);
  const chosen = await showQuickPick<PickItem>([...items, own], {
    title: vscode.l10n.t('Safe LoRA: Evaluate {0} on {1} prompts', asked.adapter.name, total),
    placeHolder: vscode.l10n.t('Estimated times, for long answers. You can cancel and go on later.'),
    ignoreFocusOut: true,
  }); // prettier-ignore
  if (!chosen) throw new Cancelled();
  if (chosen !== own) {
    const { points, scoreOnly } = chosen as PointsItem;
    return { points, scoreOnly };
  }
  return { points: await askForList(), scoreOnly: false };
}

async function askForList(): Promise<PointRequest> {
  const text = await showInputBox({
    title: vscode.l10n.t('Safe LoRA: Points with answers'),
    prompt: vscode.l10n.t('Numbers of projected modules, such as 0,4,8, or thresholds, such as tau:0.2,0.35'),
    validateInput: (given) => (parsePoints(given.trim()) ? null : vscode.l10n.t('such as 0,4,8 or tau:0.2,0.35')),
  });
  const points = text === undefined ? null : parsePoints(text.trim());
  if (!points) throw new Cancelled();
  return points;
}

function namesOf(files: readonly PromptFile[]): string {
  return files.map(({ path }) => basename(path)).join(', ');
}
