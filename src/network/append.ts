// What a reply holds, put behind what a file already has of it.
import { constants, open } from 'node:fs/promises';
import { unwritable } from '../core/errors';
import { type Reply } from './requests';

/**
 * @param start where the first byte goes; a file that is gone on with is there
 * @param size where the last one ends at the latest
 * @returns where the last one ended
 * @throws what `tooLong` makes where there are more
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
  // Another that writes the same keeps what it has written: only what is too long is cut.
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

/** What a reply with status 206 says that it holds. */
export function contentRange({ headers }: Reply): { first: number; last: number; total: number } | undefined {
  const found = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers.get('content-range') ?? '');
  return found ? { first: Number(found[1]), last: Number(found[2]), total: Number(found[3]) } : undefined;
}
