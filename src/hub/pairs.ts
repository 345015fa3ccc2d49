// The measured pairs of models, so that their cached data can be listed and removed.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Checkpoint } from '../core/checkpoint';
import { SafeLoraError, unwritable } from '../core/errors';
import { readOwnText } from '../core/files';
import { isObject, parseObject } from '../core/objects';
import { alone, replaceAlone } from '../core/atomic';
import { reportText } from '../core/report';
import { HubCache } from './cache';
import { isCommit, parseReference, pinnedReference, type Reference } from './reference';

const SCHEMA = 'safe-lora/pairs@1';
/** The least recently used ones are forgotten. */
const MOST_PAIRS = 1000;

export interface SeenPair {
  /** Short, derived from the two models. */
  id: string;
  /** hf://org/name@commit, or a folder. */
  base: string;
  aligned: string;
  /** ISO 8601 */
  lastUsed: string;
}

export interface ListedPair extends SeenPair {
  /** Bytes of both models' cached tensors. */
  cachedBytes: number;
}

export class PairRegistry {
  private readonly cache: HubCache;

  constructor(private readonly storage: string) {
    this.cache = new HubCache(storage, Infinity);
  }

  /** Most recently used first, without pairs whose folders are gone. */
  async list(): Promise<ListedPair[]> {
    const pairs = await this.read();
    const listed = await Promise.all(
      pairs.map(async (pair) => {
        const bytes = await Promise.all(models([pair]).map(({ id, revision }) => this.cache.bytes(id, revision)));
        return { ...pair, cachedBytes: bytes.reduce((sum, count) => sum + count, 0) };
      }),
    );
    return listed.filter(({ base, aligned, cachedBytes }) => cachedBytes > 0 || [base, aligned].every(exists));
  }

  async remember(base: Checkpoint, aligned: Checkpoint): Promise<void> {
    const [one, other] = [base.realPath, aligned.realPath];
    const pair = { id: pairId(one, other), base: one, aligned: other, lastUsed: new Date().toISOString() };
    await this.change((pairs) => [pair, ...pairs.filter(({ id }) => id !== pair.id)].slice(0, MOST_PAIRS));
  }

  /**
   * Forgets a pair, and removes cached data of its models that no other pair uses.
   * @returns number of removed bytes
   * @throws SafeLoraError if the id is unknown, or a running job needs its tensors
   */
  async remove(id: string): Promise<number> {
    let removed = 0;
    await this.change(async (pairs) => {
      const pair = pairs.find((candidate) => candidate.id === id);
      if (!pair) throw unknownPair(id);
      const others = pairs.filter((candidate) => candidate !== pair);
      const kept = new Set(models(others).map(({ id, revision }) => pinnedReference(id, revision)));
      for (const model of models([pair])) {
        if (kept.has(pinnedReference(model.id, model.revision))) continue;
        const bytes = await this.cache.bytes(model.id, model.revision);
        if (!(await this.cache.remove(model.id, model.revision))) throw inUse(model);
        removed += bytes;
      }
      return others;
    });
    return removed;
  }

  private async read(): Promise<SeenPair[]> {
    const value = parseObject((await readOwnText(this.file)) ?? undefined);
    return Array.isArray(value?.pairs) ? value.pairs.filter(isPair) : [];
  }

  private async change(action: (pairs: SeenPair[]) => SeenPair[] | Promise<SeenPair[]>): Promise<void> {
    await mkdir(this.storage, { recursive: true }).catch(unwritable(this.storage));
    await alone(this.file, async () => {
      const text = reportText({ schema: SCHEMA, pairs: await action(await this.read()) });
      await replaceAlone(this.file, (temporary) => writeFile(temporary, text));
    });
  }

  private get file(): string {
    return join(this.storage, 'pairs.json');
  }
}

function exists(path: string): boolean {
  return path.startsWith('hf://') || existsSync(path);
}

function pairId(base: string, aligned: string): string {
  return createHash('sha256')
    .update(JSON.stringify([base, aligned]))
    .digest('hex')
    .slice(0, 8);
}

/** The pair's models that are on the hub. */
function models(pairs: readonly SeenPair[]): Reference[] {
  const given = pairs.flatMap(({ base, aligned }) => [base, aligned]).filter((path) => path.startsWith('hf://'));
  return [...new Set(given)].flatMap((path) => {
    const reference = parseReference(path);
    return reference && isCommit(reference.revision) ? [reference] : [];
  });
}

function isPair(value: unknown): value is SeenPair {
  return isObject(value) && ['id', 'base', 'aligned', 'lastUsed'].every((key) => typeof value[key] === 'string');
}

function unknownPair(id: string): SafeLoraError {
  return new SafeLoraError('pair-unknown', `There is no pair ${id}; safe-lora pairs lists the pairs.`);
}

function inUse({ id, revision }: Reference): SafeLoraError {
  return new SafeLoraError(
    'pair-in-use',
    `${pinnedReference(id, revision)}: a running job reads it; wait until that is done.`,
  );
}
