// Finds a model on this machine: at the adapter's path, in the hub's cache, beside the adapter, in the user's folders.
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { cachedRepository, plainName } from '../core/model-names';
import { isRepoId } from './card';
import {
  type CachedRepo,
  cachedRepos,
  hasUnfinished,
  hubCacheFolder,
  type Machine,
  PREFIX,
  type Snapshot,
  snapshotsOf,
} from './hub-cache';
import { isKnownModel, type CanonicalModel, canonicalOf } from './canonical';
import { type ModelState, readObject, stateOf } from './state';

export type Location =
  /** At the path that the adapter names. */
  | { kind: 'path' }
  | { kind: 'cache'; revision: string | null; commit: string | null }
  /** In one of the adapter's folders. */
  | { kind: 'beside' }
  /** In a folder of the setting. */
  | { kind: 'model-folder'; folder: string };

export interface Candidate {
  folder: string;
  /** The repository id if the folder reveals it. */
  id: string | null;
  location: Location;
  /** The name in its configuration, if it was found by that and not by its own name: it may also be tuned from that model. */
  statedAs: string | null;
  state: ModelState;
}

export interface SearchScope extends Machine {
  /** Absolute. */
  modelFolders: readonly string[];
}

/** `adapters/name/checkpoint-500` is three levels below a project. */
const PARENT_LEVELS = 3;
/** `models/org/name`. */
const MODEL_FOLDER_LEVELS = 2;
/** Per listing; a folder of thousands is not a folder of models. */
const MOST_ENTRIES = 1000;
/** Configurations read in each of the locations. */
const MOST_FOLDERS = 500;

interface ModelFolder {
  folder: string;
  location: Location;
  /** `_name_or_path` of its config.json, which transformers writes, also to tuned models. */
  stated: string | null;
}

interface FoundRepo extends CachedRepo {
  /** Null for the hub's own cache. */
  within: string | null;
}

/** One search of the machine; each folder is listed once. */
export class ModelFinder {
  private repos: Promise<FoundRepo[]> | undefined;
  private folders: Promise<ModelFolder[]> | undefined;
  private readonly listed = new Map<string, Promise<Snapshot[]>>();

  /** @param adapter its folder */
  constructor(
    private readonly adapter: string,
    private readonly scope: SearchScope,
  ) {}

  /** The folder for an adapter's path: absolute, or relative to likely working directories of the training. */
  async named(trainedOn: string): Promise<string | null> {
    // Never contact another machine's share because a file names it.
    if (/^(?:[\\/]{2}|~)/.test(trainedOn)) return null;
    for (const from of isAbsolute(trainedOn) ? [this.adapter] : [this.adapter, ...this.parents()]) {
      const folder = resolve(from, trainedOn);
      if (folder !== resolve(this.adapter) && (await readObject(join(folder, 'config.json'))) !== null) return folder;
    }
    return null;
  }

  /** Every location of a model, usable ones first. @param id a repository id, or only a name */
  async find(id: string): Promise<Candidate[]> {
    const found = [...(await this.inCaches(id)), ...(await this.inFolders(id))];
    const usable = found.filter(({ state }) => state.kind !== 'quantised' && state.kind !== 'absent');
    return usable.sort((a, b) => preference(a) - preference(b));
  }

  /** Every model in the folders around the adapter. */
  async beside(): Promise<Candidate[]> {
    const folders = (await (this.folders ??= this.listFolders())).filter(({ location }) => location.kind === 'beside');
    return Promise.all(
      folders.map(async ({ folder, location }) => ({
        folder,
        id: null,
        location,
        statedAs: null,
        state: await stateOf(folder),
      })),
    );
  }

  /** All repositories of the caches. */
  cached(): Promise<FoundRepo[]> {
    return (this.repos ??= this.listRepos());
  }

  /** Revisions of a repository. */
  snapshots(repo: CachedRepo): Promise<Snapshot[]> {
    let listed = this.listed.get(repo.folder);
    if (!listed) {
      listed = snapshotsOf(repo);
      this.listed.set(repo.folder, listed);
    }
    return listed;
  }

  private async inCaches(id: string): Promise<Candidate[]> {
    const repos = (await this.cached()).filter((repo) => means(repo.id, id));
    const found = await Promise.all(
      repos.map(async (repo): Promise<Candidate[]> => {
        const location = (revision: string | null, commit: string | null): Location =>
          repo.within === null
            ? { kind: 'cache', revision, commit: commit?.slice(0, 7) ?? null }
            : { kind: 'model-folder', folder: repo.within };
        const snapshots = await this.snapshots(repo);
        if (snapshots.length === 0 && (await hasUnfinished(repo.folder))) {
          const state: ModelState = { kind: 'incomplete', shards: null, missing: [], isLoading: true };
          return [{ folder: repo.folder, id: repo.id, location: location(null, null), statedAs: null, state }];
        }
        return snapshots.map(({ folder, revisions, commit, state }) => ({
          folder,
          id: repo.id,
          location: location(revisions[0] ?? null, commit),
          statedAs: null,
          state,
        }));
      }),
    );
    return found.flat();
  }

