// Asks for an adapter's model: suggestions first, each with its reason, then the workspace's models, then any folder.
import { basename, dirname } from 'node:path';
import * as vscode from 'vscode';
import { type Adapter } from '../../core/adapter';
import { isRepoId } from '../../models/card';
import { type Proposal, type Proposals } from '../../models/propose';
import { downloadCommand, explanation, lastPart, locationText, stateText, whyText } from '../../models/proposal-texts';
import { type ModelPair } from '../common/contributions';
import { type ModelRole } from '../../page/adapter';
import { errorView } from '../common/errors';
import { hubReference, isOnHub } from './hub-service';
import { askRemedy } from './remedies';
import { proposalTexts } from '../common/proposal-texts';
import {
  type PickItem,
  showInformation,
  showInputBox,
  showOpenDialog,
  showQuickPick,
  showWarning,
  withProgress,
} from '../common/surface';

/** The user's choice: a folder for the requested role, or a suggested pair. */
export type Choice = { folder: string } | { pair: ModelPair };

export interface Question {
  role: ModelRole;
  adapter: Adapter;
  /** Known models; with both known, the two may be swapped. */
  pair: Partial<ModelPair>;
  proposals: Proposals;
  /** Both models are requested, so that a pair can be suggested. */
  both: boolean;
  /** The suggestions, extended by model cards on the hub. */
  askHub: () => Promise<Proposals>;
}

interface ModelItem extends PickItem {
  choice?: Choice;
  /** For a choice that needs another step. */
  unusable?: Proposal;
  explains?: string;
  browses?: true;
  asksHub?: true;
  asksCard?: true;
}

/** A model's weights in the workspace, in either supported form. */
const MODEL_FILES = '**/{model.safetensors,model.safetensors.index.json}';
const MOST_MODELS = 200;

/** @returns undefined if the user cancelled */
export async function pickModel(question: Question): Promise<Choice | undefined> {
  const { role, adapter, pair } = question;
  const title =
    role === 'base'
      ? vscode.l10n.t('Base model of {0}: the pretrained one, before alignment', adapter.name)
      : vscode.l10n.t('Aligned model of {0}: the chat or instruct model it was trained on', adapter.name);
  for (;;) {
    const chosen = await ask(await itemsOf(question), title, adapter);
    if (chosen?.explains !== undefined) {
      await explain(chosen.explains, question.proposals);
    } else if (chosen?.unusable) {
      const answer = await offerDownload(chosen.unusable);
      if (answer !== 'again') return answer;
    } else if (chosen?.asksCard) {
      const proposals = await proposalsOfHub(question);
      if (proposals === undefined) return undefined;
      question = { ...question, proposals };
    } else if (chosen?.asksHub) {
      const folder = await askForReference(title);
      if (folder !== undefined) return { folder };
    } else if (chosen?.browses) {
      return browse(title, pair[role] ?? (role === 'base' ? pair.aligned : pair.base), adapter);
    } else {
      return chosen?.choice;
    }
  }
}

/** Reads the model card, and tells if it names no base. @returns undefined if the user cancelled */
async function proposalsOfHub(question: Question): Promise<Proposals | undefined> {
  const model = question.adapter.trainedOn!;
  for (;;) {
    try {
      const title = vscode.l10n.t('Safe LoRA: looking at {0}', model);
      const proposals = await withProgress(title, question.askHub);
      if (proposals.base.length === 0) {
        const none = vscode.l10n.t('The model card of {0} on the hub names no base model.', model);
        await showInformation(none, { modal: true });
      }
      return proposals;
    } catch (error) {
      const next = await askRemedy(errorView(error));
      if (next === undefined) return undefined;
      if (next === 'another') return question.proposals;
    }
  }
}

