// Adapters, reports, settings and language models that mean harm, in a real editor: all that they hold is text, and nothing hangs.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, describe, it } from 'node:test';
import type { FrameLocator, Page } from 'playwright-core';
import { everything, hostileCase, INVISIBLE, tricks } from '../fixtures/hostile';
import { AdapterTab } from './adapter-tab';
import { project } from './command-line';
import { until } from './patience';
import { copySample, copySampleWithPair, Session } from './session';

const REPORT = 'safe_lora_report.json';
/** Of a folder, which can hold neither slashes nor, for the editor's own search, ends of lines. */
const hostileName = `x <img src=x onerror=alert(1)> [Fix](command:workbench.action.quit) ${tricks.icon} ${tricks.escapes}${tricks.bidi}`;

/** What a window asked for beside its own server, and the dialogs of its pages. */
function watch(window: Page): { requests: string[]; dialogs: string[] } {
  const seen = { requests: [] as string[], dialogs: [] as string[] };
  window.on('request', (request) => seen.requests.push(request.url()));
  window.on('dialog', (dialog) => seen.dialogs.push(dialog.message()));
  return seen;
}

/** Nothing of the tricks was taken for more than text. */
async function assertHarmless(page: Page | FrameLocator, seen: ReturnType<typeof watch>): Promise<void> {
  assert.deepEqual(seen.dialogs, []);
  assert.deepEqual(
    seen.requests.filter((url) => /hostile\.example|\/x$/.test(url)),
    [],
  );
  assert.equal(await page.locator('img[src="x"], img[src*="hostile"], script:text("alert")').count(), 0);
  assert.equal(await page.locator('a[href^="command:workbench.action.quit"], a[href*="hostile.example"]').count(), 0);
}

function assertPlain(text: string): void {
  // The browser's own ends of lines and cells, and what the editor puts between words.
  assert.doesNotMatch(text.replace(/[\n\t\u200b\u00a0]/g, ' '), INVISIBLE);
}

