// All files of end-to-end tests in two processes, part-1.mjs and part-2.mjs: the files of one share an editor, and one part computes
// while the other waits. A file alone: node --import tsx --test test/e2e/NAME.e2e.ts
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const PARTS = 2;

/** The files of a part, by number from 1: as even as their lengths tell. */
export function filesOf(part) {
  const parts = Array.from({ length: PARTS }, () => ({ files: [], bytes: 0 }));
  for (const file of files()) {
    const shortest = parts.reduce((least, one) => (one.bytes < least.bytes ? one : least));
    shortest.files.push(file.path);
    shortest.bytes += file.bytes;
  }
  return parts[part - 1].files;
}

/** The longest first. */
function files() {
  return readdirSync(import.meta.dirname)
    .filter((name) => name.endsWith('.e2e.ts'))
    .map((name) => join(import.meta.dirname, name))
    .map((path) => ({ path, bytes: statSync(path).size }))
    .sort((a, b) => b.bytes - a.bytes);
}
