// Appends a reply's body to a file.
import { constants, open } from 'node:fs/promises';
import { unwritable } from '../core/errors';
import { type Reply } from './requests';

/**
 * @param start position of the first byte; a resumed file exists
 * @param size maximum end position
 * @returns the end position of the last byte
 * @throws the error of `tooLong` if there are more
 */
export async function append(
  path: string,
  start: number,
  size: number,
  { body }: Reply,
  tooLong: () => Error,
  onCount: (done: number) => void,
): Promise<number> {
  const writing = unwritable(path);
  // Another process writing the same keeps its bytes: only the excess is cut.
  const handle = await open(path, constants.O_RDWR | constants.O_CREAT).catch(writing);
  let done = start;
  try {
    for await (const piece of body ?? []) {
      if (done + piece.length > size) throw tooLong();
      for (let at = 0; at < piece.length;) {
        const { bytesWritten } = await handle.write(piece, at, piece.length - at, done).catch(writing);
        at += bytesWritten;
        done += bytesWritten;
      }
      onCount(done);
    }
    return done;
  } finally {
    await handle.close();
  }
}

/** The range that a reply with status 206 declares. */
export function contentRange({ headers }: Reply): { first: number; last: number; total: number } | undefined {
  const found = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers.get('content-range') ?? '');
  return found ? { first: Number(found[1]), last: Number(found[2]), total: Number(found[3]) } : undefined;
}
