// A call without models: lists this machine's models for the adapter, and uses none.
import { homedir } from 'node:os';
import { basename, dirname, resolve } from 'node:path';
import { ADAPTER_FILE } from '../core/adapter-folder';
import { readTrainedOn } from '../core/adapter-config';
import { type ModelRole, propose, type Proposals } from '../models/propose';
import { downloadCommand, englishTexts, explanation, reasonText, stateText } from '../models/proposal-texts';
import { MissingModel, UsageError } from './arguments';

/** The same error with suggestions for the first adapter. */
export async function withProposals({ message, adapters, given }: MissingModel): Promise<UsageError> {
  const roles = (['base', 'aligned'] as const).filter((role) => !given[role]);
  const proposals = await proposalsFor(adapters[0]!).catch(() => null);
  if (proposals === null) return new UsageError(message);
  const explained = explanation(proposals, englishTexts);
  const hints = [...(explained === null ? [] : [explained]), ...hintsFor(roles, proposals)];
  return new UsageError([message, ...hints].join('; '));
}

async function proposalsFor(path: string): Promise<Proposals> {
  const folder = resolve(basename(path) === ADAPTER_FILE ? dirname(path) : path);
  const trainedOn = await readTrainedOn(folder);
  return propose({ path: folder, trainedOn }, { env: process.env, home: homedir(), modelFolders: [] });
}

function hintsFor(roles: readonly ModelRole[], proposals: Proposals): string[] {
  const best = roles.flatMap((role) => proposals[role].slice(0, 1));
  const here = best.filter(({ state }) => state.kind === 'here');
  const found = here.map((proposal) => {
    const { role, folder } = proposal;
    return `--${role} ${quoted(folder!)} (${reasonText(proposal, englishTexts)})`;
  });
  const others = best
    .filter(({ state }) => state.kind !== 'here')
    .map((proposal) => {
      const { role, name, id, state } = proposal;
      const command = state.kind === 'pickle' ? null : downloadCommand(id);
      const next = command === null ? '' : `: ${command}`;
      return `${role} ${name} (${reasonText(proposal, englishTexts)}) is ${stateText(proposal, englishTexts)}${next}`;
    });
  return [...(found.length > 0 ? [`found: ${found.join(', ')}`] : []), ...others];
}

/** Quotes the path for a shell if needed. */
function quoted(path: string): string {
  return /^[\w./:\\@+-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}
