// The main way in a real editor: see, choose, apply, save, undo, restore; and every byte as the command line writes it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, utimesSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { cli, sample } from '../fixtures/make';
import { AdapterTab } from './adapter-tab';
import { modelsOf, projectedWeights } from './command-line';
import { until } from './patience';
import { copySampleWithPair, MODEL_FILE, Session } from './session';

interface Reference {
  similarity: Record<string, number>;
  selected: string[];
}

const references = JSON.parse(readFileSync(join(sample, 'reference.json'), 'utf8')) as Record<string, Reference>;
const models = modelsOf(sample);
const original = (adapter: string): Buffer => readFileSync(join(sample, 'adapters', adapter, MODEL_FILE));

function agrees(tab: { name: string; similarity: number }[] | Map<string, number>, reference: Reference): void {
  const found = tab instanceof Map ? tab : new Map(tab.map(({ name, similarity }) => [name, similarity]));
  assert.deepEqual([...found.keys()].sort(), Object.keys(reference.similarity).sort());
  // The table shows three decimals.
  const tolerance = tab instanceof Map ? 2e-4 : 7e-4;
  for (const [name, similarity] of found) {
    assert.ok(Math.abs(similarity - reference.similarity[name]!) <= tolerance, `${name}: ${similarity}`);
  }
}

describe('the first adapter of a workspace', () => {
  let session: Session;
  before(async () => {
    session = await Session.start();
  });
  after(() => session.stop());

  it('opens from the palette, proposes the pair that lies there, and shows the reference values', async () => {
    const { workbench } = session;
    await workbench.command('Safe LoRA: Project Adapter');
    await workbench.asked('Project which adapter?');
    await workbench.pick('harmful');
    await workbench.asked('Base model of harmful');
    // The pair that lies there is the first entry, and chosen already.
    await workbench.press('Enter');
    const tab = new AdapterTab(workbench);
    await tab.measured();
    agrees(await tab.table(), references.harmful!);
    agrees(await tab.chartValues(), references.harmful!);
    await tab.findingIs('3 of 12 modules at or below τ = 0.35, in layers 1, 2, 4');
    const selected = (await tab.table()).filter((row) => row.selected).map((row) => row.name);
    assert.deepEqual(selected.sort(), references.harmful!.selected.sort());
  });

  it('says what is wrong with a folder that is no model, and asks again', async () => {
    const { workbench } = session;
    const tab = new AdapterTab(workbench);
    await tab.within('[aria-label="Change… Base"]').click();
    await workbench.asked('Base model of harmful');
    await workbench.pick('Browse…');
    await workbench.fileDialog(
      'Base model of harmful: the pretrained one, before alignment',
      session.path('adapters', 'benign'),
    );
    assert.match(
      await workbench.dialog(),
      /benign: is an adapter, not a whole model; give the folder of the model itself/,
    );
    await workbench.clickDialog('Cancel');
    assert.match(await tab.within('.models').innerText(), /base/);
  });

  it('remembers the pair, so that the next adapter on the same model starts by itself', async () => {
    const tab = await session.projectAdapter('mixed-all');
    await tab.measured();
    agrees(await tab.table(), references['mixed-all']!);
    const settings = readFileSync(session.path('.vscode', 'settings.json'), 'utf8');
    assert.deepEqual((JSON.parse(settings) as Record<string, unknown>)['safeLora.pairs'], {
      'toy-llama-aligned': { base: session.path('base'), aligned: session.path('aligned') },
    });
  });

  it('stands in the context menu of a folder, of its weights and of its configuration, and nowhere else', async () => {
    const { workbench } = session;
    for (const path of ['adapters/benign', `adapters/benign/${MODEL_FILE}`, 'adapters/benign/adapter_config.json']) {
      const entries = [
        'Open Heatmap',
        'Measure Adapter',
        'Project Adapter',
        'Measure Behaviour…',
        // Adapters are compared by their folders.
        ...(path === 'adapters/benign' ? ['Compare Adapters'] : []),
        'Choose Models…',
        'Restore Original Weights',
      ];
      assert.deepEqual(await workbench.adapterMenu(path), entries, path);
      await workbench.closeMenu();
    }
    for (const path of ['adapters', 'base', 'base/config.json']) {
      assert.ok(!(await workbench.explorerMenu(path)).includes('Safe LoRA'), path);
      await workbench.press('Escape');
    }
  });
});

