// The applied state of an adapter: the content if it were saved now, and the content on disk.
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Adapter } from '../../core/adapter';
import { ReadableFile } from '../../core/files';
import { REPORT_FILE } from '../../core/output';
import { type Projection, readProjection } from '../../core/patch';

/** A new object for each edit: states are equal only if they are identical. */
export interface AppliedState {
  /** Null means the original. */
  projection: Projection | null;
  /** The content of the report beside it, if one describes this state. */
  report: string | null;
}

/** A report is some hundred kilobytes; a far larger file is not one. */
const MAX_REPORT_BYTES = 20_000_000;

/** The state on disk. */
export async function stateOnDisk(adapter: Adapter): Promise<AppliedState> {
  const projection = await readProjection(adapter);
  return { projection, report: projection ? await reportBeside(adapter.path) : null };
}

async function reportBeside(folder: string): Promise<string | null> {
  const path = join(folder, REPORT_FILE);
  try {
    if (!(await lstat(path)).isFile()) return null;
    return await ReadableFile.with(path, async (file) =>
      file.size > MAX_REPORT_BYTES ? null : Buffer.from(await file.read(0, file.size)).toString('utf8'),
    );
  } catch {
    return null;
  }
}