describe('names that are more than names', () => {
  let session: Session;
  let seen: ReturnType<typeof watch>;
  before(async () => {
    session = await Session.start({
      // The editor itself asks about line separators in a file.
      settings: { 'safeLora.selection': tricks.command, 'editor.unusualLineTerminators': 'off' },
      fill: (workspace) => {
        const { base, aligned, adapter } = hostileCase(workspace, 'adapters/plain');
        const config = join(adapter, 'adapter_config.json');
        writeFileSync(config, JSON.stringify(JSON.parse(readFileSync(config, 'utf8')), null, 2));
        cpSync(adapter, join(workspace, 'adapters', hostileName), { recursive: true });
        mkdirSync(join(workspace, '.vscode'));
        const pairs = { [`org/${everything}`]: { base, aligned } };
        writeFileSync(join(workspace, '.vscode', 'settings.json'), JSON.stringify({ 'safeLora.pairs': pairs }));
      },
    });
    seen = watch(session.workbench.window);
  });
  after(() => session.stop());

  it('make no link of a command in a notification', async () => {
    const { workbench } = session;
    const said = (await workbench.notificationCenter()).filter({ hasText: 'User settings' });
    await said.first().waitFor();
    assert.match(await said.first().innerText(), /\[Fix it\] \(command:workbench\.action\.quit\)/);
    assert.equal(await said.locator('.notification-list-item-message a').count(), 0);
    await workbench.screenshot('hostile notification');
    await workbench.command('Notifications: Clear All Notifications');
  });

  it('are text in problems, and none is endless', async () => {
    const { workbench } = session;
    await workbench.openFile('adapters/plain/adapter_config.json');
    await workbench.lens('Measure').first().waitFor();
    await until(async () => (await workbench.problems()).some((text) => text.includes('setting-unknown')), 'problems');
    const problems = (await workbench.problems()).filter((text) => text.includes('Safe LoRA'));
    for (const text of problems) {
      assertPlain(text);
      assert.ok(text.length < 2000, text);
    }
    assert.match(problems.join('\n'), /safe\\u202etxt/);
    await workbench.command('Problems: Focus on Problems View');
    await workbench.screenshot('hostile problems');
    await workbench.press('Control+Shift+M');
    await assertHarmless(workbench.window, seen);
  });

  it('are text in lenses, hints and hovers', async () => {
    const { workbench } = session;
    await workbench.openFile('adapters/plain/adapter_config.json');
    await workbench.clickLens('Measure', workbench.lens('Open Heatmap'));
    const [lenses] = await workbench.lenses();
    assert.match(lenses![0]!, /^\d of 10 modules/);
    for (const lens of lenses!) {
      assertPlain(lens);
      assert.ok(lens.length < 400, lens);
    }
    const hover = await workbench.hover('"q_proj"');
    assert.equal(await hover.locator('tbody tr').count(), 1);
    await workbench.screenshot('hostile hover');
    assert.equal(await hover.locator('img:not([src^="data:"])').count(), 0);
    await assertHarmless(workbench.window, seen);
  });

  it('are text in the view of the adapters', async () => {
    const { workbench } = session;
    await workbench.command('View: Show Safe LoRA');
    await workbench.treeRow('plain').click();
    await workbench.treeRow('layer 0').click();
    const rows = workbench.window.locator('.tree-explorer-viewlet-tree-view .monaco-list-row');
    await until(async () => (await rows.count()) >= 13, 'the modules');
    for (const text of await rows.allInnerTexts()) assertPlain(text);
    for (const label of await rows.evaluateAll((all) => all.map((row) => row.getAttribute('aria-label') ?? ''))) {
      assertPlain(label);
      assert.ok(label.length < 2500, `${label.length} letters`);
    }
    assert.equal(await rows.locator('.label-name .codicon-check').count(), 0);
    await rows.filter({ hasText: 'safe\\u202e' }).last().hover();
    await workbench.window.locator('.workbench-hover:visible').first().waitFor();
    await workbench.screenshot('hostile tree');
    await assertHarmless(workbench.window, seen);
  });

  it('are text in the questions for models', async () => {
    const { workbench } = session;
    await workbench.command('View: Close All Editors');
    await workbench.command('View: Show Explorer');
    await session.openAdapter('plain');
    await workbench.command('Safe LoRA: Choose Models…');
    await workbench.asked('Base model of plain');
    assertPlain(await workbench.quickInputText());
    const placeHolder = await workbench.window.locator('.quick-input-box input').getAttribute('placeholder');
    assertPlain(placeHolder!);
    await workbench.screenshot('hostile models');
    await workbench.press('Escape');
    await assertHarmless(workbench.window, seen);
  });

  it('are text on the page of an adapter, and leave its layout alone', async () => {
    const { workbench } = session;
    const tab = new AdapterTab(workbench);
    await tab.measured();
    const frame = workbench.page();
    assertPlain(await tab.within('body').innerText());
    const titles = await tab.within('[title]').evaluateAll((all) => all.map((one) => one.getAttribute('title')!));
    const labels = await tab
      .within('[aria-label]')
      .evaluateAll((all) => all.map((one) => one.getAttribute('aria-label')!));
    for (const text of [...titles, ...labels]) assertPlain(text);
    await assertHarmless(frame, seen);
    const [page, view] = await tab.within('body').evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(page <= view, `the page is ${page} wide in a view of ${view}`);
    await workbench.screenshot('hostile page');
    await tab.rows.last().scrollIntoViewIfNeeded();
    await tab.rows.last().hover();
    await workbench.screenshot('hostile page table');
  });

  it('are text on the page of a comparison', async () => {
    const { workbench } = session;
    await workbench.command('View: Close All Editors');
    await workbench.command('Safe LoRA: Compare Adapters');
    await workbench.asked('Safe LoRA: Compare Adapters');
    assertPlain(await workbench.quickInputText());
    await workbench.screenshot('hostile pick');
    await workbench.pick('plain');
    await workbench.chooses('Choose the second adapter, B: the difference is B − A');
    await workbench.window.locator('.quick-input-list .monaco-list-row').first().click();
    const frame = workbench.page();
    await frame.locator('.panels canvas').nth(2).waitFor();
    assertPlain(await frame.locator('body').innerText());
    assert.match(await frame.locator('h1').innerText(), /x <img src=x onerror=alert\(1\)> \[Fix\]/);
    const [page, view] = await frame.locator('body').evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(page <= view, `the page is ${page} wide in a view of ${view}`);
    await workbench.screenshot('hostile comparison');
    await assertHarmless(frame, seen);
    await assertHarmless(workbench.window, seen);
  });

  it('are text in the log', () => {
    const log = session.editor.log(/Safe LoRA/);
    assert.notEqual(log, '');
    assertPlain(log);
  });
});

