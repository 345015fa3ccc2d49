// What an adapter's user sees without opening its editor: lens, hints, hover and reports beside the configuration and the saved report.
import assert from 'node:assert/strict';
import { appendFileSync, cpSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Report } from '../../src/core/report';
import { cli, randomTensor, writeAdapter } from '../fixtures/make';
import { AdapterTab } from './adapter-tab';
import { modelsOf, project, reportOf } from './command-line';
import { again, until } from './patience';
import { copySampleWithPair, MODEL_FILE, Session } from './session';

const two = (value: number): string => Math.abs(value).toFixed(2);
const signed = (value: number): string =>
  Number(two(value)) === 0 ? two(value) : `${value < 0 ? '−' : '+'}${two(value)}`;
const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

async function untilLens(session: Session, text: string | RegExp): Promise<void> {
  await session.workbench.lens(text).first().waitFor();
}

async function openConfig(session: Session, adapter: string): Promise<void> {
  await session.workbench.openFile(`adapters/${adapter}/adapter_config.json`);
}

describe('the configuration of an adapter', () => {
  let session: Session;
  let report: Report;
  before(async () => {
    // A user may read it in any language mode.
    const settings = { 'files.associations': { 'adapter_config.json': 'plaintext' } };
    session = await Session.start({ fill: copySampleWithPair, settings });
    report = await reportOf(session.workspace, 'mixed-all');
  });
  after(() => session.stop());

  it('says before any run only what its own text says', async () => {
    const { workbench } = session;
    await openConfig(session, 'mixed-all');
    await untilLens(session, 'Measure');
    assert.deepEqual(await workbench.lenses(), [['Measure']]);
    for (const key of ['"lora_alpha"', '"r"']) await workbench.line(key).filter({ hasText: 'scale α/r = 2' }).waitFor();
    assert.equal(session.engineChildren().length, 0);
  });

  it('shows the finding once it is measured, with the numbers of the command line', async () => {
    const { workbench } = session;
    await workbench.clickLens('Measure', workbench.lens('Open Heatmap'));
    const lowest = report.modules.reduce((low, module) => (module.similarity! < low.similarity! ? module : low));
    const finding = [
      `${report.totals.selected} of 42 modules at or below τ = 0.35`,
      `lowest: layer ${lowest.layer} ${lowest.kind} ${two(lowest.similarity!)}, chance ${two(lowest.nullSimilarity!)}`,
      `agreement ${signed(report.totals.direction!)}`,
    ].join(' · ');
    assert.deepEqual(await workbench.lenses(), [[finding, 'Project 27 Modules', 'Open Heatmap']]);
  });

  it('shows beside each target its means and how many are selected', async () => {
    for (const kind of report.adapter.targetModules) {
      const modules = report.modules.filter((module) => module.kind === kind);
      const hint = [
        `similarity ${two(mean(modules.map(({ similarity }) => similarity!)))}`,
        `agreement ${signed(mean(modules.map(({ direction }) => direction!)))}`,
        `${modules.filter(({ selected }) => selected).length}/6`,
      ].join(' · ');
      await session.workbench.line(`"${kind}"`).filter({ hasText: hint }).waitFor();
    }
  });

  it('shows the layers of a target on hover, as a table and a picture', async () => {
    const hover = await session.workbench.hover('"down_proj"');
    const rows = (await hover.locator('tbody tr').allInnerTexts()).map((row) => row.split(/\s+/).slice(0, 2).join(' '));
    const modules = report.modules.filter(({ kind }) => kind === 'down_proj');
    assert.deepEqual(
      rows,
      modules.map(({ layer, similarity }) => `${layer} ${two(similarity!)}`),
    );
    const picture = await hover.locator('img').first().getAttribute('src');
    const svg = Buffer.from(/^data:image\/svg\+xml;base64,(.+)$/.exec(picture ?? '')![1]!, 'base64').toString();
    assert.equal(svg.match(/<rect /g)?.length, 6);
    assert.match(svg, /stroke-dasharray/);
    await session.workbench.screenshot('inline hover');
    await session.workbench.press('Escape');
  });

  it('stands among the problems with a code, as information', async () => {
    const problems = await session.workbench.problems();
    const found = problems.filter((problem) => problem.includes('Safe LoRA'));
    assert.equal(found.length, 1, problems.join('\n'));
    assert.match(found[0]!, /27 of 42 modules at or below τ = 0.35 .*modules-selected/);
  });

  it('explains the code on the page of codes', async () => {
    const { workbench } = session;
    await workbench.press('Control+Shift+M');
    const code = workbench.window.locator('.markers-panel a').filter({ hasText: 'modules-selected' });
    await code.click({ modifiers: ['Control'] });
    await workbench.text('codes.md').locator('.view-line').filter({ hasText: '| `modules-selected` |' }).waitFor();
    await workbench.press('Control+Shift+M');
    await openConfig(session, 'mixed-all');
  });

  it('shows in the status bar where it was measured, the rule, and what that selects', async () => {
    await session.workbench.window
      .locator('.statusbar-item')
      .filter({ hasText: 'cpu · τ 0.35 · 27 selected' })
      .waitFor();
  });

  it('has it again in a new window, without reading a weight', async () => {
    await session.workbench.reload();
    await openConfig(session, 'mixed-all');
    await untilLens(session, /27 of 42 modules at or below τ = 0.35/);
    assert.equal(session.engineChildren().length, 0);
    const tab = new AdapterTab(session.workbench);
    await session.workbench.clickLens('Open Heatmap', tab.title);
    await tab.measured();
    await tab.findingIs('27 of 42 modules at or below τ = 0.35');
    assert.equal(session.engineChildren().length, 0);
  });

  it('applies every module of a result that holds no projections', async () => {
    const { workbench } = session;
    const tab = new AdapterTab(workbench);
    await tab.setThreshold(1);
    await tab.findingIs('42 of 42 modules');
    await tab.button(/^Project \d/).click();
    await tab.banner('42 modules projected, not saved').waitFor();
    await workbench.command('File: Revert File');
    await workbench.untilDirty(MODEL_FILE, false);
    await workbench.command('View: Close All Editors');
  });

  it('projects what is selected as an unsaved edit; what was kept is only numbers, so that the engine runs again', async () => {
    await openConfig(session, 'mixed-all');
    await session.workbench.clickLens('Project 27 Modules', session.workbench.dirtyTab(MODEL_FILE));
    await new AdapterTab(session.workbench).banner('27 modules projected, not saved').waitFor();
    await openConfig(session, 'mixed-all');
    await untilLens(session, 'unsaved edit');
    assert.equal((await session.workbench.lenses())[0]![0], 'unsaved edit');
    await session.openAdapter('mixed-all');
    await session.workbench.command('File: Save');
    await session.workbench.untilDirty(MODEL_FILE, false);
    const out = session.outside('projected');
    const original = session.outside('original');
    cpSync(session.path('adapters', 'mixed-all'), original, { recursive: true });
    cpSync(join('sample', 'adapters', 'mixed-all', MODEL_FILE), join(original, MODEL_FILE));
    rmSync(join(original, 'safe_lora_original.safetensors'));
    rmSync(join(original, 'safe_lora_report.json'));
    const { status, stderr } = await cli(['project', original, ...modelsOf(session.workspace), '--out', out]);
    assert.equal(status, 0, stderr);
    const tensors = (file: string): Buffer => {
      const bytes = readFileSync(file);
      return bytes.subarray(8 + Number(bytes.readBigUInt64LE(0)));
    };
    assert.deepEqual(tensors(session.modelFile('mixed-all')), tensors(join(out, MODEL_FILE)));
  });

  it('says afterwards what is projected, still holds, and restores', async () => {
    const { workbench } = session;
    await openConfig(session, 'mixed-all');
    await untilLens(session, '27 modules projected');
    const lenses = (await workbench.lenses())[0]!;
    assert.deepEqual(lenses.slice(0, -1), ['27 modules projected', 'Open Heatmap', 'Restore']);
    assert.match(lenses.at(-1)!, /^before projection: 27 of 42 modules/);
    await workbench.line('"k_proj"').filter({ hasText: 'before: similarity' }).waitFor();
    await workbench.screenshot('inline projected');
    assert.ok(!(await workbench.problems()).some((problem) => problem.includes('Safe LoRA')));
    const row = await workbench.explorerRow('adapters/mixed-all');
    await row.locator('[aria-label*="Safe LoRA: 27 modules projected"]').waitFor();
    await workbench.clickLens('Restore', workbench.notification('Original weights restored'));
    await openConfig(session, 'mixed-all');
    await workbench.lens('27 modules projected').waitFor({ state: 'detached' });
    await untilLens(session, /27 of 42 modules/);
    const original = readFileSync(join('sample', 'adapters', 'mixed-all', MODEL_FILE));
    assert.deepEqual(readFileSync(session.modelFile('mixed-all')), original);
  });

  it('says at once that its result is stale when the adapter or a model changes, and shows no number of it', async () => {
    const { workbench } = session;
    const file = session.modelFile('mixed-all');
    const original = readFileSync(file);
    const changed = Buffer.from(original);
    changed[changed.length - 1]! ^= 1;
    writeFileSync(file, changed);
    await untilLens(session, 'The adapter has changed since it was measured');
    await workbench.lens(/27 of 42/).waitFor({ state: 'detached' });
    await workbench.line('"k_proj"').filter({ hasText: 'similarity' }).waitFor({ state: 'detached' });
    assert.ok((await workbench.problems()).some((problem) => /Measure it again.*adapter-modified/.test(problem)));
    // The same bytes are the same adapter, whenever they were written.
    writeFileSync(file, original);
    await untilLens(session, /27 of 42 modules/);
    // The configuration says what the weights mean; a tab that has the adapter open takes it up.
    const config = session.path('adapters', 'mixed-all', 'adapter_config.json');
    appendFileSync(config, '\n');
    await untilLens(session, 'The adapter has changed since it was measured');
    await workbench.clickLens('Measure Again', workbench.lens(/27 of 42 modules/));
    const later = new Date(Date.now() + 5000);
    utimesSync(session.path('base', 'model.safetensors'), later, later);
    await untilLens(session, 'The models have changed since the adapter was measured');
    await workbench.clickLens('Measure Again', workbench.lens(/27 of 42 modules/));
  });

  it('projects with no model but the one that was measured', async () => {
    const { workbench } = session;
    await workbench.command('View: Close All Editors');
    const tab = await session.openAdapter('mixed-all');
    await tab.measured();
    const later = new Date(Date.now() + 10_000);
    utimesSync(session.path('base', 'model.safetensors'), later, later);
    await tab.button(/^Project \d/).click();
    await workbench.notification('the models have changed on disk since the adapter was measured').waitFor();
    await tab.button('Measure').click();
    await tab.measured();
    await openConfig(session, 'mixed-all');
    await untilLens(session, /27 of 42 modules/);
  });

  it('follows the settings without another run', async () => {
    const path = session.path('.vscode', 'settings.json');
    const settings = JSON.parse(readFileSync(path, 'utf8')) as object;
    writeFileSync(path, JSON.stringify({ ...settings, 'safeLora.selection': 'count', 'safeLora.count': 5 }));
    await untilLens(session, /5 of 42 modules, those with the lowest similarity/);
    writeFileSync(path, JSON.stringify({ ...settings, 'safeLora.threshold': 0.2 }));
    const below = report.modules.filter(({ similarity }) => similarity! <= 0.2).length;
    await untilLens(session, new RegExp(`${below} of 42 modules at or below τ = 0.2 `));
    writeFileSync(path, JSON.stringify(settings));
    await untilLens(session, /27 of 42/);
  });

  it('offers quick fixes, and dismisses a report for the workspace until it is shown again', async () => {
    const { workbench } = session;
    const entry = (text: string) =>
      workbench.window.locator('.action-widget .monaco-list-row').filter({ hasText: text });
    // The list opens empty, and closes, while the report is on its way.
    await again(async (timeout) => {
      await workbench.line('"target_modules"').click({ position: { x: 60, y: 8 }, timeout });
      await workbench.press('Control+.');
      await entry('Project 27 Modules (unsaved edit)').waitFor({ timeout });
    });
    await entry('Dismiss “modules-selected” for this workspace').click();
    await until(async () => !(await workbench.problems()).some((row) => row.includes('modules-selected')), 'it to go');
    await workbench.command('Safe LoRA: Show Dismissed Reports Again');
    await until(
      async () => (await workbench.problems()).some((row) => row.includes('modules-selected')),
      'it to return',
    );
  });
});

