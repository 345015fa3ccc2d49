// What the cache evicts, without a hub.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { it } from 'node:test';
import { cacheName, HubCache } from '../../src/hub/cache';
import { temporaryFolder } from '../fixtures/make';

it('evicts nothing that is held, finished or not, whatever the model is called', async () => {
  for (const id of ['org/plain', 'org/llama.part2', 'org/a.tensor.part']) {
    const storage = temporaryFolder();
    const cache = new HubCache(storage, 10);
    const [held, part, other, coming] = ['held', 'part', 'other', 'coming'].map((name) => ({
      path: join(cache.folder(id, '0'.repeat(40)), cacheName('tensor', name)),
      length: 20,
    })) as [
      { path: string; length: number },
      { path: string; length: number },
      { path: string; length: number },
      { path: string; length: number },
    ];
    mkdirSync(dirname(held.path), { recursive: true });
    for (const path of [held.path, `${part.path}.part`, other.path]) writeFileSync(path, Buffer.alloc(20));
    const release = await cache.hold([held, part]);
    await cache.makeRoom([coming]);
    assert.deepEqual(
      [held.path, `${part.path}.part`, other.path].map((path) => existsSync(path)),
      [true, true, false],
      id,
    );
    await release();
    assert.ok(!existsSync(held.path), 'held no longer');
  }
});