describe('a saved report that is not what it seems', () => {
  let session: Session;
  let seen: ReturnType<typeof watch>;
  let whole: Record<string, unknown> & { modules: Record<string, unknown>[] };
  before(async () => {
    session = await Session.start({ fill: copySampleWithPair, settings: { 'editor.unusualLineTerminators': 'off' } });
    seen = watch(session.workbench.window);
    const { stderr } = await project(session.workspace, 'harmful', session.path('adapters', 'projected'));
    whole = JSON.parse(readFileSync(reportFile(), 'utf8')) as typeof whole;
    assert.equal(stderr.includes('safe-lora:'), false, stderr);
    await session.workbench.openFile(`adapters/projected/${REPORT}`);
    await session.workbench.lens(/^3 of 12 modules/).waitFor();
  });
  after(() => session.stop());

  const reportFile = (): string => session.path('adapters', 'projected', REPORT);

  /** Puts a text into the report, and waits for its first lens. */
  async function untilLens(text: string, first: RegExp): Promise<string[]> {
    const { workbench } = session;
    writeFileSync(reportFile(), text);
    await workbench.lens(first).first().waitFor();
    return (await workbench.lenses()).flat();
  }

  const changed = (change: object): string => JSON.stringify({ ...whole, ...change }, null, 2);

  it('shows hostile names as text', async () => {
    const name = everything;
    const modules = [{ ...whole.modules[0], name, kind: name, stack: name, similarity: 0.01, selected: false }];
    for (const lens of await untilLens(changed({ modules }), /0 of 1 modules/)) assertPlain(lens);
    await session.workbench.screenshot('hostile report');
    await assertHarmless(session.workbench.window, seen);
  });

  it('has no lens where its numbers cannot be', async () => {
    const modules = whole.modules.map((module, i) => (i === 0 ? { ...module, similarity: 7 } : module));
    writeFileSync(reportFile(), changed({ modules }));
    await session.workbench.lens(/./).first().waitFor({ state: 'detached' });
  });

  it('says where it is about another adapter', async () => {
    const modules = whole.modules.map((module) => ({ ...module, selected: true }));
    const lenses = await untilLens(changed({ modules }), /not about the adapter/);
    assert.deepEqual(lenses, ['This report is not about the adapter beside it']);
    await untilLens(changed({}), /^3 of 12 modules/);
  });
});

const devices = (workspace: string): string[] => [
  '/dev/zero',
  '/dev/stdin',
  '/proc/self/mem',
  '//host.invalid/share/model',
  '\\\\host.invalid\\share\\model',
  'file://host.invalid/share',
  'CON',
  join(workspace, 'pipe'),
];

/** Settings that name devices, pipes and other machines, and a model whose configuration is a pipe. */
function fillWithDevices(workspace: string): void {
  copySample(workspace);
  execFileSync('mkfifo', [join(workspace, 'pipe')]);
  mkdirSync(join(workspace, 'piped'));
  for (const name of ['config.json', 'model.safetensors']) execFileSync('mkfifo', [join(workspace, 'piped', name)]);
  mkdirSync(join(workspace, '.vscode'));
  const folders = [...devices(workspace), join(workspace, 'piped')];
  const pairs = Object.fromEntries(folders.map((folder, i) => [`model ${i}`, { base: folder, aligned: folder }]));
  const settings = {
    'safeLora.pairs': { ...pairs, 'toy-llama-aligned': { base: join(workspace, 'piped'), aligned: '/dev/zero' } },
    'safeLora.modelFolders': folders,
  };
  writeFileSync(join(workspace, '.vscode', 'settings.json'), JSON.stringify(settings, null, 2));
}

/** Whether somebody has opened a pipe for reading. */
function hasReader(pipe: string): boolean {
  try {
    closeSync(openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK));
    return true;
  } catch {
    return false;
  }
}

describe('settings that name devices and other machines', () => {
  let session: Session;
  before(async () => {
    session = await Session.start({ fill: fillWithDevices });
  });
  after(() => session.stop());

  it('are problems that say why, and nothing waits for them', async () => {
    const { workbench } = session;
    await workbench.openFile('.vscode/settings.json');
    await workbench.command('Problems: Focus on Problems View');
    // The list renders only the rows in view.
    for (const place of ['/dev/zero: is not', '/dev/stdin: is not', '/proc/self/mem: is not', '//host.invalid/share'])
      await workbench.window.locator('.markers-panel .monaco-list-row').filter({ hasText: place }).first().waitFor();
    await workbench.screenshot('hostile settings');
  });

  it('keep an adapter from being measured with a cause, and hang nothing', async () => {
    const { workbench } = session;
    const tab = await session.projectAdapter('harmful');
    await tab.banner(/special file|not a folder|neither model\.safetensors|holds|regular/).waitFor();
    await workbench.screenshot('hostile models of a pair');
    assert.ok(!['pipe', 'piped/config.json', 'piped/model.safetensors'].some((pipe) => hasReader(session.path(pipe))));
  });
});