describe('configurations with something to know', () => {
  let session: Session;
  before(async () => {
    session = await Session.start({
      fill: (workspace) => {
        copySampleWithPair(workspace);
        const name = 'model.layers.0.self_attn.q_proj';
        const pair = { a: randomTensor(1, [4, 128]), b: randomTensor(2, [128, 4]) };
        const config = { peft_type: 'LORA', r: 4, lora_alpha: 6, target_modules: ['q_proj'] };
        const write = (folder: string, more: object): void => {
          writeAdapter(join(workspace, 'adapters', folder), { [name]: pair }, { ...config, ...more });
        };
        write('rank-stabilised', { use_rslora: true, base_model_name_or_path: 'toy-llama-aligned' });
        write('dora', { use_dora: true, base_model_name_or_path: 'toy-llama-aligned' });
        write('quantised', { base_model_name_or_path: 'org/toy-llama-aligned-bnb-4bit' });
        write('saved', { modules_to_save: ['score'], base_model_name_or_path: 'toy-llama-aligned' });
        const file = join(workspace, 'adapters', 'saved', MODEL_FILE);
        const tensors = { a: randomTensor(1, [4, 128]), b: randomTensor(2, [128, 4]) };
        writeAdapter(
          join(workspace, 'adapters', 'based'),
          { [name]: tensors },
          { ...config, base_model_name_or_path: 'base' },
        );
        writeFileSync(file, withScore(readFileSync(file)));
        writeFileSync(
          join(workspace, '.vscode', 'settings.json'),
          JSON.stringify({
            'safeLora.pairs': Object.fromEntries(
              ['toy-llama-aligned', 'base'].map((key) => [
                key,
                { base: join(workspace, 'base'), aligned: join(workspace, 'aligned') },
              ]),
            ),
          }),
        );
      },
    });
  });
  after(() => session.stop());

  async function problemsOf(adapter: string): Promise<string> {
    await openConfig(session, adapter);
    await session.workbench.lenses();
    let found = '';
    await until(async () => {
      found = (await session.workbench.problems()).filter((row) => row.includes('Safe LoRA')).join('\n');
      return found !== '';
    }, `a report beside ${adapter}`);
    await session.workbench.command('View: Close All Editors');
    return found;
  }

  it('says what rsLoRA makes of rank and alpha', async () => {
    await openConfig(session, 'rank-stabilised');
    await session.workbench.line('"r"').filter({ hasText: 'scale α/√r = 3 (rsLoRA)' }).waitFor();
    await session.workbench.command('View: Close All Editors');
  });

  it('says that DoRA is not supported', async () => {
    assert.match(await problemsOf('dora'), /use_dora makes the update another one than B·A.*unsupported-adapter/);
  });

  it('says that it was trained on a quantised model', async () => {
    assert.match(
      await problemsOf('quantised'),
      /org\/toy-llama-aligned-bnb-4bit, a quantised model.*trained-on-quantised/,
    );
  });

  it('says what no projection reaches', async () => {
    assert.match(await problemsOf('saved'), /modules_to_save.*score\.weight.*adapter-not-covered/);
  });

  it('says that it was trained on the base itself', async () => {
    await openConfig(session, 'based');
    await session.workbench.clickLens('Measure', session.workbench.lens('Open Heatmap'));
    assert.match(await problemsOf('based'), /trained on base, which is the base given here.*trained-on-base/);
  });
});

