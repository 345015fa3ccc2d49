// The CUDA provider as somebody installs it in the editor, from a feed on this machine: cancelled, gone on with, from a file, removed.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ID, makePackage } from '../cuda/package';
import { Feed } from '../cuda/server';
import { versions } from '../fixtures/devices';

import { until } from './patience';
import { Session } from './session';

const TITLE = 'Safe LoRA: Install CUDA Provider';
const version = versions.onnxruntime;

describe('the CUDA provider', () => {
  let session: Session;
  let feed: Feed;
  let bytes: Buffer;
  let cuda: string;
  before(async () => {
    bytes = await makePackage(version, { needed: ['libcudart.so.99', 'libc.so.6'] });
    feed = await Feed.start(version, bytes);
    session = await Session.start({ env: { SAFE_LORA_NUGET_INDEX: feed.index } });
    cuda = join(session.editor.userDataDir, 'User/globalStorage/safe-lora.safe-lora/cuda');
  });
  after(async () => {
    await session.stop();
    feed.stop();
  });

  async function choose(action: string): Promise<void> {
    await session.workbench.command(TITLE);
    await session.workbench.asked(TITLE);
    await session.workbench.pick(action);
  }

  async function missing(): Promise<void> {
    const { workbench } = session;
    await workbench.line('libcudart.so.99  comes with').waitFor();
    await workbench.line('python3 -m pip install').waitFor();
    await workbench.notification('cannot run yet: libcudart.so.99').waitFor();
  }

  it('says what is downloaded and to where, before anything is', async () => {
    await choose('Download…');
    const text = await session.workbench.dialog();
    await session.workbench.screenshot('cuda download');
    assert.match(text, new RegExp(`onnxruntime ${version.replaceAll('.', '\\.')}, \\d+\\.\\d kB\\?`));
    assert.ok(text.includes(`From ${new URL(feed.origin).host} to ${join(cuda, version)}.`), text);
    await session.workbench.clickDialog('Cancel');
    assert.equal(feed.downloads.length, 0);
    assert.ok(!existsSync(cuda));
  });

  it('shows how far it is, and keeps what has come when it is cancelled', async () => {
    const { workbench } = session;
    feed.turns = [{ kind: 'slow', pieces: 100, pause: 200 }];
    await choose('Download…');
    await workbench.clickDialog('Download');
    await workbench.notification(/[1-9]\d* %/).waitFor();
    await workbench.screenshot('cuda progress');
    await workbench.clickNotification('Cancel');
    await until(() => !existsSync(join(cuda, 'lock')), 'the end of the download');
    assert.deepEqual(readdirSync(cuda), [`${ID}.${version}.nupkg.part`, `${ID}.${version}.nupkg.part.json`]);
    assert.ok(statSync(join(cuda, `${ID}.${version}.nupkg.part`)).size > 0);
  });

  it('goes on from there, and says what CUDA still lacks', async () => {
    feed.turns = [{ kind: 'whole' }];
    await choose('Download…');
    await session.workbench.clickDialog('Download');
    await missing();
    await session.workbench.screenshot('cuda missing');
    assert.deepEqual(readdirSync(cuda), [version]);
    assert.match(feed.downloads.at(-1)!.range!, /^bytes=[1-9]\d*-$/);
    assert.ok(feed.downloads.at(-1)!.sent < bytes.length);
  });

  it('is removed', async () => {
    await choose('Remove');
    await session.workbench.notification('The CUDA provider was removed.').waitFor();
    assert.ok(!existsSync(cuda));
    await session.workbench.command(TITLE);
    await session.workbench.asked(TITLE);
    assert.equal(await session.workbench.lists('Remove'), false);
    await session.workbench.press('Escape');
  });

  it('comes from a file without a network, and says without both what to do', async () => {
    feed.stop();
    await choose('Download…');
    await session.workbench.notification(/cannot be reached.*--archive FILE/s).waitFor();
    const archive = session.outside('package.nupkg');
    writeFileSync(archive, bytes);
    await choose('Use a Downloaded Package…');
    await session.workbench.fileDialog('Package of the CUDA provider', archive);
    await until(() => existsSync(join(cuda, version)), 'the install');
    assert.deepEqual(readdirSync(cuda), [version]);
  });
});
