// Finds the libraries that the CUDA provider needs, in the loader's order and then in CUDA's usual folders.
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
  /** The package that contains it, as part of a sentence. */
  advice: string;
}

export interface Found {
  libraries: Library[];
  missing: Missing[];
  /** Folders that the loader searches only on request. */
  folders: string[];
}

/** Present on every Linux with a graphical desktop or a compiler, and required by onnxruntime itself. */
const C_RUNTIME = /^(?:ld-linux[\w-]*|lib(?:c|m|dl|rt|pthread|util|resolv|anl|stdc\+\+|gcc_s|gomp))\.so\b/;
/** Name prefixes of those that the install provides. */
const OWN = 'libonnxruntime';

/**
 * @param start the libraries needed by the one to load; its file may be elsewhere
 * @param provider the folder of that library, existing or not
 * @param own a folder only for such libraries, searched before all others unknown to the loader
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
      // Dependencies of system libraries are the system's responsibility.
      if (isCudaLibrary(name)) await visit(hit.library, hit.path);
    }
  };
  await visit(start, provider);
  return found;
}

/** CUDA's runtime opens the driver only on first use, so no list of needed objects contains it. */
function openedByName({ needed }: Needed): string[] {
  return needed.some((name) => name.startsWith('libcudart.so')) ? ['libcuda.so.1'] : [];
}

interface SearchFolders {
  /** LD_LIBRARY_PATH. */
  given: string[];
  /** The loader's cache for this processor, by name. */
  cached: Map<string, string[]>;
  /** The loader's default folders. */
  standard: string[];
  /** CUDA's usual folders. */
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
    // The loader skips libraries of other processors, too.
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
    // Pip's package folders under a --prefix; the second is Debian's.
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

/** The folders that match a path with `*` in its parts, highest version first. */
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