/** The list stays open until answered: a page that opens meanwhile takes the focus, and users look up the answer elsewhere. */
function ask(items: readonly ModelItem[], title: string, adapter: Adapter): Promise<ModelItem | undefined> {
  const browse: ModelItem = { icon: 'folder-opened', label: vscode.l10n.t('Browse…'), browses: true };
  const placeHolder = adapter.trainedOn
    ? vscode.l10n.t('The adapter says that it was trained on {0}', adapter.trainedOn)
    : vscode.l10n.t('A folder with config.json and safetensors files');
  const hub: ModelItem = { icon: 'cloud', label: vscode.l10n.t('A Model on the Hub…'), asksHub: true };
  return showQuickPick([...items, ...(items.length > 0 ? [separator('')] : []), browse, hub], {
    title,
    placeHolder,
    matchOnDescription: true,
    ignoreFocusOut: true,
  });
}

async function itemsOf(question: Question): Promise<ModelItem[]> {
  const { role, adapter, pair, proposals, both } = question;
  const proposed = proposals[role];
  const other = role === 'base' ? pair.aligned : pair.base;
  const isOther =
    pair[role] === undefined
      ? vscode.l10n.t('already chosen as the other model')
      : vscode.l10n.t('already chosen as the other model; choosing it swaps the two');
  const shown = new Set(proposed.map(({ folder }) => folder));
  const workspace = (await workspaceModels())
    .filter((folder) => !shown.has(folder))
    .sort((a, b) => unlikely(a, question) - unlikely(b, question))
    .map((folder): ModelItem => ({
      label: basename(folder),
      description: folder,
      ...(folder === other ? { detail: isOther } : {}),
      choice: { folder },
    }));
  const explained = explanation(proposals, proposalTexts());
  return [
    // Without a heading, which would take space from the reasons: they are truncated at the list's edge.
    ...(explained === null ? [] : [explanationItem(explained, proposals, adapter)]),
    ...(both ? pairItem(proposals) : []),
    ...proposed.map((proposal) => proposalItem(proposal, proposal.folder === other ? isOther : null)),
    ...(role === 'base' && proposed.length === 0 && isRepoId(adapter.trainedOn ?? '') ? [cardItem(adapter)] : []),
    ...section(vscode.l10n.t('in the workspace'), workspace),
  ];
}

/** Both models at once, if both are on this machine. */
function pairItem({ base: bases, aligned: aligneds }: Proposals): ModelItem[] {
  const [base, aligned] = [bases, aligneds].map((proposals) => proposals.find(({ state }) => state.kind === 'here'));
  if (!base?.folder || !aligned?.folder || base.folder === aligned.folder) return [];
  const texts = proposalTexts();
  return [
    {
      icon: 'check-all',
      label: vscode.l10n.t('Both: {0} and {1}', lastPart(base.name), lastPart(aligned.name)),
      // The shorter first, so that both are visible.
      detail: [
        vscode.l10n.t('Base: {0}.', whyText(base, texts)),
        vscode.l10n.t('Aligned: {0}.', whyText(aligned, texts)),
      ]
        .sort((a, b) => a.length - b.length)
        .join(' '),
      choice: { pair: { base: base.folder, aligned: aligned.folder } },
    },
  ];
}

function proposalItem(proposal: Proposal, isOther: string | null): ModelItem {
  const texts = proposalTexts();
  const { name, folder, state } = proposal;
  const isUsable = folder !== null && (state.kind === 'here' || state.kind === 'pickle');
  const icon = state.kind === 'absent' ? 'cloud-download' : 'warning';
  const found = stateText(proposal, texts);
  const location = locationText(proposal, texts);
  const isCached = proposal.location?.kind === 'cache';
  const inFolder = folder === null || isCached || location === null ? [] : [location];
  return {
    ...(state.kind === 'here' ? {} : { icon }),
    label: name,
    // A path in the cache says less than the revision.
    description: isCached ? `${found}, ${location!}` : folder === null ? found : `${found}: ${folder}`,
    detail: [whyText(proposal, texts), ...inFolder, ...(isOther === null ? [] : [isOther])].join(', '),
    ...(isUsable ? { choice: { folder } } : { unusable: proposal }),
  };
}

