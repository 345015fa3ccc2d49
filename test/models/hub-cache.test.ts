// The hub's cache as huggingface_hub leaves it: which revisions are there, which are whole, and what is missing of the others.
import assert from 'node:assert/strict';
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { cachedRepos, hubCacheFolder, snapshotsOf } from '../../src/models/hub-cache';
import { stateOf } from '../../src/models/state';
import { temporaryFolder } from '../fixtures/make';
import { beginDownload, cacheRevision, COMMIT, index, shardNames, wholeModel } from './cache';

const ID = 'meta-llama/Llama-2-7b-hf';

async function snapshots(cache: string) {
  const [repo] = await cachedRepos(cache);
  return snapshotsOf(repo!);
}

describe('the location of the cache', () => {
  const home = '/home/user';
  const cases: [Record<string, string>, string][] = [
    [{}, '/home/user/.cache/huggingface/hub'],
    [{ XDG_CACHE_HOME: '/xdg' }, '/xdg/huggingface/hub'],
    [{ XDG_CACHE_HOME: '/xdg', HF_HOME: '/hf' }, '/hf/hub'],
    [{ HF_HOME: '/hf', HUGGINGFACE_HUB_CACHE: '/old' }, '/old'],
    [{ HF_HOME: '/hf', HUGGINGFACE_HUB_CACHE: '/old', HF_HUB_CACHE: '/new' }, '/new'],
    [{ HF_HOME: '' }, '/home/user/.cache/huggingface/hub'],
    [{ HF_HOME: '~/hf' }, '/home/user/hf/hub'],
    [{ HF_HOME: '$DISK/${PLACE}', DISK: '/big', PLACE: 'hf' }, '/big/hf/hub'],
  ];
  for (const [env, folder] of cases) {
    it(`is ${folder} with ${JSON.stringify(env)}`, () => {
      assert.equal(hubCacheFolder({ env, home }), folder);
    });
  }
});

describe('a cached repository', () => {
  it('is known by its id, with and without an owner; data sets are none', async () => {
    const cache = temporaryFolder();
    cacheRevision(cache, ID, { files: wholeModel });
    cacheRevision(cache, 'gpt2', { files: wholeModel });
    mkdirSync(join(cache, 'datasets--allenai--c4'));
    assert.deepEqual(
      (await cachedRepos(cache)).map(({ id }) => id),
      ['gpt2', ID],
    );
  });

  for (const copies of [false, true]) {
    it(`is whole where its files are ${copies ? 'copies' : 'links to blobs'}`, async () => {
      const cache = temporaryFolder();
      const folder = cacheRevision(cache, ID, { files: wholeModel, copies });
      assert.deepEqual(await snapshots(cache), [
        { folder, commit: COMMIT, revisions: ['main'], state: { kind: 'here' } },
      ]);
    });
  }

  it('has main first, then what has a name, then the newest', async () => {
    const cache = temporaryFolder();
    const commits = { old: 'a'.repeat(40), newest: 'b'.repeat(40), named: 'c'.repeat(40), main: 'd'.repeat(40) };
    for (const [name, commit] of Object.entries(commits)) {
      const refs = { named: ['v1.0', 'refs/pr/1'], main: ['main'] }[name] ?? [];
      const folder = cacheRevision(cache, ID, { files: wholeModel, commit, refs });
      const seconds = name === 'newest' ? 2_000_000_000 : name === 'old' ? 1_000_000_000 : 500_000_000;
      utimesSync(folder, seconds, seconds);
    }
    const found = await snapshots(cache);
    assert.deepEqual(
      found.map(({ commit, revisions }) => [commit, revisions]),
      [
        [commits.main, ['main']],
        [commits.named, ['refs/pr/1', 'v1.0']],
        [commits.newest, []],
        [commits.old, []],
      ],
    );
  });

  it('takes no name from a ref that is no commit', async () => {
    const cache = temporaryFolder();
    cacheRevision(cache, ID, { files: wholeModel, commit: 'main', refs: [] });
    writeFileSync(join(cache, 'models--meta-llama--Llama-2-7b-hf', 'not-refs'), '');
    mkdirSync(join(cache, 'models--meta-llama--Llama-2-7b-hf', 'refs'));
    writeFileSync(join(cache, 'models--meta-llama--Llama-2-7b-hf', 'refs', 'main'), 'main');
    assert.deepEqual((await snapshots(cache))[0]!.revisions, []);
  });

  it('says of a download that is not done how many shards are there', async () => {
    const cache = temporaryFolder();
    const [first, second, third, ...gone] = shardNames(7);
    const files = {
      'config.json': '{}',
      'model.safetensors.index.json': index(7),
      [first!]: '1',
      [second!]: '2',
      [third!]: '3',
    };
    cacheRevision(cache, ID, { files });
    const shards = { there: 3, total: 7 };
    assert.deepEqual((await snapshots(cache))[0]!.state, {
      kind: 'incomplete',
      shards,
      missing: gone,
      isLoading: false,
    });
    beginDownload(cache, ID);
    assert.deepEqual((await snapshots(cache))[0]!.state, {
      kind: 'incomplete',
      shards,
      missing: gone,
      isLoading: true,
    });
  });

  it('is incomplete where a link leads to no blob', async () => {
    const cache = temporaryFolder();
    const [first, second] = shardNames(2);
    const files = { 'config.json': '{}', 'model.safetensors.index.json': index(2), [first!]: '1', [second!]: null };
    cacheRevision(cache, ID, { files });
    assert.deepEqual((await snapshots(cache))[0]!.state, {
      kind: 'incomplete',
      shards: { there: 1, total: 2 },
      missing: [second],
      isLoading: false,
    });
    const single = temporaryFolder();
    cacheRevision(single, ID, { files: { 'config.json': '{}', 'model.safetensors': null } });
    assert.deepEqual((await snapshots(single))[0]!.state, {
      kind: 'incomplete',
      shards: null,
      missing: ['model.safetensors'],
      isLoading: false,
    });
  });
});

