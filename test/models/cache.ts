// A Hugging Face cache made for one test, as huggingface_hub lays it out: blobs, snapshots of links (or copies), refs.
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createHash } from 'node:crypto';

export const COMMIT = '5f0b02c75b57c5855da9ae460ce51323ea669d8a';

export interface Revision {
  /** By name; null is a link whose blob is gone. */
  files: Record<string, string | Buffer | null>;
  commit?: string;
  refs?: string[];
  /** Copies instead of links, as on Windows without the right to make links. */
  copies?: boolean;
}

/** @returns the snapshot's folder */
export function cacheRevision(cache: string, id: string, revision: Revision): string {
  const { files, commit = COMMIT, refs = ['main'], copies = false } = revision;
  const repo = join(cache, `models--${id.replace('/', '--')}`);
  const snapshot = join(repo, 'snapshots', commit);
  mkdirSync(join(repo, 'blobs'), { recursive: true });
  mkdirSync(snapshot, { recursive: true });
  for (const ref of refs) {
    mkdirSync(dirname(join(repo, 'refs', ref)), { recursive: true });
    writeFileSync(join(repo, 'refs', ref), commit);
  }
  for (const [name, content] of Object.entries(files)) {
    const hash = createHash('sha256')
      .update(content ?? name)
      .digest('hex');
    const blob = join(repo, 'blobs', hash);
    if (content !== null) writeFileSync(blob, content);
    if (copies && content !== null) copyFileSync(blob, join(snapshot, name));
    else symlinkSync(join('..', '..', 'blobs', hash), join(snapshot, name));
  }
  return snapshot;
}

/** A download that was broken off before its first file was done. */
export function beginDownload(cache: string, id: string): void {
  const repo = join(cache, `models--${id.replace('/', '--')}`);
  mkdirSync(join(repo, 'blobs'), { recursive: true });
  writeFileSync(join(repo, 'blobs', 'abc.incomplete'), 'half');
}

/** Files of a model in one file, whole as far as names tell. */
export const wholeModel = { 'config.json': '{}', 'model.safetensors': 'weights' };

/** An index over so many shards. */
export function index(shards: number): string {
  const names = shardNames(shards);
  return JSON.stringify({ weight_map: Object.fromEntries(names.map((name, i) => [`layer.${i}.weight`, name])) });
}

export function shardNames(shards: number): string[] {
  const padded = (i: number): string => String(i).padStart(5, '0');
  return Array.from({ length: shards }, (_, i) => `model-${padded(i + 1)}-of-${padded(shards)}.safetensors`);
}

/** A README.md with this front matter. */
export function readme(...lines: string[]): string {
  return ['---', ...lines, '---', '', '# A model', ''].join('\n');
}
