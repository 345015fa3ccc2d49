// A workspace of 200 adapters: what the extension costs at start-up and when idle, and how it follows the disk.
import assert from 'node:assert/strict';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { copyAdapter, fillWithAdapters } from './many-adapters';
import { until } from './patience';
import { Session } from './session';

const COUNT = 200;
/** The engine stops 5 s after its last user. */
const LINGER_MS = 5000;

describe('a workspace of 200 adapters', () => {
  let session: Session;
  before(async () => {
    const fill = (workspace: string): void => {
      fillWithAdapters(workspace, COUNT);
    };
    session = await Session.start({ fill });
  });
  after(() => session.stop());

  const log = (): string => session.editor.log(/Safe LoRA/);
  const scans = (): string[] => log().match(/Found \d+ adapters in \d+ ms/g) ?? [];

  it('starts no process of the engine by being open', async () => {
    for (const end = Date.now() + LINGER_MS + 1000; Date.now() < end;) {
      assert.deepEqual(session.engineChildren(), []);
      await sleep(200);
    }
  });

  it('finds them all with one search, and follows the disk without another', async () => {
    const { workbench } = session;
    const offered = async (name: string): Promise<boolean> => {
      await workbench.command('Safe LoRA: Project Adapter');
      await workbench.asked('Project which adapter?');
      const found = await workbench.lists(name);
      await workbench.press('Escape');
      return found;
    };
    await until(() => scans().length === 1, 'the search');
    assert.match(scans()[0]!, new RegExp(`^Found ${COUNT} adapters`));
    assert.ok(await offered('benign-0'));

    copyAdapter('mixed', session.path('runs', 'new', 'arrival'));
    await until(() => log().includes(`Adapter found: ${session.path('runs', 'new', 'arrival')}`), 'the new adapter');
    assert.ok(await offered('arrival'));

    renameSync(session.path('runs', 'new', 'arrival'), session.path('runs', 'new', 'other-name'));
    await until(() => log().includes(`Adapter found: ${session.path('runs', 'new', 'other-name')}`), 'the new name');
    await until(() => log().includes(`Adapter gone: ${session.path('runs', 'new', 'arrival')}`), 'the old name');
    assert.ok(await offered('other-name'));
    assert.ok(!(await offered('arrival')));

    rmSync(session.path('runs', 'new'), { recursive: true });
    await until(() => log().includes(`Adapter gone: ${session.path('runs', 'new', 'other-name')}`), 'the removal');
    assert.ok(!(await offered('other-name')));
    assert.ok(await offered('benign-0'));
    assert.equal(scans().length, 1);
  });

  it('gives the engine back some seconds after the last adapter is closed', async () => {
    const tab = await session.projectAdapter('benign-0');
    await tab.measured();
    assert.notEqual(session.engineChildren().length, 0);
    await session.workbench.command('View: Close All Editors');
    await until(() => session.engineChildren().length === 0, 'the engine to stop');
  });

  it('measures all of them, shows how each stands, and gives the engine back', async (test) => {
    const { workbench } = session;
    copyAdapter('mixed', session.path('runs', 'broken'));
    const file = session.path('runs', 'broken', 'adapter_model.safetensors');
    const bytes = readFileSync(file);
    writeFileSync(file, bytes.fill(0xff, bytes.length - 64));
    await until(() => log().includes(`Adapter found: ${session.path('runs', 'broken')}`), 'the broken adapter');
    await workbench.command('View: Show Safe LoRA');
    const started = performance.now();
    await workbench.command('Safe LoRA: Measure All Adapters');
    // One is measured already, and one cannot be, which costs the others of its pass nothing.
    const told = `${COUNT - 1} adapters measured. 1 failed: broken (`;
    await workbench.notification(told).waitFor();
    test.diagnostic(`measure all: ${((performance.now() - started) / 1000).toFixed(0)} s`);
    assert.match(log(), /broken.adapter_model\.safetensors: .* contains NaN or infinity/);
    // The first sixteen on the same q and v: every weight of both models once.
    assert.match(log(), /Adapters in this pass: 16, weights read: 589\.8 kB/);
    await workbench.command('Safe LoRA: Sort Adapters…');
    await workbench.pick('By agreement');
    const rows = workbench.window.locator('.tree-explorer-viewlet-tree-view .monaco-list-row');
    const directions = async (): Promise<number[]> =>
      (await rows.allInnerTexts()).map((row) =>
        Number(/ agreement ([−+]?\d\.\d\d)/.exec(row)?.[1]?.replace('−', '-') ?? 'NaN'),
      );
    await until(async () => {
      const shown = await directions();
      return shown.length > 20 && shown.every((value, i) => i === 0 || value >= shown[i - 1]!);
    }, 'the rows in the order of their directions');
    await workbench.command('View: Show Explorer');
    await (await workbench.explorerRow('adapters/benign-0')).locator('[aria-label*="Safe LoRA: measured"]').waitFor();
    await until(() => session.engineChildren().length === 0, 'the engine to stop');
  });

  it('activates with one search for adapters and no engine', async (test) => {
    const { workbench } = session;
    const took: number[] = [];
    for (let run = 0; run < 3; run++) {
      await workbench.reload();
      await until(() => scans().length === run + 2, 'the extension in the new window');
      assert.equal(session.engineChildren().length, 0);
      took.push(await workbench.activationTime('safe-lora'));
    }
    // A figure to look at: what a busy machine makes of it says nothing about the extension.
    test.diagnostic(`activation: ${took.join(', ')} ms; ${scans().join('; ')}`);
  });
});
