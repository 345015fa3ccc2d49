// What came from the hub, on disk: for each commit of a model its headers, and each tensor in a file of its own, made once among all
// processes, gone on with where it was broken off, held against its checksum before it is used, and the least recently used evicted
// where the whole grows too large.
//
//     hub/lock                         while somebody reserves or evicts
//     hub/uses/N                       claims: the tensors that a running job needs
//     hub/models/ORG--NAME/refs/REV    the commit that a branch or a tag was last
//     hub/models/ORG--NAME/COMMIT/     info.json, HASH.text, HASH.header, HASH.tensor; beside them .sha256 is the checksum, .part what is
//                                      unfinished, .part.sha256 what of that is on the disk, .claim in work
import { createHash } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { claim, claimInTurn, claimWhile, readClaim } from '../core/claims';
import { fileError, unwritable } from '../core/errors';
import { readOwnText, stampOf } from '../core/files';
import { isObject } from '../core/objects';
import { replaceFile, sync } from '../core/atomic';
import { Checksums, notedBytes, sealed, type Soundness, SUM, sumOf, unsealed, writeSum } from './checksums';
import { isCommit } from './reference';
import { type ModelInfo } from './client';

/** A file that is to be of one length. */
export interface CachedFile {
  path: string;
  length: number;
}

/** A file that is made where it is not there. */
export interface Making {
  path: string;
  /** What it is, for people. */
  what: string;
  /** Of the file while it is unfinished. */
  isWhole: (part: string) => Promise<boolean>;
  /** Is to fill the file that it is given, which may hold the beginning. */
  make: (part: string) => Promise<void>;
  /** Is called now and then while another process makes it. */
  waiting?: (part: string) => Promise<void>;
}

export interface CacheEvents {
  /** What was cached cannot be trusted and is to be fetched again; throws where it cannot be. */
  onUnsound?: (path: string, what: string, why: Exclude<Soundness, 'sound' | 'absent'>) => void;
}

/** Of a folder. */
interface Entry {
  path: string;
  size: number;
  /** In milliseconds since 1970. */
  used: number;
}

const TENSOR = '.tensor';
const PART = '.part';
const CLAIM = '.claim';

let uses = 0;

export class HubCache {
  private readonly root: string;
  private readonly checksums = new Checksums();

  /**
   * @param storage shared by the processes of a user
   * @param limit bytes of tensors; what running jobs need is never evicted for it
   */
  constructor(
    storage: string,
    private readonly limit: number,
    private readonly events: CacheEvents = {},
  ) {
    this.root = join(storage, 'hub');
  }

  /** Where a model's files at a commit belong. */
  folder(id: string, commit: string): string {
    return join(this.modelFolder(id), commit);
  }

  async info(id: string, commit: string): Promise<ModelInfo | null> {
    const { sizes } = (await this.unsealed(this.infoFile(id, commit), `the list of files of ${id}`)) ?? {};
    return isObject(sizes) ? { commit, sizes: new Map(Object.entries(sizes) as [string, number][]) } : null;
  }

  /** @returns null where it was never looked up */
  async commitOf(id: string, revision: string): Promise<string | null> {
    const { commit } = (await this.unsealed(this.refFile(id, revision), `the commit of ${id}@${revision}`)) ?? {};
    return typeof commit === 'string' && isCommit(commit) ? commit : null;
  }

  async keepInfo(id: string, revision: string, { commit, sizes }: ModelInfo): Promise<void> {
    const write = async (path: string, text: string): Promise<void> => {
      if ((await readOwnText(path)) === text) return;
      await makeFolder(dirname(path));
      await replaceFile(path, (temporary) => writeFile(temporary, text));
    };
    await this.alone(async () => {
      await write(this.infoFile(id, commit), sealed({ commit, sizes: Object.fromEntries(sizes) }));
      if (!isCommit(revision)) await write(this.refFile(id, revision), sealed({ commit }));
    });
  }

  /**
   * Makes a file where it is not there or is not what was cached, this process or another that is at it already.
   * @throws SafeLoraError, or the signal's reason; what was made of it then stays
   */
  async ensure({ path, what, isWhole, make, waiting }: Making, signal: AbortSignal): Promise<void> {
    const isSound = async (): Promise<boolean> => (await this.checksums.check(path)) === 'sound';
    if (await isSound()) return;
    await makeFolder(dirname(path));
    const part = path + PART;
    const isWanted = async (): Promise<boolean> => {
      await waiting?.(part);
      return !(await isSound());
    };
    const release = await claimWhile(path + CLAIM, isWanted, signal);
    if (release === null) return;
    try {
      const found = await this.checksums.check(path);
      if (found === 'sound') return;
      if (found !== 'absent') this.events.onUnsound?.(path, what, found);
      await make(part);
      await this.publish(part, path, isWhole);
    } finally {
      release();
    }
  }

  /** Bytes that are there of a file, or of its beginning. */
  async has({ path, length }: CachedFile): Promise<number> {
    if ((await stampOf(path)).size === length && (await sumOf(path)) !== null) return length;
    return Math.min(length, await notedBytes(path + PART));
  }

