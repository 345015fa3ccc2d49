// Finds the Vulkan drivers of a Linux machine, in the loader's search path (Khronos, LoaderDriverInterface.md).
import { readdir, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

/** Paths of the drivers' manifests. */
export async function vulkanDrivers(env: NodeJS.ProcessEnv = process.env): Promise<string[]> {
  const list = (paths: string | undefined): string[] => (paths ?? '').split(delimiter).filter(Boolean);
  const named = env.VK_DRIVER_FILES ?? env.VK_ICD_FILENAMES;
  if (named) return manifests(list(named));
  const roots = [
    env.XDG_CONFIG_HOME ?? join(homedir(), '.config'),
    ...list(env.XDG_CONFIG_DIRS ?? '/etc/xdg'),
    '/etc',
    env.XDG_DATA_HOME ?? join(homedir(), '.local/share'),
    ...list(env.XDG_DATA_DIRS ?? '/usr/local/share:/usr/share'),
    // NixOS.
    '/run/opengl-driver/share',
  ];
  const folders = [...new Set(roots)].map((root) => join(root, 'vulkan/icd.d'));
  return manifests([...list(env.VK_ADD_DRIVER_FILES), ...folders]);
}

/** Of files and folders; none for missing ones. */
async function manifests(paths: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    paths.map(async (path) => {
      const kind = await stat(path).catch(() => null);
      if (!kind?.isDirectory()) return kind ? [path] : [];
      const names = await readdir(path).catch(() => []);
      return names.filter((name) => name.endsWith('.json')).map((name) => join(path, name));
    }),
  );
  return found.flat();
}
