// Downloads one large file over an unreliable connection: received data is kept, the download resumes, and the file's checksum is verified.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { unwritable } from '../core/errors';
import { readOwnText, stampOf } from '../core/files';
import { parseObject } from '../core/objects';
import { append, contentRange } from '../network/append';
import {
  type Network,
  type Reply,
  request,
  RequestFailure,
  requireStatus,
  shownUrl,
  withRetries,
} from '../network/requests';
import { type Offer } from './feed';

/** Bytes received, of all. */
export type OnProgress = (done: number, total: number) => void;

/**
 * @param path of the partial file; an earlier run's data is resumed
 * @throws RequestFailure, SafeLoraError from the disk, or the signal's reason; only a wrong checksum discards received data
 */
export async function download(network: Network, offer: Offer, path: string, onProgress: OnProgress): Promise<void> {
  let furthest = Math.max(0, (await stampOf(path)).size);
  await withRetries(network, (advance) =>
    fetchRest(network, offer, path, (done, total) => {
      advance.add(Math.max(0, done - furthest));
      furthest = Math.max(furthest, done);
      onProgress(done, total);
    }),
  );
  await verify(network, offer, path);
}

/** Removes the partial file. */
export async function forget(path: string): Promise<void> {
  await Promise.all([path, sourcePath(path)].map((file) => rm(file, { force: true })));
}

async function fetchRest(network: Network, offer: Offer, path: string, onProgress: OnProgress): Promise<void> {
  const etag = await keptEtag(path, offer);
  const { size } = await stampOf(path);
  const kept = etag === undefined || size > offer.size ? 0 : Math.max(0, size);
  if (kept === offer.size) return;
  const headers = {
    // Ranges count the file's bytes, not those of a compressed form.
    'accept-encoding': 'identity',
    ...(etag !== undefined && kept > 0 ? { range: `bytes=${kept}-`, 'if-range': etag } : {}),
  };
  await request(network, offer.url, headers, async (reply, alive) => {
    if (reply.status === 416 || (reply.status === 206 && !continues(reply, kept, offer.size))) {
      await forget(path);
      throw new RequestFailure(shownUrl(offer.url), 'the server sent another part than the one requested', true);
    }
    requireStatus(offer.url, reply, 200, 206);
    const start = reply.status === 206 ? kept : 0;
    // The kept data is from another file.
    if (start === 0) await rm(path, { force: true });
    await rememberEtag(path, offer, reply.headers.get('etag'));
    const tooLong = (): Error => new RequestFailure(shownUrl(offer.url), 'is larger than the feed says', false);
    let counted = start;
    const done = await append(path, start, offer.size, reply, tooLong, (count) => {
      alive(count - counted);
      counted = count;
      onProgress(count, offer.size);
    });
    if (done < offer.size) throw new RequestFailure(shownUrl(offer.url), 'the connection was lost', true);
  });
}

function continues(reply: Reply, start: number, total: number): boolean {
  const range = contentRange(reply);
  return range?.first === start && range.total === total;
}

/** Beside the partial file, identifies its source: a different ETag means a different file. */
const sourcePath = (path: string): string => `${path}.json`;

/** The strong ETag of the kept data, if it can be resumed. */
async function keptEtag(path: string, { url, sha512 }: Offer): Promise<string | undefined> {
  const source = parseObject((await readOwnText(sourcePath(path))) ?? undefined);
  if (source?.url !== url || source.sha512 !== sha512) return undefined;
  return typeof source.etag === 'string' ? source.etag : undefined;
}

async function rememberEtag(path: string, { url, sha512 }: Offer, etag: string | null): Promise<void> {
  // A weak one does not guarantee the same bytes.
  if (etag === null || !/^"[\x21\x23-\x7e]*"$/.test(etag)) {
    await rm(sourcePath(path), { force: true });
    return;
  }
  await writeFile(sourcePath(path), JSON.stringify({ url, sha512, etag })).catch(unwritable(sourcePath(path)));
}

async function verify({ signal }: Network, { url, sha512 }: Offer, path: string): Promise<void> {
  const hash = createHash('sha512');
  for await (const piece of createReadStream(path, { signal })) hash.update(piece as Buffer);
  if (hash.digest('base64') === sha512) return;
  await forget(path);
  throw new RequestFailure(shownUrl(url), 'the downloaded file failed the SHA-512 check and was deleted', false);
}