for (const autoSave of [false, true]) {
  describe(`with auto save ${autoSave ? 'on' : 'off'}`, () => {
    let session: Session;
    before(async () => {
      const settings = autoSave ? { 'files.autoSave': 'afterDelay', 'files.autoSaveDelay': 200 } : {};
      session = await Session.start({ fill: copySampleWithPair, settings });
    });
    after(() => session.stop());

    it('applies, saves what the command line would, undoes, redoes, and restores bit for bit', async () => {
      const { workbench } = session;
      const file = session.modelFile('harmful');
      const onDisk = (): Buffer => readFileSync(file);
      const wanted = await projectedWeights(session, 'harmful', '--threshold', '0.52');
      const tab = await session.projectAdapter('harmful');
      await tab.measured();
      await tab.setThreshold(0.52);
      await tab.findingIs('5 of 12 modules at or below τ = 0.52');
      await tab.button('Project 5 Modules').click();
      if (autoSave) {
        assert.match(await workbench.dialog(), /Auto Save is on, so this edit is written to harmful at once/);
        await workbench.clickDialog('Write to Disk');
      } else {
        await until(() => workbench.isDirty(MODEL_FILE), 'the dirty mark');
        assert.deepEqual(onDisk(), original('harmful'), 'nothing is written before Save');
        await workbench.press('Control+s');
      }
      await until(() => onDisk().equals(wanted), 'the bytes of safe-lora project');
      await tab
        .within('.headline')
        .filter({ hasText: /agreement of all modules \S+ → \S+/ })
        .waitFor();
      await until(async () => !(await workbench.isDirty(MODEL_FILE)), 'no dirty mark');
      await workbench.notification('safe_lora_original.safetensors').waitFor();
      await tab.banner('5 modules projected in the file').waitFor();

      await workbench.command('Undo');
      if (!autoSave) {
        await until(() => workbench.isDirty(MODEL_FILE), 'Undo makes it dirty');
        await workbench.press('Control+s');
      }
      await until(() => onDisk().equals(original('harmful')), 'Undo gives the first file back');
      await workbench.command('Redo');
      if (!autoSave) {
        await until(() => workbench.isDirty(MODEL_FILE), 'Redo makes it dirty');
        await workbench.press('Control+s');
      }
      await until(() => onDisk().equals(wanted), 'Redo gives the projection again');

      await tab.setThreshold(0.35);
      await tab.button('Project 3 Modules').click();
      const fewer = await projectedWeights(session, 'harmful', '--threshold', '0.35');
      if (!autoSave) await tab.button('Save').first().click();
      await until(() => onDisk().equals(fewer), 'a second save, at another threshold');
      await workbench.command('Safe LoRA: Restore Original Weights');
      await until(() => onDisk().equals(original('harmful')), 'the first file, bit for bit');
      await until(async () => !(await workbench.isDirty(MODEL_FILE)), 'Restore saves');
      const { status } = await cli(['inspect', session.path('adapters', 'harmful'), ...models, '--quiet']);
      assert.equal(status, 0);
    });

    if (autoSave) {
      it('offers a copy instead of writing to disk', async () => {
        const { workbench } = session;
        const tab = await session.projectAdapter('mixed');
        await tab.measured();
        await tab.button(/^Project \d/).click();
        await workbench.dialog();
        await workbench.clickDialog('Save a Copy…');
        mkdirSync(session.outside('mixed'));
        await workbench.fileDialog('Save As', session.outside('mixed', MODEL_FILE));
        const wanted = await projectedWeights(session, 'mixed', '--threshold', '0.35');
        const copy = session.outside('mixed', MODEL_FILE);
        await until(() => existsSync(copy) && readFileSync(copy).equals(wanted), 'the copy');
        assert.deepEqual(readFileSync(session.modelFile('mixed')), original('mixed'));
      });
    }
  });
}