/** The file with one more tensor, `score.weight`. */
function withScore(file: Buffer): Buffer {
  const length = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.subarray(8, 8 + length).toString()) as Record<string, unknown>;
  const data = file.subarray(8 + length);
  header['base_model.model.score.weight'] = { dtype: 'F32', shape: [2], data_offsets: [data.length, data.length + 8] };
  const text = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([size, text, data, Buffer.alloc(8)]);
}

describe('a saved report', () => {
  let session: Session;
  before(async () => {
    session = await Session.start({ fill: copySampleWithPair });
    await project(session.workspace, 'harmful', session.path('adapters', 'projected'));
  });
  after(() => session.stop());

  it('has a lens above it and at each module, which opens the module in the report', async () => {
    const { workbench } = session;
    await workbench.openFile('adapters/projected/safe_lora_report.json');
    await untilLens(session, /3 of 12 modules at or below τ = 0.35/);
    const report = JSON.parse(
      readFileSync(session.path('adapters', 'projected', 'safe_lora_report.json'), 'utf8'),
    ) as Report;
    const [first] = report.modules;
    const text = `similarity ${two(first!.similarity!)}, chance ${two(first!.nullSimilarity!)} · agreement ${signed(first!.direction!)}`;
    const search = workbench.window.locator('.find-widget.visible');
    await again(async (timeout) => {
      await workbench.text('safe_lora_report.json').locator('.view-line').first().click({ timeout });
      await workbench.press('Control+f');
      await search.locator('.find-part textarea').fill(`"name": "${first!.name}"`, { timeout });
      await search
        .locator('.matchesCount')
        .filter({ hasText: /^\d+ of \d+$/ })
        .waitFor({ timeout });
      await workbench.press('Enter');
      await workbench.press('Escape');
      await workbench.lens(text).first().waitFor({ timeout });
    });
    await workbench.screenshot('inline report');
    const row = workbench.window.locator('.codelens-decoration:visible').filter({ hasText: text });
    const tab = new AdapterTab(workbench);
    // A click on a lens that is just being drawn anew is lost.
    await again(async (timeout) => {
      if (await row.isVisible()) await row.getByText('Open in Heatmap').click({ timeout });
      await tab.row(first!.name).waitFor({ timeout });
    });
    await until(
      async () =>
        (await tab
          .within('.details strong')
          .first()
          .innerText()
          .catch(() => '')) === first!.name,
      'the details of the module',
    );
  });
});
