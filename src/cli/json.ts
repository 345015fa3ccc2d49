// Where --json goes: standard output, or a file that is checked before the work and never replaces anything but a report.
import { constants } from 'node:fs';
import { access, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileError, SafeLoraError } from '../core/errors';
import { kindOf, ReadableFile } from '../core/files';
import { replaceFile } from '../core/atomic';
import { reportText } from '../core/report';
import { type Terminal } from './terminal';

/** @throws SafeLoraError where the file could not be written, or holds something else than a report of this tool */
export async function checkJsonTarget(path: string | undefined): Promise<void> {
  if (path === undefined || path === '-') return;
  await access(dirname(path), constants.W_OK).catch((error: unknown) => {
    throw fileError(dirname(path), error, 'write');
  });
  const kind = await kindOf(path);
  if (kind === null) return;
  const start =
    kind === 'file' ? await ReadableFile.with(path, (file) => file.read(0, Math.min(file.size, 64))) : new Uint8Array();
  if (!/^\s*\{\s*"schema":\s*"safe-lora\//.test(Buffer.from(start).toString('utf8'))) throw notAReport(path);
}

export async function writeJson(path: string | undefined, value: object, terminal: Terminal): Promise<void> {
  if (path === undefined) return;
  if (path === '-') {
    terminal.printExactly(reportText(value));
    return;
  }
  await replaceFile(path, (temporary) => writeFile(temporary, reportText(value)));
}

function notAReport(path: string): SafeLoraError {
  return new SafeLoraError(
    'output-exists',
    `${path}: exists and is not a report of safe-lora; choose another file for --json.`,
  );
}
