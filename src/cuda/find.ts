// Looks for the libraries that the CUDA provider needs, in the order of the loader and then where CUDA is usually installed.
import { readdir } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { kindOf } from '../core/files';
import { advice, isCudaLibrary } from './advice';
import { type Machine } from './machine';
import { type Needed, readNeeded } from './needed';

export interface Library {
  name: string;
  path: string;
}

export interface Missing {
  name: string;
  /** Which package brings it, in one sentence's part. */
  advice: string;
}

export interface Found {
  libraries: Library[];
  missing: Missing[];
  /** Folders where the loader looks only if it is told to. */
  folders: string[];
}

/** What every Linux with a graphical desktop or a compiler has, and onnxruntime itself needs too. */
const C_RUNTIME = /^(?:ld-linux[\w-]*|lib(?:c|m|dl|rt|pthread|util|resolv|anl|stdc\+\+|gcc_s|gomp))\.so\b/;
/** How those begin that the install itself brings. */
const OWN = 'libonnxruntime';

/**
 * @param start what the library that is to load needs; its file may be elsewhere
 * @param provider where that library lies, or would lie
 * @param own a folder for such libraries alone, looked in before all others that the loader does not know
 */
export async function findNeeded(start: Needed, provider: string, own: string, machine: Machine): Promise<Found> {
  const folders = await searchFolders(machine, own);
  const found: Found = { libraries: [], missing: [], folders: [] };
  const seen = new Set<string>();
  const visit = async (library: Needed, path: string): Promise<void> => {
    for (const name of [...library.needed, ...openedByName(library)]) {
      if (seen.has(name) || C_RUNTIME.test(name) || name.startsWith(OWN)) continue;
      seen.add(name);
      const hit = await locate(name, path, library, folders);
      if (!hit) {
        found.missing.push({ name, advice: advice(name, start.needed) });
        continue;
      }
      found.libraries.push({ name, path: hit.path });
      if (hit.mustBeTold && !found.folders.includes(dirname(hit.path))) found.folders.push(dirname(hit.path));
      // What others of the system need is the system's business.
      if (isCudaLibrary(name)) await visit(hit.library, hit.path);
    }
  };
  await visit(start, provider);
  return found;
}

/** CUDA's runtime opens the driver only when it is first used, so that it stands in no list of needed objects. */
function openedByName({ needed }: Needed): string[] {
  return needed.some((name) => name.startsWith('libcudart.so')) ? ['libcuda.so.1'] : [];
}

interface SearchFolders {
  /** LD_LIBRARY_PATH. */
  given: string[];
  /** By name, what the loader's cache holds for this processor. */
  cached: Map<string, string[]>;
  /** Where the loader looks without being told. */
  standard: string[];
  /** Where CUDA is usually put. */
  usual: string[];
}

interface Hit {
  path: string;
  library: Needed;
  mustBeTold: boolean;
}

async function locate(
  name: string,
  asker: string,
  { runpath, machine }: Needed,
  folders: SearchFolders,
): Promise<Hit | null> {
  const own = runpath.map((folder) => folder.replace(/\$ORIGIN\b|\$\{ORIGIN\}/g, () => dirname(asker)));
  const candidates = [
    ...folders.given.map((folder) => ({ path: join(folder, name), mustBeTold: true })),
    ...own.filter(isAbsolute).map((folder) => ({ path: join(folder, name), mustBeTold: false })),
    ...(folders.cached.get(name) ?? []).map((path) => ({ path, mustBeTold: false })),
    ...folders.standard.map((folder) => ({ path: join(folder, name), mustBeTold: false })),
    ...folders.usual.map((folder) => ({ path: join(folder, name), mustBeTold: true })),
  ];
  for (const { path, mustBeTold } of candidates) {
    // The loader passes over libraries of other processors, too.
    const library = (await isThere(path)) ? await readNeeded(path).catch(() => null) : null;
    if (library?.machine === machine) return { path, library, mustBeTold };
  }
  return null;
}

const isThere = (path: string): Promise<boolean> =>
  kindOf(path).then(
    (kind) => kind === 'file',
    () => false,
  );

async function searchFolders(machine: Machine, ownFolder: string): Promise<SearchFolders> {
  const { env, home, root } = machine;
  const given = (env.LD_LIBRARY_PATH ?? '').split(/[:;]/).filter(isAbsolute);
  const absolute = (path: string | undefined): string[] => (path !== undefined && isAbsolute(path) ? [path] : []);
  const toolkits = [
    ...absolute(env.CUDA_HOME),
    ...absolute(env.CUDA_PATH),
    ...(await expand(join(root, 'usr/local/cuda'))),
    ...(await expand(join(root, 'usr/local/cuda-*'))),
    ...(await expand(join(root, 'opt/cuda'))),
  ];
  const pythons = [
    ...absolute(env.VIRTUAL_ENV).map((folder) => join(folder, 'lib/python3*/site-packages')),
    ...absolute(env.CONDA_PREFIX).map((folder) => join(folder, 'lib/python3*/site-packages')),
    join(home, '.local/lib/python3*/site-packages'),
    join(root, 'usr/local/lib/python3*/dist-packages'),
    join(root, 'usr/local/lib/python3*/site-packages'),
  ];
  const usual = [
    ownFolder,
    // Where pip puts packages under a --prefix; the second is Debian's way.
    join(ownFolder, 'lib/python3*/site-packages/nvidia/*/lib'),
    join(ownFolder, 'local/lib/python3*/dist-packages/nvidia/*/lib'),
    ...toolkits.flatMap((folder) => ['lib64', 'targets/x86_64-linux/lib', 'lib'].map((lib) => join(folder, lib))),
    ...pythons.map((folder) => join(folder, 'nvidia/*/lib')),
    ...absolute(env.CONDA_PREFIX).map((folder) => join(folder, 'lib')),
    // The driver, under WSL and NixOS.
    join(root, 'usr/lib/wsl/lib'),
    join(root, 'run/opengl-driver/lib'),
  ];
  return {
    given,
    cached: parseLoaderCache(await machine.loaderCache()),
    standard: ['lib/x86_64-linux-gnu', 'usr/lib/x86_64-linux-gnu', 'lib64', 'usr/lib64', 'lib', 'usr/lib'].map(
      (folder) => join(root, folder),
    ),
    usual: (await Promise.all(usual.map(expand))).flat(),
  };
}

/** Lines such as `libcublas.so.12 (libc6,x86-64) => /usr/local/cuda/lib64/libcublas.so.12`. */
function parseLoaderCache(text: string): Map<string, string[]> {
  const cached = new Map<string, string[]>();
  for (const [, name, path] of text.matchAll(/^\s*(\S+) \([^)]*\) => (\/.*)$/gm))
    cached.set(name!, [...(cached.get(name!) ?? []), path!]);
  return cached;
}

/** The folders that a path with `*` in its parts stands for, the highest version first. */
async function expand(pattern: string): Promise<string[]> {
  const at = pattern.split('/').findIndex((part) => part.includes('*'));
  if (at < 0) return (await kindOf(pattern).catch(() => null)) === 'folder' ? [pattern] : [];
  const parts = pattern.split('/');
  const parent = parts.slice(0, at).join('/');
  const [before, after] = parts[at]!.split('*') as [string, string];
  const names = (await readdir(parent).catch(() => [])).filter(
    (name) => name.length >= before.length + after.length && name.startsWith(before) && name.endsWith(after),
  );
  names.sort((a, b) => b.localeCompare(a, 'en', { numeric: true }));
  return (await Promise.all(names.map((name) => expand([parent, name, ...parts.slice(at + 1)].join('/'))))).flat();
}