describe('an open adapter', () => {
  let session: Session;
  before(async () => {
    session = await Session.start({ fill: copySampleWithPair });
  });
  after(() => session.stop());

  it('opens on double-click without measuring, and shows every module', async () => {
    const tab = await session.openAdapter('benign');
    await tab.banner('Nothing is measured yet.').waitFor();
    assert.equal(await tab.rows.count(), 12);
    assert.deepEqual(session.engineChildren(), [], 'no engine yet');
    await tab.button('Measure').click();
    await tab.measured();
    agrees(await tab.table(), references.benign!);
  });

  it('counts, overrides by hand, and resets', async () => {
    const tab = new AdapterTab(session.workbench);
    const before = (await tab.table()).filter(({ selected }) => selected).map(({ name }) => name);
    assert.ok(before.length > 0);
    await tab.within('vscode-radio').filter({ hasText: 'Count K' }).click();
    const field = tab.within('vscode-text-field:visible[aria-label^="Count K"] input');
    // Changing the rule alone changes no selection.
    assert.equal(await field.inputValue(), String(before.length));
    await tab.findingIs(`${before.length} of 12 modules, those with the lowest similarity`);
    await field.fill('4');
    await tab.findingIs('4 of 12 modules, those with the lowest similarity');
    const added = (await tab.table()).find((row) => !row.selected)!.name;
    await tab.row(added).click();
    await session.workbench.press('Space');
    await tab.findingIs('5 of 12 modules selected');
    await tab.within('.by-hand').filter({ hasText: 'By hand: 1 added, 0 removed' }).waitFor();
    assert.match(await tab.row(added).innerText(), /yes · by hand/);
    // The cell of the same module takes it back.
    const cell = (await tab.table()).findIndex((row) => row.name === added);
    await tab
      .within('canvas')
      .first()
      .click({ position: await cellCentre(tab, cell) });
    await tab.findingIs('4 of 12 modules, those with the lowest similarity');
    await tab.row(added).click();
    await session.workbench.press('Space');
    await tab.within('.by-hand .link').click();
    await tab.findingIs('4 of 12 modules, those with the lowest similarity');
  });

  it('sorts and filters its table', async () => {
    const tab = new AdapterTab(session.workbench);
    await tab.within('th[data-column=similarity] button').click();
    const sorted = (await tab.table()).map((row) => row.similarity);
    assert.deepEqual(
      sorted,
      sorted.toSorted((a, b) => a - b),
    );
    const filter = tab.within('vscode-text-field[aria-label^="Filter by name"] input');
    const layers = tab.within('vscode-text-field[aria-label^="Layers"] input');
    await filter.fill('layers.3');
    assert.equal(await tab.rows.count(), 2);
    await filter.fill('nothing like it');
    await tab.within('.empty').filter({ hasText: 'No module matches the filter.' }).waitFor();
    await filter.fill('/[qv]_proj$/');
    await layers.fill('0, 3-4');
    assert.equal(await tab.rows.count(), 6);
    await tab.button(/^\s*Select Shown/).click();
    await tab.within('.by-hand').filter({ hasText: '5 added, 0 removed' }).waitFor();
    await tab.button('Deselect Shown').click();
    await tab.within('.by-hand').filter({ hasText: '0 added, 1 removed' }).waitFor();
    await tab.within('.by-hand button').click();
    await filter.fill('');
    await layers.fill('');
  });

  it('exports the report of the command line, CSV, PNG and Markdown', async () => {
    const { workbench } = session;
    const tab = new AdapterTab(workbench);
    const exportAs = async (entry: string, name: string): Promise<Buffer> => {
      await tab.button('Export').click();
      await tab.within('[role=menuitem]:visible').filter({ hasText: entry }).click();
      await workbench.fileDialog('Export', session.outside(name));
      await until(() => existsSync(session.outside(name)), name);
      return readFileSync(session.outside(name));
    };
    const report = JSON.parse((await exportAs('Report as JSON', 'report.json')).toString()) as {
      schema: string;
      modules: { selected: boolean; similarity: number }[];
    };
    const { stdout } = await cli([
      'inspect',
      session.path('adapters', 'benign'),
      ...models,
      '--count',
      '4',
      '--json',
      '-',
    ]);
    const byCommandLine = JSON.parse(stdout) as typeof report;
    assert.equal(report.schema, byCommandLine.schema);
    assert.deepEqual(report.modules, byCommandLine.modules);
    const csv = (await exportAs('Report as CSV', 'report.csv')).toString().trim().split('\r\n');
    assert.equal(csv.length, 13);
    assert.match(csv[0]!, /^name,stack,layer,kind/);
    const png = await exportAs('Heatmap as PNG', 'heatmap.png');
    assert.equal(png.subarray(1, 4).toString(), 'PNG');
    await tab.button('Copy as Markdown').click();
    await until(
      async () =>
        (await workbench.window.evaluate(() => navigator.clipboard.readText())).includes(
          '| `model.layers.0.self_attn.q_proj` |',
        ),
      'the table in the clipboard',
    );
  });

  it('brings unsaved edits back after the window is reloaded', async () => {
    const { workbench } = session;
    const tab = new AdapterTab(workbench);
    await tab.button('Project 4 Modules').click();
    await until(() => workbench.isDirty(MODEL_FILE), 'the dirty mark');
    await tab.banner('4 modules projected, not saved').waitFor();
    // In a browser the editor cannot hold a window open until it has kept its edits, so that they must be kept by then.
    await until(() => session.keptEdits() > 0, 'the edits to be kept');
    await workbench.reload();
    const back = new AdapterTab(workbench);
    await back.banner('4 modules projected, not saved').waitFor();
    await until(() => workbench.isDirty(MODEL_FILE), 'still dirty');
    await workbench.press('Control+s');
    const wanted = await projectedWeights(session, 'benign', '--count', '4');
    await until(() => readFileSync(session.modelFile('benign')).equals(wanted), 'the bytes of safe-lora project');
  });

  it('shows a projected adapter with its originals’ measures and its own selection', async () => {
    const { workbench } = session;
    await workbench.command('View: Close All Editors');
    const tab = await session.projectAdapter('benign');
    await tab.measured();
    await tab.findingIs('4 of 12 modules, those with the lowest similarity');
    await tab.banner('4 modules projected in the file').waitFor();
    agrees(await tab.table(), references.benign!);
  });
});

