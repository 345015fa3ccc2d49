// References to models on the hub: hf://org/name[@revision], or org/name if no folder has that name; and to files of datasets,
// hf://datasets/org/name[@revision]/file.
import { dirname } from 'node:path';
import { SafeLoraError } from '../core/errors';
import { kindOf } from '../core/files';

export interface Reference {
  /** org/name; for a dataset datasets/org/name */
  id: string;
  /** A branch, a tag, or a commit. */
  revision: string;
}

const SCHEME = 'hf://';
export const DEFAULT_REVISION = 'main';

/** The hub's rules for names (`validate_repo_id` of huggingface_hub). */
const PART = /^\w(?:[\w.-]{0,94}\w)?$/;
const ID = { test: (text: string): boolean => text.split('/').length === 2 && text.split('/').every(isPart) };
/** Git's rules for names, without characters that would change the URL. */
const REVISION = /^[\w][\w./+-]{0,254}$/;

function isPart(text: string): boolean {
  return PART.test(text) && !text.includes('--') && !text.includes('..');
}

/** A commit hash always names the same bytes. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

/**
 * @returns null for anything that can only be a path
 * @throws SafeLoraError for text that begins with hf:// and names no model
 */
export function parseReference(given: string): Reference | null {
  const hasScheme = given.startsWith(SCHEME);
  const [id = '', ...rest] = given.slice(hasScheme ? SCHEME.length : 0).split('@');
  const revision = rest.length === 0 ? DEFAULT_REVISION : rest.join('@');
  if (ID.test(id) && REVISION.test(revision) && !revision.includes('..')) return { id, revision };
  if (!hasScheme) return null;
  throw namesNoModel(given);
}

/** Prefix of datasets, at the hub and in its URLs. */
export const DATASETS = 'datasets/';

/** @throws SafeLoraError for text that names no file of a dataset */
export function datasetFileOf(given: string): { reference: Reference; file: string } {
  const match = /^hf:\/\/datasets\/([^/]+\/[^/@]+)(?:@([^/]+))?\/(.+)$/.exec(given);
  const [, id = '', revision = DEFAULT_REVISION, file = ''] = match ?? [];
  const isFile = file.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
  if (ID.test(id) && REVISION.test(revision) && !revision.includes('..') && isFile)
    return { reference: { id: DATASETS + id, revision }, file };
  throw namesNoFile(given);
}

/** The model on the hub that the user means; null for a folder, existing or missing. */
export async function referenceOf(given: string): Promise<Reference | null> {
  const reference = parseReference(given);
  if (reference === null || given.startsWith(SCHEME)) return reference;
  // A missing model in an existing folder is a mistyped path.
  const isPath = (await kindOf(given)) !== null || (await kindOf(dirname(given))) === 'folder';
  return isPath ? null : reference;
}

/** A short name for messages. */
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