describe('a folder', () => {
  const states: [string, Record<string, string>, unknown][] = [
    ['of a whole model', wholeModel, { kind: 'here' }],
    [
      'without a configuration',
      { 'model.safetensors': 'w' },
      { kind: 'incomplete', shards: null, missing: ['config.json'], isLoading: false },
    ],
    [
      'with a configuration alone',
      { 'config.json': '{}' },
      { kind: 'incomplete', shards: null, missing: ['model.safetensors'], isLoading: false },
    ],
    [
      'with pickled weights alone',
      { 'config.json': '{}', 'pytorch_model-00001-of-00002.bin': 'w', 'pytorch_model.bin.index.json': '{}' },
      { kind: 'pickle' },
    ],
    ['with both formats', { ...wholeModel, 'pytorch_model.bin': 'w' }, { kind: 'here' }],
    [
      'with the arguments of a training alone',
      { 'config.json': '{}', 'training_args.bin': 'a' },
      { kind: 'incomplete', shards: null, missing: ['model.safetensors'], isLoading: false },
    ],
    [
      'of a quantised model',
      { ...wholeModel, 'config.json': '{"quantization_config":{"bits":4}}' },
      { kind: 'quantised' },
    ],
    [
      'whose index leads out of it',
      { 'config.json': '{}', 'model.safetensors.index.json': '{"weight_map":{"a":"../b.safetensors"}}' },
      { kind: 'incomplete', shards: null, missing: ['model.safetensors.index.json'], isLoading: false },
    ],
    [
      'whose index is cut off',
      { 'config.json': '{}', 'model.safetensors.index.json': '{"weight_map":' },
      { kind: 'incomplete', shards: null, missing: ['model.safetensors.index.json'], isLoading: false },
    ],
  ];
  for (const [what, files, state] of states) {
    it(`${what} is ${(state as { kind: string }).kind}`, async () => {
      const folder = temporaryFolder();
      for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
      assert.deepEqual(await stateOf(folder), state);
    });
  }
});