  /**
   * Keeps files from being evicted until what it returns is called.
   * @throws SafeLoraError where the cache cannot be written
   */
  async hold(files: readonly CachedFile[]): Promise<() => Promise<void>> {
    const folder = join(this.root, 'uses');
    await makeFolder(folder);
    const path = join(folder, `${process.pid}-${++uses}-${Date.now()}`);
    const names = files.map((file) => relative(this.root, file.path));
    const release = await this.alone(() => Promise.resolve(claim(path, { files: names }))).catch(unwritable(path));
    const now = new Date();
    // The time of use only: that of the change says that the bytes are still those that were checked.
    const touch = async (at: string): Promise<void> => utimes(at, now, (await stat(at)).mtime);
    for (const file of files) await touch(file.path).catch(() => undefined);
    return async () => {
      release();
      await this.evict(0);
    };
  }

  /** Evicts what has not been used for the longest time where these files would be too much beside it. */
  async makeRoom(files: readonly CachedFile[]): Promise<void> {
    let coming = 0;
    for (const file of files) coming += file.length - (await this.has(file));
    if (coming > 0) await this.evict(coming);
  }

  /** Bytes of the tensors that are kept of a model at a commit, finished or not. */
  async bytes(id: string, commit: string): Promise<number> {
    return sum(await tensorsIn(this.folder(id, commit)));
  }

  /** @returns false where a running job needs some of it */
  async remove(id: string, commit: string): Promise<boolean> {
    const folder = this.folder(id, commit);
    return this.alone(async () => {
      const inside = relative(this.root, folder) + sep;
      for (const name of await this.inUse()) if (name.startsWith(inside)) return false;
      await rm(folder, { recursive: true, force: true }).catch(unwritable(folder));
      const model = this.modelFolder(id);
      const left = await namesIn(model);
      if (left.every((name) => name === 'refs')) await rm(model, { recursive: true, force: true });
      return true;
    });
  }

  private async evict(coming: number): Promise<void> {
    await this.alone(async () => {
      const entries: Entry[] = [];
      for (const model of await namesIn(join(this.root, 'models')))
        for (const commit of await namesIn(join(this.root, 'models', model)))
          entries.push(...(await tensorsIn(join(this.root, 'models', model, commit))));
      let total = sum(entries) + coming;
      if (total <= this.limit) return;
      const used = await this.inUse();
      for (const { path, size } of entries.sort((a, b) => a.used - b.used)) {
        if (total <= this.limit) return;
        const name = relative(this.root, path);
        if (used.has(name.endsWith(PART) ? name.slice(0, -PART.length) : name)) continue;
        for (const file of [path, path + SUM]) await rm(file, { force: true }).catch(() => undefined);
        total -= size;
      }
    });
  }

  /** Paths in the cache that running jobs need. */
  private async inUse(): Promise<Set<string>> {
    const found = new Set<string>();
    const folder = join(this.root, 'uses');
    for (const name of await namesIn(folder)) {
      const content = readClaim(join(folder, name));
      if (content === null) await rm(join(folder, name), { force: true });
      else if (Array.isArray(content.files)) for (const file of content.files) found.add(String(file));
    }
    return found;
  }

  /** Between looking what is used and removing what is not, nobody may begin to use it. */
  private async alone<T>(action: () => Promise<T>): Promise<T> {
    await makeFolder(this.root);
    const release = await claimInTurn(join(this.root, 'lock'));
    try {
      return await action();
    } finally {
      release();
    }
  }

  /** Of a small file; null where there is none that can be trusted. */
  private async unsealed(path: string, what: string): Promise<Record<string, unknown> | null> {
    const text = await readOwnText(path);
    if (text === null) return null;
    const found = unsealed(text);
    if (typeof found !== 'string') return found;
    this.events.onUnsound?.(path, what, found);
    return null;
  }

  /** Puts a finished file under its name: after a crash there is a whole one under it or none. */
  private async publish(part: string, path: string, isWhole: Making['isWhole']): Promise<void> {
    try {
      await sync(part);
      if (!(await isWhole(part))) throw new Error('it has changed in the meantime; run it again');
      await writeSum(path, part);
      await rename(part, path);
      await rm(part + SUM, { force: true });
    } catch (error) {
      // A process whose claim was taken for void may have done the same, with the same bytes.
      if ((await this.checksums.check(path)) !== 'sound') throw fileError(part, error, 'write');
    }
  }

  private modelFolder(id: string): string {
    return join(this.root, 'models', id.replaceAll('/', '--'));
  }

  private infoFile(id: string, commit: string): string {
    return join(this.folder(id, commit), 'info.json');
  }

  private refFile(id: string, revision: string): string {
    return join(this.modelFolder(id), 'refs', encodeURIComponent(revision));
  }
}

/** A file's name in the cache: what it is of may hold any sign. */
export function cacheName(kind: 'text' | 'header' | 'tensor', ...of: readonly (string | number)[]): string {
  return `${createHash('sha256').update(of.join('\0')).digest('hex').slice(0, 40)}.${kind}`;
}

async function tensorsIn(folder: string): Promise<Entry[]> {
  const names = (await namesIn(folder)).filter((name) => name.endsWith(TENSOR) || name.endsWith(TENSOR + PART));
  const entries = await Promise.all(
    names.map(async (name): Promise<Entry[]> => {
      const path = join(folder, name);
      return stat(path).then(
        ({ size, atimeMs, mtimeMs }) => [{ path, size, used: Math.max(atimeMs, mtimeMs) }],
        () => [],
      );
    }),
  );
  return entries.flat();
}

function sum(entries: readonly Entry[]): number {
  return entries.reduce((total, { size }) => total + size, 0);
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}

async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true }).catch(unwritable(folder));
}