describe('what goes beyond one file', () => {
  let session: Session;
  before(async () => {
    session = await Session.start({
      fill: (workspace) => {
        copySampleWithPair(workspace);
        symlinkSync(join(workspace, 'adapters', 'harmful'), join(workspace, 'adapters', 'linked'));
      },
    });
  });
  after(() => session.stop());

  it('saves a patch, applies it again, and refuses it on another adapter', async () => {
    const { workbench } = session;
    const tab = await session.projectAdapter('benign');
    await tab.measured();
    await tab.button('Project 8 Modules').click();
    await until(() => workbench.isDirty(MODEL_FILE), 'the dirty mark');
    await workbench.press('Control+s');
    await until(() => !readFileSync(session.modelFile('benign')).equals(original('benign')), 'saved');
    const patch = session.outside('benign.safelora.safetensors');
    const projected = readFileSync(session.modelFile('benign'));
    await workbench.command('Safe LoRA: Save Patch…');
    await workbench.fileDialog('Save Patch', patch);
    await workbench.notification('Patch saved').waitFor();
    await workbench.command('Safe LoRA: Restore Original Weights');
    await until(() => readFileSync(session.modelFile('benign')).equals(original('benign')), 'the original');
    await workbench.command('Safe LoRA: Apply Patch…');
    await workbench.fileDialog('Patch for benign', patch);
    await tab.banner('8 modules projected, not saved').waitFor();
    await tab.button('Save').first().click();
    await until(() => readFileSync(session.modelFile('benign')).equals(projected), 'the patched bytes');
    await workbench.command('View: Close All Editors');
    await session.openAdapter('mixed');
    await workbench.command('Safe LoRA: Apply Patch…');
    await workbench.fileDialog('Patch for mixed', patch);
    await workbench.notification(/was made from another adapter/).waitFor();
    assert.ok(!(await workbench.isDirty(MODEL_FILE)));
    assert.deepEqual(readFileSync(session.modelFile('mixed')), original('mixed'));
  });

  it('saves as another adapter, which loads, and refuses a folder that holds one', async () => {
    const { workbench } = session;
    await workbench.command('View: Close All Editors');
    const tab = await session.projectAdapter('mixed');
    await tab.measured();
    await tab.button(/^Project \d/).click();
    await until(() => workbench.isDirty(MODEL_FILE), 'the dirty mark');
    await tab.button('Save As…').click();
    await workbench.fileDialog('Save As', session.path('adapters', 'harmful', MODEL_FILE));
    await workbench.asked('already exists');
    await workbench.press('Enter');
    await workbench.notification(/contains an adapter already/).waitFor();
    assert.deepEqual(readFileSync(session.modelFile('harmful')), original('harmful'));
    await tab.button('Save As…').click();
    const target = session.path('adapters', 'mixed-projected', MODEL_FILE);
    mkdirSync(dirname(target));
    await workbench.fileDialog('Save As', target);
    const wanted = await projectedWeights(session, 'mixed', '--threshold', '0.35');
    await until(() => existsSync(target) && readFileSync(target).equals(wanted), 'the copy');
    const saved = new AdapterTab(workbench);
    await saved.title.filter({ hasText: 'mixed-projected' }).waitFor();
    assert.ok(existsSync(session.path('adapters', 'mixed-projected', 'adapter_config.json')));
    assert.deepEqual(readFileSync(session.modelFile('mixed')), original('mixed'), 'the source is untouched');
    const { status, stderr } = await cli([
      'inspect',
      session.path('adapters', 'mixed-projected'),
      ...models,
      '--quiet',
    ]);
    assert.equal(status, 0, stderr);
  });

  it('is read-only where it is a link, and saves what is selected elsewhere', async () => {
    const { workbench } = session;
    await workbench.command('View: Close All Editors');
    await workbench.command('Safe LoRA: Project Adapter');
    await workbench.asked('Project which adapter?');
    await workbench.pick('linked');
    const tab = new AdapterTab(workbench);
    await tab.banner('Read-only: the adapter is a symbolic link').waitFor();
    await tab.measured();
    assert.ok(await tab.button(/^Project \d/).evaluate((control) => (control as HTMLButtonElement).disabled));
    await tab.button('Save As…').click();
    const target = session.outside('from-link', MODEL_FILE);
    mkdirSync(dirname(target));
    await workbench.fileDialog('Save As', target);
    await until(() => existsSync(target), 'the copy');
    const { modules } = provenanceOf(target);
    assert.deepEqual(modules.sort(), references.harmful!.selected.sort());
  });

  it('becomes read-only when its folder becomes a link, keeps the edit, and saves it once it can', async () => {
    const { workbench } = session;
    await workbench.command('View: Close All Editors');
    const tab = await session.projectAdapter('mixed-all');
    await tab.measured();
    await tab.button(/^Project \d/).click();
    await workbench.untilDirty(MODEL_FILE);
    const [folder, moved] = [session.path('adapters', 'mixed-all'), session.outside('moved')];
    renameSync(folder, moved);
    symlinkSync(moved, folder);
    await workbench.command('File: Save');
    await tab.banner('Read-only: the adapter is a symbolic link').waitFor();
    assert.ok(await workbench.isDirty(MODEL_FILE));
    rmSync(folder);
    renameSync(moved, folder);
    await workbench.command('File: Save');
    await workbench.untilDirty(MODEL_FILE, false);
    await tab.banner('Read-only').waitFor({ state: 'detached' });
    assert.deepEqual(
      provenanceOf(session.modelFile('mixed-all')).modules.length,
      references['mixed-all']!.selected.length,
    );
    await tab.button('Restore Originals').click();
    await until(() => readFileSync(session.modelFile('mixed-all')).equals(original('mixed-all')), 'the original');
  });

  it('notices a change on disk, refuses to save over it, and reloads', async () => {
    const { workbench } = session;
    await workbench.command('View: Close All Editors');
    const tab = await session.projectAdapter('mixed-all');
    await tab.measured();
    await tab.button(/^Project \d/).click();
    await until(() => workbench.isDirty(MODEL_FILE), 'the dirty mark');
    const file = session.modelFile('mixed-all');
    utimesSync(file, new Date(), new Date(Date.now() + 60_000));
    await tab.banner('The file changed on disk').waitFor();
    await workbench.press('Control+s');
    await workbench.notification(/was changed on disk after it was opened/).waitFor();
    assert.deepEqual(readFileSync(file), original('mixed-all'));
    await tab.banner('The file changed on disk').locator('vscode-button').click();
    await tab.banner('The file changed on disk').waitFor({ state: 'detached' });
    await until(async () => !(await workbench.isDirty(MODEL_FILE)), 'nothing applied any more');
  });

  it('says of an adapter without originals that they are gone, and does not select them', async () => {
    const { workbench } = session;
    await workbench.command('View: Close All Editors');
    cpSync(session.outside('by-command-line'), session.path('adapters', 'by-cli'), { recursive: true });
    const tab = await session.projectAdapter('by-cli');
    await tab.measured();
    await tab.banner(/projected in this file, and the original weights are gone/).waitFor();
    const gone = provenanceOf(session.modelFile('by-cli')).modules;
    assert.ok(gone.length > 0);
    for (const { name, selected } of await tab.table()) if (gone.includes(name)) assert.ok(!selected, name);
    await workbench.command('Safe LoRA: Restore Original Weights');
    await workbench.notification(/the original weights were not kept/).waitFor();
  });
});

