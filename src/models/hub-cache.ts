// The Hugging Face cache on this machine: the revisions of a repository, and whether each is complete.
import { lstat, readdir, stat } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { readOwnText } from '../core/files';
import { type ModelState, stateOf } from './state';

/** Search locations other than the adapter's. */
export interface Machine {
  env: Readonly<Record<string, string | undefined>>;
  home: string;
}

/** One revision of a repository in a cache. */
export interface Snapshot {
  folder: string;
  /** Names of branches, tags and pull requests that point to it, `main` first. */
  revisions: string[];
  commit: string;
  state: ModelState;
}

export interface CachedRepo {
  /** `org/name`, or only a name for the hub's first models. */
  id: string;
  folder: string;
}

/** More than a machine's cache has; each is a name in one listing. */
const MOST_REPOS = 5000;
/** The newest of a repository that is downloaded again with every commit. */
const MOST_SNAPSHOTS = 20;
const MOST_REFS = 200;
/** `refs/pr/12` is the deepest that the hub writes. */
const REF_LEVELS = 3;
export const PREFIX = 'models--';

/**
 * The folders that huggingface_hub would use, in its order of precedence (`constants.py` there): the first set of HF_HUB_CACHE and
 * HUGGINGFACE_HUB_CACHE, else `hub` in HF_HOME, in XDG_CACHE_HOME/huggingface or in ~/.cache/huggingface.
 */
export function hubCacheFolder({ env, home }: Machine): string {
  const from = (name: string): string | null => {
    const value = env[name];
    return value === undefined || value === '' ? null : expand(value, { env, home });
  };
  const own = from('HF_HUB_CACHE') ?? from('HUGGINGFACE_HUB_CACHE');
  if (own !== null) return own;
  return join(from('HF_HOME') ?? join(from('XDG_CACHE_HOME') ?? join(home, '.cache'), 'huggingface'), 'hub');
}

/** Expands `~` and `$NAME` like Python's expanduser and expandvars. */
function expand(path: string, { env, home }: Machine): string {
  return path
    .replace(/^~(?=[\\/]|$)/, () => home)
    .replace(/\$(?:\{(\w+)\}|(\w+))/g, (whole, braced?: string, bare?: string) => env[braced ?? bare!] ?? whole);
}

export async function cachedRepos(cache: string): Promise<CachedRepo[]> {
  if (!isAbsolute(cache)) return [];
  const names = (await readdir(cache).catch(() => [])).filter((name) => name.startsWith(PREFIX)).sort();
  return names.slice(0, MOST_REPOS).map((name) => ({ id: repoIdOf(name), folder: join(cache, name) }));
}

/** @param name `models--org--name`; the hub allows no `--` in an id */
function repoIdOf(name: string): string {
  return name.slice(PREFIX.length).replace('--', '/');
}

/** The repository's revisions on this machine: `main` first, then named ones, then the newest. */
export async function snapshotsOf({ folder }: CachedRepo): Promise<Snapshot[]> {
  const names = (await readdir(join(folder, 'snapshots')).catch(() => [])).sort();
  const refs = await readRefs(join(folder, 'refs'));
  const found = await Promise.all(
    names.map(async (commit) => {
      const path = join(folder, 'snapshots', commit);
      const changed = await stat(path).then(
        (entry) => (entry.isDirectory() ? entry.mtimeMs : null),
        () => null,
      );
      const revisions = refs.filter((ref) => ref.commit === commit).map(({ name }) => name);
      return { path, commit, revisions, changed };
    }),
  );
  const preference = ({ revisions }: { revisions: string[] }): number =>
    revisions.includes('main') ? 0 : revisions.length > 0 ? 1 : 2;
  const sorted = found
    .filter(({ changed }) => changed !== null)
    .sort((a, b) => preference(a) - preference(b) || b.changed! - a.changed!)
    .slice(0, MOST_SNAPSHOTS);
  const isLoading = await hasUnfinished(folder);
  return Promise.all(
    sorted.map(async ({ path, commit, revisions }) => {
      const state = await stateOf(path);
      return {
        folder: path,
        commit,
        revisions: revisions.sort((a, b) => Number(b === 'main') - Number(a === 'main') || (a < b ? -1 : 1)),
        state: state.kind === 'incomplete' ? { ...state, isLoading } : state,
      };
    }),
  );
}

/** An unfinished download: huggingface_hub writes to `*.incomplete` and renames it at the end. */
export async function hasUnfinished(repo: string): Promise<boolean> {
  const blobs = await readdir(join(repo, 'blobs')).catch(() => []);
  return blobs.some((name) => name.endsWith('.incomplete'));
}

/** Names of commits, from files such as `refs/main` and `refs/pr/1`. */
async function readRefs(folder: string, name = '', level = 1): Promise<{ name: string; commit: string }[]> {
  const refs: { name: string; commit: string }[] = [];
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries.slice(0, MOST_REFS)) {
    const path = join(folder, entry.name);
    const full = name === '' ? entry.name : `${name}/${entry.name}`;
    if (entry.isDirectory()) {
      if (level < REF_LEVELS) refs.push(...(await readRefs(path, full, level + 1)));
    } else {
      const commit = await readRef(path);
      if (commit !== null) refs.push({ name: full, commit });
    }
  }
  return refs;
}

async function readRef(path: string): Promise<string | null> {
  const { size } = await lstat(path).catch(() => ({ size: Infinity }));
  // A commit has 40 characters, with SHA-256 64.
  if (size > 100) return null;
  const text = (await readOwnText(path)) ?? '';
  return /^[0-9a-f]{5,64}$/i.exec(text.trim())?.[0] ?? null;
}