describe('an untrusted workspace with such settings', () => {
  let session: Session;
  before(async () => {
    session = await Session.start({ fill: fillWithDevices, asksForTrust: true });
  });
  after(() => session.stop());

  it('has none of them looked at', async () => {
    const { workbench } = session;
    const pipes = ['pipe', 'piped/config.json', 'piped/model.safetensors'].map((name) => session.path(name));
    const tab = await session.openAdapter('harmful');
    await tab.banner('This workspace is not trusted').waitFor();
    await tab.banner('Choose the base and the aligned model').waitFor();
    for (let looks = 0; looks < 20; looks++) {
      assert.ok(!pipes.some(hasReader));
      await sleep(50);
    }
    const problems = (await workbench.problems()).join('\n');
    assert.doesNotMatch(problems, /\/dev\/zero|on this machine|host\.invalid/);
  });
});

describe('a language model that writes elsewhere', () => {
  let session: Session;
  let seen: ReturnType<typeof watch>;
  before(async () => {
    session = await Session.start({
      fill: (workspace) => {
        copySampleWithPair(workspace);
        mkdirSync(join(workspace, '..', 'outside'));
        symlinkSync(join(workspace, '..', 'outside'), join(workspace, 'linked'));
      },
    });
    seen = watch(session.workbench.window);
  });
  after(() => session.stop());

  const answerFile = (): string => join(session.editor.temporaryDir, 'tool-answer.json');

  async function call(name: string, input: object): Promise<void> {
    rmSync(answerFile(), { force: true });
    writeFileSync(join(session.editor.temporaryDir, 'tool-call.json'), JSON.stringify({ name, input }));
    await session.workbench.command('Probe: Invoke Tool');
  }

  async function answer(): Promise<{ text?: string; error?: string }> {
    await until(() => existsSync(answerFile()), 'the answer of the tool');
    return JSON.parse(readFileSync(answerFile(), 'utf8')) as { text?: string; error?: string };
  }

  it('asks with the real place, and says that it is outside the workspace', async () => {
    const outside = session.outside('outside');
    for (const output of ['../outside/copy', join(outside, 'copy'), 'linked/copy', 'projected/../../outside/copy']) {
      await call('safeLora_projectAdapter', { adapter: 'adapters/harmful', output });
      const asked = await session.workbench.dialog();
      assert.ok(asked.includes(`to the folder ${join(outside, 'copy')}.`), asked);
      assert.match(asked, /This folder is outside the workspace\./);
      await session.workbench.clickDialog('Cancel');
      assert.match((await answer()).error!, /Cancel/);
    }
    assert.deepEqual(readdirSync(outside), []);
  });

  it('is refused another machine, and what is no path', async () => {
    const cases: [object, RegExp][] = [
      [{ adapter: '//host.invalid/share' }, /is on another machine, outside the workspace/],
      [{ adapter: '\\\\host.invalid\\share' }, /is on another machine, outside the workspace/],
      [{ adapter: 'adapters/harmful', output: '//host.invalid/share' }, /is on another machine/],
      [{ adapter: '/dev/zero' }, /there is no such folder/],
      [{ adapter: { __proto__: null } }, /is not the path of a folder/],
    ];
    for (const [input, wanted] of cases) {
      await call('safeLora_projectAdapter', input);
      assert.match((await answer()).error!, wanted);
    }
  });

  it('is asked, and told, in plain text', async () => {
    const { workbench } = session;
    const output = `projected ${tricks.command}${tricks.html}${tricks.escapes}${tricks.bidi}`;
    await call('safeLora_projectAdapter', { adapter: 'adapters/harmful', output });
    assertPlain(await workbench.dialog());
    await workbench.screenshot('hostile tool');
    await assertHarmless(workbench.window, seen);
    await workbench.clickDialog('Cancel');
    await answer();
    await call('safeLora_inspectAdapter', { adapter: `adapters/${everything}` });
    const { error } = await answer();
    assertPlain(error!);
    assert.match(error!, /safe\\u202etxt/);
  });
});
