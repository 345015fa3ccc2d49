// Every error and notice for users: one code, one sentence with the file, the cause and the next step.
import { elided, visible, visibleJson } from './text';

/** Why a job failed: bad input or environment (exit status 1) or a failed engine (exit status 3). */
export const errorCodes = [
  'adapter-config',
  'adapter-empty',
  'adapter-layout',
  'already-projected',
  'alignment-missing',
  'changed-on-disk',
  'chat-template',
  'device-unavailable',
  'download-failed',
  'engine-failed',
  'file-access',
  'format-pickle',
  'hub-access',
  'hub-answer',
  'hub-declined',
  'hub-missing',
  'hub-offline',
  'hub-reference',
  'hub-unreachable',
  'lfs-pointer',
  'model-ambiguous',
  'model-config',
  'model-index',
  'model-missing-target',
  'model-shape',
  'model-unlisted',
  'models-unknown',
  'not-lora',
  'not-measured',
  'not-evaluated',
  'nothing-applied',
  'no-memory',
  'non-finite',
  'originals-foreign',
  'originals-missing',
  'output-exists',
  'output-overlaps',
  'overflow',
  'pair-in-use',
  'pair-unknown',
  'patch-foreign',
  'patch-format',
  'prompts',
  'provider-busy',
  'provider-package',
  'quantised',
  'read-only',
  'safetensors-format',
  'two-adapters',
  'unsaved-edits',
  'unsupported-adapter',
  'unexpected',
  'unsupported-dtype',
  'unsupported-model',
  'untrusted',
  'wrong-input',
] as const;
export type ErrorCode = (typeof errorCodes)[number];

/** Remarks in a report: something not covered, left out, or to be read with care. */
export const noticeCodes = [
  'adapter-not-covered',
  'aligned-mismatch',
  'already-projected',
  'config-differs',
  'count-capped',
  'demand-always-met',
  'files-left-out',
  'fused-weights',
  'names-not-loaded',
  'no-alignment',
  'no-refusals',
  'no-update',
  'originals-foreign',
  'orthogonal-update',
  'quantisation-left-over',
  'rank-differs',
  'revision-unconfirmed',
  'rounding-loss',
  'setting-unknown',
  'tensors-empty',
  'token-activated',
  'trained-on-base',
  'trained-on-quantised',
  'vocabulary-differs',
  'weight-missing',
] as const;
export type NoticeCode = (typeof noticeCodes)[number];

export interface Notice {
  code: NoticeCode;
  message: string;
  /** Names of the modules concerned; empty where the notice is about the adapter as a whole. */
  modules: string[];
}

/** A failure that the user can act on. The message is one line: what is wrong, in which file, what to do. */
export class SafeLoraError extends Error {
  override readonly name = 'SafeLoraError';

  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(oneLine(message), options);
  }
}

/** A message is one line that fits a screen, even if it repeats names from files. */
const MOST_MESSAGE = 2000;

/** Turns a text into one line without invisible characters. */
export function oneLine(message: string): string {
  const lines = message.split('\n').map((line) => line.trim());
  return visible(elided(lines.filter((line) => line !== '').join(' '), MOST_MESSAGE));
}

/** Maximum characters of a name or a value in a message: more than any published model's names. */
const MOST_SHOWN = 200;

/** A name or a value from a file, shortened for a message. */
export function shown(text: string): string {
  return visible(elided(text, MOST_SHOWN));
}

/** The same in quotation marks, with escapes as in JSON. */
export function quoted(text: string): string {
  return visibleJson(JSON.stringify(elided(text, MOST_SHOWN)));
}

/** Up to five names, then how many more there are. */
export function someNames(names: readonly string[]): string {
  const few = names.slice(0, 5).map(shown).join(', ');
  return names.length > 5 ? `${few} and ${names.length - 5} more` : few;
}

/** The file has changed since it was opened. */
export function changedOnDisk(path: string): SafeLoraError {
  return new SafeLoraError(
    'changed-on-disk',
    `${path}: was changed on disk after it was opened; reload it to see its current content.`,
  );
}

/** Explains a failed file operation, and what to do. */
export function fileError(path: string, cause: unknown, doing: 'read' | 'write' = 'read'): SafeLoraError {
  if (cause instanceof SafeLoraError) return cause;
  const code = (cause as NodeJS.ErrnoException).code ?? '';
  const reasons: Record<string, string> = {
    ENOENT: 'it does not exist; check the path',
    ENOTDIR: 'a part of the path is a file, not a folder; check the path',
    EISDIR: 'it is a folder where a file was expected; check the path',
    EACCES: `this user may not ${doing} it; change its permissions`,
    EPERM: `this user may not ${doing} it; change its permissions`,
    EROFS: 'it is on a read-only file system; choose another folder',
    ELOOP: 'its symbolic links form a loop; check the path',
    ENAMETOOLONG: 'its name is too long; choose a shorter one',
    EEXIST: 'another program created something there in the meantime; check it, then try again',
    ENOTEMPTY: 'another program created something there in the meantime; check it, then try again',
    ENOSPC: 'the disk is full; free some space or choose another folder',
    EDQUOT: 'the disk quota is used up; free some space or choose another folder',
    EFBIG: 'the file would be larger than this system allows; raise the limit or choose another folder',
    EMFILE: 'too many files are open; raise the limit of open files',
  };
  const reason = reasons[code] ?? `${(cause as Error).message || code}; check the disk`;
  return new SafeLoraError('file-access', `${path}: cannot ${doing} it: ${reason}.`, { cause });
}

/** For a promise's `catch`: what could not be written, and why. */
export function unwritable(path: string): (error: unknown) => never {
  return (error) => {
    throw fileError(path, error, 'write');
  };
}
