// Targets of --json and --html: standard output, or a file that is checked before the work; only a report may be replaced.
import { constants } from 'node:fs';
import { access, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileError, SafeLoraError } from '../core/errors';
import { kindOf, ReadableFile } from '../core/files';
import { replaceFile } from '../core/atomic';
import { reportText } from '../core/report';
import { htmlPage, PAGE_START, type PageContent } from '../html/page';
import { type Terminal } from './terminal';

/** @throws SafeLoraError if the file is not writable, or has other content than a report of this tool */
export async function checkJsonTarget(path: string | undefined): Promise<void> {
  if (path !== '-') await checkTarget(path, '--json', /^\s*\{\s*"schema":\s*"safe-lora\//);
}

/** @throws SafeLoraError if the file is not writable, or has other content than a page of this tool */
export async function checkHtmlTarget(path: string | undefined): Promise<void> {
  await checkTarget(path, '--html', new RegExp(`^${PAGE_START}`));
}

/** @param start pattern for the beginning of a replaceable file */
export async function checkTarget(path: string | undefined, option: string, start: RegExp): Promise<void> {
  if (path === undefined) return;
  await access(dirname(path), constants.W_OK).catch((error: unknown) => {
    throw fileError(dirname(path), error, 'write');
  });
  const kind = await kindOf(path);
  if (kind === null) return;
  const bytes =
    kind === 'file' ? await ReadableFile.with(path, (file) => file.read(0, Math.min(file.size, 64))) : new Uint8Array();
  if (!start.test(Buffer.from(bytes).toString('utf8'))) throw notOurs(path, option);
}

export async function writeJson(path: string | undefined, value: object, terminal: Terminal): Promise<void> {
  if (path === undefined) return;
  if (path === '-') {
    terminal.printExactly(reportText(value));
    return;
  }
  await replaceFile(path, (temporary) => writeFile(temporary, reportText(value)));
}

export async function writeHtml(path: string | undefined, contents: readonly PageContent[]): Promise<void> {
  if (path === undefined || contents.length === 0) return;
  await replaceFile(path, (temporary) => writeFile(temporary, htmlPage(contents)));
}

function notOurs(path: string, option: string): SafeLoraError {
  return new SafeLoraError(
    'output-exists',
    `${path}: exists and was not written by safe-lora; choose another file for ${option}.`,
  );
}
