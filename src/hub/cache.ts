// The on-disk cache of the hub: headers per commit of a model, and each tensor in a file of its own. One process fetches a file while
// others wait; interrupted downloads resume; checksums are checked before use; the least recently used tensors are evicted when the cache
// grows too large.
//
//     hub/lock                         during reservation or eviction
//     hub/uses/N                       claims: the tensors that a running job needs
//     hub/models/ORG--NAME/refs/REV    the last known commit of a branch or tag
//     hub/models/ORG--NAME/COMMIT/     info.json, HASH.text, HASH.header, HASH.tensor; beside them .sha256 with the checksum,
//                                      .part for unfinished data, .part.sha256 with its progress, .claim during work
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

/** A file with a known length. */
export interface CachedFile {
  path: string;
  length: number;
}

/** A file to create if it is missing. */
export interface Making {
  path: string;
  /** Its name in messages. */
  what: string;
  /** Of the unfinished file. */
  isWhole: (part: string) => Promise<boolean>;
  /** Fills the given file, which may already contain the beginning. */
  make: (part: string) => Promise<void>;
  /** Is called periodically while another process creates it. */
  waiting?: (part: string) => Promise<void>;
}

export interface CacheEvents {
  /** Reports cached data that is damaged and must be fetched again; throws if it cannot be. */
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
   * @param limit bytes of tensors; tensors of running jobs are never evicted
   */
  constructor(
    storage: string,
    private readonly limit: number,
    private readonly events: CacheEvents = {},
  ) {
    this.root = join(storage, 'hub');
  }

  /** The folder for a model's files at a commit. */
  folder(id: string, commit: string): string {
    return join(this.modelFolder(id), commit);
  }

  async info(id: string, commit: string): Promise<ModelInfo | null> {
    const { sizes } = (await this.unsealed(this.infoFile(id, commit), `the list of files of ${id}`)) ?? {};
    return isObject(sizes) ? { commit, sizes: new Map(Object.entries(sizes) as [string, number][]) } : null;
  }

  /** @returns null if it was never resolved */
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
   * Creates a file that is missing or damaged, in this process or another that already does.
   * @throws SafeLoraError, or the signal's reason; partial data is then kept
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

  /** Local bytes of a file, or of its beginning. */
  async has({ path, length }: CachedFile): Promise<number> {
    if ((await stampOf(path)).size === length && (await sumOf(path)) !== null) return length;
    return Math.min(length, await notedBytes(path + PART));
  }

  /**
   * Protects files from eviction until the returned function is called.
   * @throws SafeLoraError where the cache cannot be written
   */
  async hold(files: readonly CachedFile[]): Promise<() => Promise<void>> {
    const folder = join(this.root, 'uses');
    await makeFolder(folder);
    const path = join(folder, `${process.pid}-${++uses}-${Date.now()}`);
    const names = files.map((file) => relative(this.root, file.path));
    const release = await this.alone(() => Promise.resolve(claim(path, { files: names }))).catch(unwritable(path));
    const now = new Date();
    // Only the access time: the modification time shows that the bytes were checked.
    const touch = async (at: string): Promise<void> => utimes(at, now, (await stat(at)).mtime);
    for (const file of files) await touch(file.path).catch(() => undefined);
    return async () => {
      release();
      await this.evict(0);
    };
  }

  /** Evicts the least recently used files if these would exceed the limit. */
  async makeRoom(files: readonly CachedFile[]): Promise<void> {
    let coming = 0;
    for (const file of files) coming += file.length - (await this.has(file));
    if (coming > 0) await this.evict(coming);
  }

  /** Bytes of a model's cached tensors at a commit, finished or not. */
  async bytes(id: string, commit: string): Promise<number> {
    return sum(await tensorsIn(this.folder(id, commit)));
  }

  /** @returns false if a running job needs some of it */
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

  /** Between checking for users and removing a file, no process may start using it. */
  private async alone<T>(action: () => Promise<T>): Promise<T> {
    await makeFolder(this.root);
    const release = await claimInTurn(join(this.root, 'lock'));
    try {
      return await action();
    } finally {
      release();
    }
  }

  /** Reads a small file; null if there is no valid one. */
  private async unsealed(path: string, what: string): Promise<Record<string, unknown> | null> {
    const text = await readOwnText(path);
    if (text === null) return null;
    const found = unsealed(text);
    if (typeof found !== 'string') return found;
    this.events.onUnsound?.(path, what, found);
    return null;
  }

  /** Renames a finished file into place: after a crash it is complete or absent. */
  private async publish(part: string, path: string, isWhole: Making['isWhole']): Promise<void> {
    try {
      await sync(part);
      if (!(await isWhole(part))) throw new Error('it has changed in the meantime; run it again');
      await writeSum(path, part);
      await rename(part, path);
      await rm(part + SUM, { force: true });
    } catch (error) {
      // A process whose claim counted as void may have done the same, with the same bytes.
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

/** A file's name in the cache, for a source with arbitrary characters. */
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