describe('with the originals in the workspace’s storage', () => {
  let session: Session;
  before(async () => {
    session = await Session.start({
      fill: copySampleWithPair,
      settings: { 'safeLora.keepOriginals': 'workspaceStorage' },
    });
  });
  after(() => session.stop());

  it('saves without a word about them and without a file beside, and restores', async () => {
    const { workbench } = session;
    const tab = await session.projectAdapter('harmful');
    await tab.measured();
    await tab.button('Project 3 Modules').click();
    await tab.banner('3 modules projected, not saved').waitFor();
    await tab.button('Save').first().click();
    await tab.banner('3 modules projected in the file').waitFor();
    assert.ok(!existsSync(session.path('adapters', 'harmful', 'safe_lora_original.safetensors')));
    assert.deepEqual(await workbench.notifications(), []);
    await workbench.command('View: Close All Editors');
    const again = await session.openAdapter('harmful');
    await again.banner('3 modules projected in the file').waitFor();
    await workbench.command('Safe LoRA: Restore Original Weights');
    await until(() => readFileSync(session.modelFile('harmful')).equals(original('harmful')), 'the first file');
  });
});

describe('a git diff of an adapter', () => {
  let session: Session;
  before(async () => {
    session = await Session.start({
      fill: (workspace) => {
        copySampleWithPair(workspace);
        const git = (...args: string[]): void => {
          const identity = ['-c', 'user.name=test', '-c', 'user.email=test@example.org'];
          const { status, stderr } = spawnSync('git', [...identity, ...args], { cwd: workspace, encoding: 'utf8' });
          assert.equal(status, 0, stderr);
        };
        git('init', '--quiet');
        git('add', '--all');
        git('commit', '--quiet', '--message', 'adapters');
        cpSync(join(workspace, 'adapters', 'mixed', MODEL_FILE), join(workspace, 'adapters', 'harmful', MODEL_FILE));
      },
      settings: { 'git.enabled': true },
    });
  });
  after(() => session.stop());

  it('shows the committed adapter read-only, with the reason, beside the present one', async () => {
    const { workbench } = session;
    await session.openAdapter('harmful');
    await workbench.window.locator('.editor-actions [aria-label^="Open Changes"]').first().click();
    const sides = [0, 1].map((index) => new AdapterTab(workbench, index));
    const isCommitted = async (side: AdapterTab): Promise<boolean> =>
      (await side.banner('Read-only: this is not a file on disk').count()) === 1;
    let committed = sides[0]!;
    await until(async () => {
      for (const side of sides) if (await isCommitted(side)) committed = side;
      return isCommitted(committed);
    }, 'the committed side');
    const present = sides.find((side) => side !== committed)!;
    await present.banner('Nothing is measured yet.').waitFor();
    await committed.button('Measure').click();
    await committed.measured();
    agrees(await committed.table(), references.harmful!);
    assert.ok(await committed.button(/^Project \d/).evaluate((control) => (control as HTMLButtonElement).disabled));
    await present.button('Measure').click();
    await present.measured();
    agrees(await present.table(), references.mixed!);
  });
});

function provenanceOf(file: string): { modules: string[] } {
  const bytes = readFileSync(file);
  const header = bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE(0))).toString();
  const { __metadata__: metadata } = JSON.parse(header) as { __metadata__: { safe_lora: string } };
  return JSON.parse(metadata.safe_lora) as { modules: string[] };
}

/** Where the cell of the module in this row of the table lies in the heatmap, in two columns. */
async function cellCentre(tab: AdapterTab, row: number): Promise<{ x: number; y: number }> {
  return tab
    .within('canvas')
    .first()
    .evaluate((_, index) => {
      const { heatmap } = (window as unknown as { safeLoraPage: { heatmap: { charts: ChartHandle[] } } }).safeLoraPage;
      const { x, y, width, height } = heatmap.charts[0]!.getDatasetMeta(0).data[index]!;
      return { x: x + width / 2, y: y + height / 2 };
    }, row);
}

interface ChartHandle {
  getDatasetMeta(index: number): { data: { x: number; y: number; width: number; height: number }[] };
}
