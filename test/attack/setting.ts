// What the attacks share: the small adapter, and their program as one file of plain JavaScript, which starts fast.
import { build } from 'esbuild';
import { join } from 'node:path';
import { randomTensor, root, writeAdapter } from '../fixtures/make';
import { MODULES, pathsIn } from './operations';

/** Makes the adapter in an empty folder. */
export function makeAdapter(folder: string): void {
  const pairs = MODULES.map(
    (name, i) => [name, { a: randomTensor(i, [2, 4]), b: randomTensor(10 + i, [6, 2]) }] as const,
  );
  writeAdapter(pathsIn(folder).adapter, Object.fromEntries(pairs));
}

/** @returns the program's path in the folder */
export async function bundleProgram(folder: string): Promise<string> {
  const outfile = join(folder, 'program.cjs');
  const entryPoints = [join(root, 'test/attack/program.ts')];
  await build({ entryPoints, outfile, bundle: true, platform: 'node', format: 'cjs', logLevel: 'warning' });
  return outfile;
}
