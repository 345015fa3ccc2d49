// Which of an adapter's other files arrive in a new folder: its own, and nothing else of the machine.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type Adapter, openAdapter } from '../../src/core/adapter';
import { companions, copyCompanion } from '../../src/core/companions';
import { elsewhere, smallCase, temporaryFolder } from '../fixtures/make';

const folder = temporaryFolder();
let cases = 0;

/** An adapter beside a file `secret`. */
function newCase(): { parent: string; path: string } {
  const parent = join(folder, String(cases++));
  const path = smallCase(parent).adapter;
  writeFileSync(join(parent, 'secret'), 'a key');
  return { parent, path };
}

async function named(adapter: Adapter): Promise<{ copied: string[]; said: string }> {
  const { copied, notices } = await companions(adapter);
  return { copied: copied.map(({ name }) => name), said: notices.map(({ message }) => message).join() };
}

describe('The files that go along with an adapter', () => {
  it('are files of its folder, not links to files elsewhere', async () => {
    const { path } = newCase();
    writeFileSync(join(path, 'README.md'), 'a card');
    symlinkSync('README.md', join(path, 'CARD.md'));
    symlinkSync('../secret', join(path, 'tokenizer.json'));
    symlinkSync('tokenizer.json', join(path, 'vocab.json'));
    const { copied, said } = await named(await openAdapter(path));
    assert.deepEqual(copied, ['CARD.md', 'README.md', 'adapter_config.json']);
    assert.match(said, /links out of the adapter's folder: tokenizer\.json, vocab\.json; /);
  });

  it('are found through a link to the folder itself', async () => {
    const { parent, path } = newCase();
    symlinkSync(path, join(parent, 'link'));
    writeFileSync(join(path, 'README.md'), 'a card');
    assert.deepEqual((await named(await openAdapter(join(parent, 'link')))).copied, [
      'README.md',
      'adapter_config.json',
    ]);
  });

  it("are blobs of the same repository in the hub's cache, not of another", async () => {
    const { parent, path } = newCase();
    const [repo, other] = ['models--me--adapter', 'models--you--private'].map((name) => join(parent, name));
    for (const blobs of [repo!, other!].map((each) => join(each, 'blobs'))) {
      mkdirSync(blobs, { recursive: true });
      writeFileSync(join(blobs, 'abc'), 'words');
    }
    const snapshot = join(repo!, 'snapshots', 'cafe');
    mkdirSync(join(repo!, 'snapshots'));
    renameSync(path, snapshot);
    symlinkSync('../../blobs/abc', join(snapshot, 'tokenizer.json'));
    symlinkSync('../../../models--you--private/blobs/abc', join(snapshot, 'vocab.json'));
    symlinkSync('../../../secret', join(snapshot, 'README.md'));
    const { copied, said } = await named(await openAdapter(snapshot));
    assert.deepEqual(copied, ['adapter_config.json', 'tokenizer.json']);
    assert.match(said, /links out of the adapter's folder: README\.md, vocab\.json; /);
  });

  it('are not blobs where the folder of blobs is itself a link', async () => {
    const { parent, path } = newCase();
    const repo = join(parent, 'models--me--adapter');
    mkdirSync(join(repo, 'snapshots'), { recursive: true });
    symlinkSync(parent, join(repo, 'blobs'));
    renameSync(path, join(repo, 'snapshots', 'cafe'));
    symlinkSync('../../blobs/secret', join(repo, 'snapshots', 'cafe', 'tokenizer.json'));
    const { copied } = await named(await openAdapter(join(repo, 'snapshots', 'cafe')));
    assert.deepEqual(copied, ['adapter_config.json']);
  });

  it('include a linked configuration, as it was when the adapter was opened', async () => {
    const { parent, path } = newCase();
    renameSync(join(path, 'adapter_config.json'), join(parent, 'shared.json'));
    symlinkSync('../shared.json', join(path, 'adapter_config.json'));
    const adapter = await openAdapter(path);
    const content = readFileSync(join(parent, 'shared.json'));
    rmSync(join(path, 'adapter_config.json'));
    symlinkSync('../secret', join(path, 'adapter_config.json'));
    const [config] = (await companions(adapter)).copied;
    await copyCompanion(config!, join(parent, 'copy'));
    assert.deepEqual(readFileSync(join(parent, 'copy')), content);
  });

  it('are no pipes, which would never end', { skip: elsewhere }, async () => {
    const { path } = newCase();
    execFileSync('mkfifo', [join(path, 'tokenizer.json')]);
    symlinkSync('/dev/zero', join(path, 'vocab.json'));
    const { copied, said } = await named(await openAdapter(path));
    assert.deepEqual(copied, ['adapter_config.json']);
    assert.match(said, /Not copied from the adapter's folder: tokenizer\.json, vocab\.json\./);
  });

  it('are copied with their modes', { skip: process.platform === 'win32' }, async () => {
    const { parent, path } = newCase();
    writeFileSync(join(path, 'run.sh'), '#!/bin/sh\n', { mode: 0o755 });
    const { copied } = await companions(await openAdapter(path));
    await copyCompanion(
      copied.find(({ name }) => name === 'run.sh')!,
      join(parent, 'copy'),
    );
    assert.equal(readFileSync(join(parent, 'copy'), 'utf8'), '#!/bin/sh\n');
    assert.equal(statSync(join(parent, 'copy')).mode & 0o777, 0o755);
  });

  for (const [what, swap] of [
    ['the file', (path: string) => ({ gone: join(path, 'sub', 'vocab'), target: '../../secret' })],
    ['its folder', (path: string) => ({ gone: join(path, 'sub'), target: '../other' })],
  ] as const) {
    it(`are refused where ${what} became a link before they were copied`, async () => {
      const { parent, path } = newCase();
      mkdirSync(join(path, 'sub'));
      mkdirSync(join(parent, 'other'));
      for (const file of [join(path, 'sub', 'vocab'), join(parent, 'other', 'vocab')]) writeFileSync(file, 'words');
      symlinkSync('sub/vocab', join(path, 'vocab.json'));
      const { copied } = await companions(await openAdapter(path));
      const { gone, target } = swap(path);
      rmSync(gone, { recursive: true });
      symlinkSync(target, gone);
      await assert.rejects(
        copyCompanion(
          copied.find(({ name }) => name === 'vocab.json')!,
          join(parent, 'copy'),
        ),
        /was replaced by something that is not a regular file/,
      );
    });
  }
});
