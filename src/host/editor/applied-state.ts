// What is applied to an adapter: what its file would hold if it were saved now, and what it holds on the disk.
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Adapter } from '../../core/adapter';
import { ReadableFile } from '../../core/files';
import { REPORT_FILE } from '../../core/output';
import { type Projection, readProjection } from '../../core/patch';

/** A new object for each edit: two are the same state only if they are one. */
export interface AppliedState {
  /** Null is the original. */
  projection: Projection | null;
  /** The content of the report beside it, where one describes this state. */
  report: string | null;
}

/** A report is some hundred kilobytes; what is far larger is none. */
const MAX_REPORT_BYTES = 20_000_000;

/** The state that the file itself is in. */
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
