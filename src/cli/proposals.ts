// A call without models: lists this machine's models for the adapter, and uses none.
import { homedir } from 'node:os';
import { basename, dirname, resolve } from 'node:path';
import { ADAPTER_FILE } from '../core/adapter-folder';
import { readTrainedOn } from '../core/adapter-config';
import { type Proposal, propose, type Proposals } from '../models/propose';
import { downloadCommand, englishTexts, explanation, reasonText, stateText } from '../models/proposal-texts';
import { MissingModel, UsageError } from './arguments';

/**
 * The same error with suggestions for the first adapter.
 * @param call as the user gave it
 */
export async function withProposals(error: MissingModel, call: string): Promise<UsageError> {
  const { message, roles, adapter, command } = error;
  const proposals = await proposalsFor(adapter).catch(() => null);
  if (proposals === null) return error;
  const best = roles.flatMap((role) => proposals[role].slice(0, 1));
  const explained = explanation(proposals, englishTexts);
  const complete = best.map(optionOf);
  const hints = [
    ...(explained === null ? [] : [`  ${explained}`]),
    ...best.flatMap(proposalLines),
    ...(complete.length === roles.length && !complete.includes(null)
      ? ['Try:', `  ${[call, ...complete].join(' ')}`]
      : []),
  ];
  return new UsageError(message, hints, command);
}

async function proposalsFor(path: string): Promise<Proposals> {
  const folder = resolve(basename(path) === ADAPTER_FILE ? dirname(path) : path);
  const trainedOn = await readTrainedOn(folder);
  return propose({ path: folder, trainedOn }, { env: process.env, home: homedir(), modelFolders: [] });
}

/** The model and why it is proposed; the command that downloads it if it is not here. */
function proposalLines(proposal: Proposal): string[] {
  const { role, name, folder, id, state } = proposal;
  const reason = reasonText(proposal, englishTexts);
  const head = `  ${role.padEnd('aligned'.length)}  `;
  if (state.kind === 'here') return [`${head}${folder!}`, `${' '.repeat(head.length)}${reason}`];
  const command = state.kind === 'pickle' ? null : downloadCommand(id);
  return [
    `${head}${name} is ${stateText(proposal, englishTexts)} (${reason})`,
    ...(command === null ? [] : [`${' '.repeat(head.length)}${command}`]),
  ];
}

/** The option that uses the model, from the hub if it is not here; null for one that neither has. */
function optionOf({ role, folder, id, state }: Proposal): string | null {
  if (state.kind === 'here') return `--${role} ${quoted(folder!)}`;
  return state.kind === 'absent' && downloadCommand(id) !== null ? `--${role} hf://${id!}` : null;
}

/** Quotes a word for a shell if needed. */
export function quoted(word: string): string {
  return /^[\w./:\\@+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
