// How a model on the hub is named: hf://org/name[@revision], or org/name alone where no folder is called so; and a file of a dataset,
// hf://datasets/org/name[@revision]/file.
import { dirname } from 'node:path';
import { SafeLoraError } from '../core/errors';
import { kindOf } from '../core/files';

export interface Reference {
  /** org/name; of a dataset datasets/org/name */
  id: string;
  /** A branch, a tag, or a commit. */
  revision: string;
}

const SCHEME = 'hf://';
export const DEFAULT_REVISION = 'main';

/** As the hub allows it (`validate_repo_id` of huggingface_hub). */
const PART = /^\w(?:[\w.-]{0,94}\w)?$/;
const ID = { test: (text: string): boolean => text.split('/').length === 2 && text.split('/').every(isPart) };
/** What git allows, less what would change the address that it becomes a part of. */
const REVISION = /^[\w][\w./+-]{0,254}$/;

function isPart(text: string): boolean {
  return PART.test(text) && !text.includes('--') && !text.includes('..');
}

/** A commit's hash names the same bytes for ever. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

/**
 * @returns null for what can only be a path
 * @throws SafeLoraError for what begins with hf:// and names no model
 */
export function parseReference(given: string): Reference | null {
  const hasScheme = given.startsWith(SCHEME);
  const [id = '', ...rest] = given.slice(hasScheme ? SCHEME.length : 0).split('@');
  const revision = rest.length === 0 ? DEFAULT_REVISION : rest.join('@');
  if (ID.test(id) && REVISION.test(revision) && !revision.includes('..')) return { id, revision };
  if (!hasScheme) return null;
  throw namesNoModel(given);
}

/** What datasets have before their name, at the hub and in its addresses. */
export const DATASETS = 'datasets/';

/** @throws SafeLoraError for what names no file of a dataset */
export function datasetFileOf(given: string): { reference: Reference; file: string } {
  const match = /^hf:\/\/datasets\/([^/]+\/[^/@]+)(?:@([^/]+))?\/(.+)$/.exec(given);
  const [, id = '', revision = DEFAULT_REVISION, file = ''] = match ?? [];
  const isFile = file.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
  if (ID.test(id) && REVISION.test(revision) && !revision.includes('..') && isFile)
    return { reference: { id: DATASETS + id, revision }, file };
  throw namesNoFile(given);
}

/** What the user means: a folder that is there, or would have to be, is none of the hub's. */
export async function referenceOf(given: string): Promise<Reference | null> {
  const reference = parseReference(given);
  if (reference === null || given.startsWith(SCHEME)) return reference;
  // In a folder that is there, a model that is not is a mistyped path.
  const isPath = (await kindOf(given)) !== null || (await kindOf(dirname(given))) === 'folder';
  return isPath ? null : reference;
}

/** For people, and short. */
export function shownReference({ id, revision }: Reference): string {
  return revision === DEFAULT_REVISION || isCommit(revision) ? `${SCHEME}${id}` : `${SCHEME}${id}@${revision}`;
}

export function pinnedReference(id: string, commit: string): string {
  return `${SCHEME}${id}@${commit}`;
}

function namesNoFile(given: string): SafeLoraError {
  return new SafeLoraError(
    'hub-reference',
    `${given}: names no file of a dataset on the hub; write hf://datasets/org/name/file or hf://datasets/org/name@revision/file.`,
  );
}

function namesNoModel(given: string): SafeLoraError {
  return new SafeLoraError(
    'hub-reference',
    `${given}: names no model on the hub; write hf://org/name or hf://org/name@revision.`,
  );
}