function cardItem({ trainedOn }: Adapter): ModelItem {
  const label = vscode.l10n.t('Ask the hub for the base of {0}', trainedOn!);
  return { icon: 'cloud', label, detail: vscode.l10n.t('reads only its model card'), asksCard: true };
}

function explanationItem(explained: string, { trainedOnBase }: Proposals, adapter: Adapter): ModelItem {
  const label = trainedOnBase
    ? vscode.l10n.t('{0} was trained on a base model', adapter.name)
    : vscode.l10n.t('No base model was published');
  return { icon: 'info', label, detail: explained, explains: explained };
}

async function explain(explained: string, { trainedOnBase }: Proposals): Promise<void> {
  const detail = trainedOnBase
    ? vscode.l10n.t(
        'Safe LoRA is for adapters of an aligned model, whose alignment they may weaken. An adapter of the base has none to lose: the numbers then say how closely its update follows the change that alignment would have made, and a projection does not align it.',
      )
    : vscode.l10n.t('Any checkpoint of the same architecture from before alignment can be given as the base.');
  await showInformation(explained, { modal: true, lines: [detail] });
}

/** @returns undefined if the user cancelled */
async function askForReference(title: string): Promise<string | undefined> {
  const given = await showInputBox({
    title,
    prompt: vscode.l10n.t('Fetches only the weights that the adapter changes, and asks first.'),
    placeHolder: 'org/name, hf://org/name@revision',
    validateInput: (text) =>
      hubReference(text) === null ? vscode.l10n.t('Write org/name, or hf://org/name@revision.') : null,
  });
  return given === undefined ? undefined : (hubReference(given) ?? undefined);
}

/** @returns 'again' to choose another model, undefined if the user cancelled */
async function offerDownload(proposal: Proposal): Promise<Choice | 'again' | undefined> {
  const { id, name } = proposal;
  const again = vscode.l10n.t('Choose Another');
  const copy = vscode.l10n.t('Copy Command');
  const command = downloadCommand(id);
  const detail =
    command === null
      ? vscode.l10n.t('Copy or download it again, then choose it.')
      : vscode.l10n.t(
          'Read from the hub only the weights that the adapter changes, usually a small part of the model. Or download the whole model in a terminal, then choose it here:',
        );
  const lines = command === null ? [detail] : [detail, '', command];
  const message = `${name}: ${stateText(proposal, proposalTexts())}.`;
  const read = vscode.l10n.t('Read from the Hub');
  const buttons = command === null ? [again] : [read, copy, again];
  const chosen = await showWarning(message, { modal: true, lines }, ...buttons);
  if (chosen === read) return { folder: `hf://${id!}` };
  if (chosen === copy && command !== null) await vscode.env.clipboard.writeText(command);
  return chosen === again ? 'again' : undefined;
}

async function browse(title: string, start: string | undefined, adapter: Adapter): Promise<Choice | undefined> {
  const folders = await showOpenDialog({
    title,
    openLabel: vscode.l10n.t('Choose Model Folder'),
    canSelectFiles: false,
    canSelectFolders: true,
    defaultUri: vscode.Uri.file(start === undefined || isOnHub(start) ? adapter.path : dirname(start)),
  });
  const folder = folders?.[0]?.fsPath;
  return folder === undefined ? undefined : { folder };
}

/** The adapter usually names the aligned model, which therefore is not the base. */
function unlikely(folder: string, { role, adapter, pair }: Question): number {
  const other = role === 'base' ? pair.aligned : pair.base;
  return folder === other ? 2 : Number((adapter.trainedOn?.endsWith(basename(folder)) ?? false) === (role === 'base'));
}

/** Model folders of the workspace, by name. */
async function workspaceModels(): Promise<string[]> {
  const files = await vscode.workspace.findFiles(MODEL_FILES, undefined, MOST_MODELS);
  return [...new Set(files.map((file) => dirname(file.fsPath)))].sort();
}

function section(label: string, items: ModelItem[]): ModelItem[] {
  return items.length === 0 ? [] : [separator(label), ...items];
}

function separator(label: string): ModelItem {
  return { label, kind: vscode.QuickPickItemKind.Separator };
}