  private async inFolders(id: string): Promise<Candidate[]> {
    const found: Candidate[] = [];
    for (const { folder, location, stated } of await (this.folders ??= this.listFolders())) {
      const names = namesOf(folder);
      const byName = names.some((name) => means(name, id));
      // A folder with another known model's name is that model, whatever it was tuned from.
      const other = names.some((name) => isKnownModel(name) && !means(name, id));
      const byConfig = !byName && !other && stated !== null && means(stated, id);
      if (!byName && !byConfig) continue;
      const repo = byName ? (names.find((name) => name.includes('/') && means(name, id)) ?? null) : null;
      found.push({ folder, id: repo, location, statedAs: byConfig ? stated : null, state: await stateOf(folder) });
    }
    return found;
  }

  /** The folders above the adapter, nearest first. */
  private parents(): string[] {
    const parents = [dirname(resolve(this.adapter))];
    while (parents.length < PARENT_LEVELS && dirname(parents.at(-1)!) !== parents.at(-1))
      parents.push(dirname(parents.at(-1)!));
    return parents;
  }

  private async listRepos(): Promise<FoundRepo[]> {
    const { modelFolders } = this.scope;
    const own = (await cachedRepos(hubCacheFolder(this.scope))).map((repo) => ({ ...repo, within: null }));
    const others = await Promise.all(
      modelFolders.map(async (within) =>
        // The setting may name a cache, or the folder that holds its `hub`.
        [...(await cachedRepos(within)), ...(await cachedRepos(join(within, 'hub')))].map((repo) => ({
          ...repo,
          within,
        })),
      ),
    );
    return distinct([...own, ...others.flat()], ({ folder }) => folder);
  }

  private async listFolders(): Promise<ModelFolder[]> {
    const beside: string[] = [];
    for (const parent of this.parents()) beside.push(parent, ...(await foldersIn(parent)));
    const own = beside.filter((folder) => folder !== resolve(this.adapter));
    const listed: ModelFolder[] = await modelFoldersAmong(own, { kind: 'beside' });
    for (const folder of this.scope.modelFolders) {
      let level = [folder];
      const all = [folder];
      for (let depth = 0; depth < MODEL_FOLDER_LEVELS; depth++) {
        level = (await Promise.all(level.slice(0, MOST_FOLDERS).map(foldersIn))).flat();
        all.push(...level);
      }
      listed.push(...(await modelFoldersAmong(all, { kind: 'model-folder', folder })));
    }
    return distinct(listed, ({ folder }) => folder);
  }
}

/** Whether a name means the model: by its id, as a known copy, or by its last part if no owner is given. */
export function means(name: string, id: string): boolean {
  const [one, other] = [canonicalOf(name), canonicalOf(id)];
  if (one.how === 'quantised') return false;
  if (one.id.toLowerCase() === other.id.toLowerCase()) return true;
  const isBare = ({ id: text }: CanonicalModel): boolean => !text.includes('/');
  return (isBare(one) || isBare(other)) && plainName(one.id) === plainName(other.id);
}

/** Names that a folder may match: its own, that with its parent folder as the owner, and both forms of an id in one name. */
function namesOf(folder: string): string[] {
  const cached = cachedRepository(folder);
  if (cached !== null) return [cached];
  const name = basename(folder);
  const ids = [`${basename(dirname(folder))}/${name}`, name.replace('--', '/'), name.replace('_', '/')];
  return [name, ...new Set(ids.filter((id) => id.includes('/') && isRepoId(id)))];
}

/** The lowest value is offered first. */
function preference({ state, statedAs, location }: Candidate): number {
  const states: Record<ModelState['kind'], number> = { here: 0, incomplete: 10, pickle: 20, quantised: 30, absent: 40 };
  const locations: Record<Location['kind'], number> = { path: 0, beside: 1, 'model-folder': 2, cache: 3 };
  return states[state.kind] + (statedAs === null ? 0 : 5) + locations[location.kind];
}

/** @returns those with a model's configuration, not an adapter's */
async function modelFoldersAmong(folders: readonly string[], location: Location): Promise<ModelFolder[]> {
  const found: ModelFolder[] = [];
  for (const folder of folders.slice(0, MOST_FOLDERS)) {
    const config = await readObject(join(folder, 'config.json'));
    if (config === null) continue;
    const stated = config._name_or_path;
    found.push({ folder, location, stated: typeof stated === 'string' && stated !== '' ? nameStated(stated) : null });
  }
  return found;
}

/** The model's name in an id or a path, possibly of the machine that wrote it. */
export function nameStated(stated: string): string {
  const cached = cachedRepository(stated);
  if (cached !== null) return cached;
  return isRepoId(stated) ? stated : (stated.split(/[\\/]/).findLast((part) => part !== '') ?? stated);
}

async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const names = entries
    .filter(({ name }) => !name.startsWith('.') && !name.startsWith(PREFIX) && name !== 'node_modules')
    .slice(0, MOST_ENTRIES)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const found: string[] = [];
  for (const entry of names) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) found.push(path);
    else if (
      entry.isSymbolicLink() &&
      (await stat(path).then(
        (at) => at.isDirectory(),
        () => false,
      ))
    )
      found.push(path);
  }
  return found;
}

function distinct<T>(items: readonly T[], keyOf: (item: T) => string): T[] {
  return [...new Map(items.map((item) => [keyOf(item), item] as const).reverse()).values()].reverse();
}
