// What others do with the extension: a language model through its tools, tasks.json through its task type; and wrong settings as problems.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { randomTensor, sample, writeAdapter } from '../fixtures/make';
import { projectedWeights } from './command-line';
import { until } from './patience';
import { copySample, copySampleWithPair, MODEL_FILE, Session } from './session';
import { answer, type Answer, call, INSPECT, inspect } from './tool-calls';

interface Compact {
  adapter: string;
  base: string;
  aligned: string;
  totals: { modules: number; selected: number };
  modules: [string, number, number, number, number, boolean][];
  projected: { modules: number };
}

interface Written {
  written: string;
  totals: object;
  projected: string[];
  undo: string;
}

const PROJECT = 'safeLora_projectAdapter';
const original = (adapter: string): Buffer => readFileSync(join(sample, 'adapters', adapter, MODEL_FILE));
const references = JSON.parse(readFileSync(join(sample, 'reference.json'), 'utf8')) as Record<
  string,
  { similarity: Record<string, number>; selected: string[] }
>;

/** Calls the writing tool and says yes; answers with what the dialog said. */
async function project(session: Session, input: object): Promise<{ asked: string; answered: Answer }> {
  await call(session, PROJECT, input);
  const asked = await session.workbench.dialog();
  await session.workbench.clickDialog('Yes');
  return { asked, answered: await answer(session) };
}

describe('the language model tools', () => {
  let session: Session;
  before(async () => {
    session = await Session.start({ fill: copySampleWithPair });
  });
  after(() => session.stop());

  it('measure an adapter and answer with the reference values, without a question or a tab', async () => {
    const { text, description } = await inspect(session, { adapter: 'adapters/harmful' });
    const found = JSON.parse(text!) as Compact;
    assert.match(description, /^Measures a PEFT LoRA adapter/);
    assert.deepEqual([found.adapter, found.base, found.aligned], ['adapters/harmful', 'base', 'aligned']);
    assert.equal(found.modules.length, 12);
    const { similarity, selected } = references.harmful!;
    for (const [name, value] of found.modules) assert.ok(Math.abs(value - similarity[name]!) < 3e-4, name);
    assert.deepEqual(
      found.modules
        .filter((row) => row[5])
        .map(([name]) => name)
        .sort(),
      [...selected].sort(),
    );
    assert.equal(await session.workbench.window.locator('.tabs-container .tab').count(), 0);
    assert.deepEqual(await session.workbench.notifications(), []);
  });

  it('take an absolute path, the file, and another selection, and say what was measured before', async () => {
    const { text } = await inspect(session, { adapter: session.modelFile('harmful'), count: 5 });
    const found = JSON.parse(text!) as Compact;
    assert.deepEqual([found.adapter, found.totals.selected], ['adapters/harmful', 5]);
    assert.deepEqual(
      found.modules.map((row) => row[5]),
      Array.from({ length: 12 }, (_, i) => i < 5),
    );
  });

  it('say what is wrong with their input', async () => {
    const cases: [object, RegExp][] = [
      [{ adapter: 'adapters/nowhere' }, /adapters\/nowhere: there is no such folder/],
      [{ adapter: 'base' }, /adapter/],
      [{ adapter: 'adapters/harmful', threshold: 2 }, /threshold/],
      [{ adapter: 'adapters/harmful', threshold: 0.5, count: 3 }, /threshold and count cannot be used together/],
    ];
    for (const [input, wanted] of cases) assert.match((await inspect(session, input)).error!, wanted);
  });

  it('ask for no model: they say which is missing and where it is set', async () => {
    const config = { peft_type: 'LORA', r: 2, lora_alpha: 4, base_model_name_or_path: 'org/unheard-of' };
    const pair = { a: randomTensor(1, [2, 128]), b: randomTensor(2, [128, 2]) };
    writeAdapter(session.path('adapters', 'stranger'), { 'model.layers.0.self_attn.q_proj': pair }, config);
    const { error } = await inspect(session, { adapter: 'adapters/stranger' });
    assert.match(error!, /neither its base model nor its aligned model is known/);
    assert.match(
      error!,
      /"Safe LoRA: Choose Models…", or name both folders in the setting safeLora.pairs under "org\/unheard-of"/,
    );
  });

  it('write nothing where the user says no', async () => {
    await call(session, PROJECT, { adapter: 'adapters/harmful', threshold: 0.52 });
    const asked = await session.workbench.dialog();
    await session.workbench.screenshot('tool confirmation');
    assert.match(asked, /Project adapters\/harmful in place\?/);
    assert.match(asked, /Writes adapter_model\.safetensors and safe_lora_report\.json in .*\/adapters\/harmful/);
    assert.match(asked, /kept in .*\/adapters\/harmful\/safe_lora_original\.safetensors/);
    assert.match(asked, /5 of 12 modules are projected: those with a similarity at or below τ = 0\.52/);
    await session.workbench.clickDialog('Cancel');
    assert.match((await answer(session)).error!, /Cancel/);
    assert.deepEqual(readFileSync(session.modelFile('harmful')), original('harmful'));
  });

  it('project in place what the command line would, and Restore brings every byte back', async () => {
    const { workbench } = session;
    const { answered } = await project(session, { adapter: 'adapters/harmful', threshold: 0.52 });
    const { totals, projected, undo } = JSON.parse(answered.text!) as Written;
    assert.deepEqual(totals, { modules: 12, projected: 5 });
    assert.equal(projected.length, 5);
    assert.match(undo, /Safe LoRA: Restore Original Weights/);
    const wanted = await projectedWeights(session, 'harmful', '--threshold', '0.52');
    assert.deepEqual(readFileSync(session.modelFile('harmful')), wanted);
    const inspected = JSON.parse((await inspect(session, { adapter: 'adapters/harmful' })).text!) as Compact;
    assert.deepEqual([inspected.totals.selected, inspected.projected.modules], [5, 5]);
    await session.openAdapter('harmful');
    await workbench.command('Safe LoRA: Restore Original Weights');
    await until(() => readFileSync(session.modelFile('harmful')).equals(original('harmful')), 'the original bytes');
  });

  it('go through the tab that shows the adapter, which is saved afterwards', async () => {
    const tab = await session.openAdapter('harmful');
    await tab.measured();
    const { answered } = await project(session, { adapter: 'adapters/harmful', threshold: 0.35 });
    assert.equal(answered.error, undefined);
    await tab.findingIs('3 of 12 modules at or below τ = 0.35');
    assert.equal(await session.workbench.isDirty(MODEL_FILE), false);
    const wanted = await projectedWeights(session, 'harmful', '--threshold', '0.35');
    assert.deepEqual(readFileSync(session.modelFile('harmful')), wanted);
  });

  it('leave unsaved edits alone', async () => {
    const { workbench } = session;
    const tab = await session.openAdapter('harmful');
    await tab.setThreshold(0.52);
    await tab.button('Project 5 Modules').click();
    await workbench.untilDirty(MODEL_FILE);
    const before = readFileSync(session.modelFile('harmful'));
    const { answered } = await project(session, { adapter: 'adapters/harmful', threshold: 0.3 });
    assert.match(answered.error!, /has unsaved edits in its tab; save or undo them first/);
    assert.deepEqual(readFileSync(session.modelFile('harmful')), before);
    assert.ok(await workbench.isDirty(MODEL_FILE));
    await workbench.command('File: Revert File');
    await workbench.untilDirty(MODEL_FILE, false);
    await workbench.command('View: Close All Editors');
  });

  it('save a copy, measured first, and leave the original adapter', async () => {
    const input = { adapter: 'adapters/mixed', threshold: 0.35, output: 'projected/mixed' };
    const { asked, answered } = await project(session, input);
    assert.match(asked, /Save a projected copy of adapters\/mixed\?/);
    assert.match(asked, /to the folder .*\/workspace\/projected\/mixed/);
    assert.match(asked, /The adapter is measured first/);
    assert.equal((JSON.parse(answered.text!) as Written).written, session.path('projected', 'mixed'));
    const wanted = await projectedWeights(session, 'mixed', '--threshold', '0.35');
    assert.deepEqual(readFileSync(session.path('projected', 'mixed', MODEL_FILE)), wanted);
    assert.deepEqual(readFileSync(session.modelFile('mixed')), original('mixed'));
    const again = await project(session, input);
    assert.match(again.answered.error!, /contains an adapter already/);
  });

  it('write nothing where the rule selects nothing', async () => {
    const { answered } = await project(session, { adapter: 'adapters/mixed', threshold: 0 });
    assert.match(answered.error!, /no module is selected by this rule/);
    assert.deepEqual(readFileSync(session.modelFile('mixed')), original('mixed'));
  });

  it('end when they are cancelled', async () => {
    await until(() => session.engineChildren().length === 0, 'the engine to stop after its last user');
    const frozen = session.whenEngineStarts((pid) => process.kill(pid, 'SIGSTOP'));
    await call(session, INSPECT, { adapter: 'adapters/mixed-all' });
    await frozen;
    await session.workbench.command('Probe: Cancel Tool');
    assert.match((await answer(session)).error!, /Cancel/);
    await until(() => session.engineChildren().length === 0, 'the engine to stop');
  });
});

describe('the language model tools in a workspace that is not trusted', () => {
  let session: Session;
  before(async () => {
    session = await Session.start({ fill: copySampleWithPair, asksForTrust: true });
  });
  after(() => session.stop());

  it('do not write, nor take model folders from its settings', async () => {
    await call(session, PROJECT, { adapter: 'adapters/harmful' });
    assert.match((await answer(session)).error!, /This workspace is not trusted/);
    assert.match((await inspect(session, { adapter: 'adapters/harmful' })).error!, /neither its base model/);
  });
});

/** The problems of a window, as its Problems view lists them. */
async function problems({ workbench }: Session): Promise<string[]> {
  const rows = workbench.window.locator('.markers-panel .monaco-list-row');
  return rows.evaluateAll((all) => all.map((row) => row.getAttribute('aria-label') ?? ''));
}

async function untilProblem(session: Session, wanted: RegExp): Promise<void> {
  await until(async () => (await problems(session)).some((problem) => wanted.test(problem)), String(wanted)).catch(
    async (error: unknown) => {
      throw new Error(`${String(wanted)} is none of the problems: ${(await problems(session)).join('\n')}`, {
        cause: error,
      });
    },
  );
}

describe('tasks', () => {
  let session: Session;
  before(async () => {
    session = await Session.start({ fill: fillWithTasks });
    await session.workbench.command('Problems: Focus on Problems View');
  });
  after(() => session.stop());

  const measured = { command: 'inspect', base: 'base', aligned: '${workspaceFolder}/aligned' };
  const definitions = {
    measure: { ...measured, adapter: 'adapters/harmful', threshold: 0.5, json: 'report.json' },
    'no model': { ...measured, adapter: 'adapters/benign', aligned: 'gone' },
    'no pair': { command: 'inspect', adapter: 'adapters/mixed' },
    behaviour: { ...measured, command: 'evaluate', adapter: 'adapters/harmful', points: '3,8', json: 'behaviour.json' },
    'by pair': { command: 'project', adapter: 'adapters/mixed', out: 'projected' },
  };

  function fillWithTasks(workspace: string): void {
    copySample(workspace);
    const tasks = Object.entries(definitions).map(([label, definition]) => ({
      label,
      type: 'safe-lora',
      problemMatcher: '$safe-lora',
      presentation: { reveal: 'never' },
      ...definition,
    }));
    mkdirSync(join(workspace, '.vscode'));
    writeFileSync(join(workspace, '.vscode', 'tasks.json'), JSON.stringify({ version: '2.0.0', tasks }));
  }

  async function run(label: keyof typeof definitions): Promise<void> {
    await session.workbench.command('Tasks: Run Task');
    await session.workbench.pick(label);
  }

  it('of tasks.json run the command line in the workspace folder', async () => {
    await run('measure');
    await until(() => existsSync(session.path('report.json')), 'the report');
    const report = JSON.parse(readFileSync(session.path('report.json'), 'utf8')) as { totals: object };
    assert.equal((report.totals as { selected: number }).selected, 4);
  });

  it('run the model, and give the figures of the command line', async () => {
    await run('behaviour');
    await until(() => existsSync(session.path('behaviour.json')), 'the figures');
    const { points } = JSON.parse(readFileSync(session.path('behaviour.json'), 'utf8')) as {
      points: { count: number | null; asr: { value: number } | null }[];
    };
    const asr = Object.fromEntries(points.flatMap(({ count, asr }) => (count && asr ? [[count, asr.value]] : [])));
    assert.deepEqual(asr, { 3: 1, 8: 0 });
  });

  it('turn an error into a problem of the file that it names', async () => {
    await run('no model');
    await untilProblem(session, /^Error: the model folder does not exist; check the path/);
    assert.match((await problems(session)).join('\n'), /1 problems? in file gone/);
  });

  it('say which models are missing where neither the task nor the settings name them', async () => {
    await run('no pair');
    await untilProblem(session, /^Error: neither its base model nor its aligned model is known/);
    assert.match((await problems(session)).join('\n'), /file adapter_config\.json/);
  });

  it('take the models from the settings, and are offered for each adapter whose models are known', async () => {
    const { workbench } = session;
    const pair = { base: session.path('base'), aligned: session.path('aligned') };
    writeFileSync(
      session.path('.vscode', 'settings.json'),
      JSON.stringify({ 'safeLora.pairs': { 'toy-llama-aligned': pair } }),
    );
    await run('by pair');
    await until(() => existsSync(session.path('projected', MODEL_FILE)), 'the projected adapter');
    await workbench.command('Tasks: Run Task');
    await workbench.pick('safe-lora');
    await until(async () => (await workbench.quickInputText()).includes('measure adapters/harmful'), 'the offer');
    await workbench.press('Escape');
  });
});

describe('wrong settings', () => {
  let session: Session;
  before(async () => {
    // Settings of the machine would have to stand in a file of its own.
    session = await Session.start({ fill: copySample, settings: { 'safeLora.count': 0, 'safeLora.selection': 'few' } });
  });
  after(() => session.stop());

  it('of the workspace are problems at their keys, and go when they are put right', async () => {
    const { workbench } = session;
    await workbench.command('Problems: Focus on Problems View');
    const file = session.path('.vscode', 'settings.json');
    const pairs = {
      same: { base: session.path('base'), aligned: session.path('base') },
      gone: { base: session.path('gone'), aligned: session.path('adapters') },
      half: { base: session.path('base') },
    };
    mkdirSync(session.path('.vscode'));
    const wrong = {
      'safeLora.threshold': 3,
      'safeLora.pairs': pairs,
      'safeLora.modelFolders': [session.path('base'), 'models', '/nonexistent/models'],
    };
    writeFileSync(file, JSON.stringify(wrong, null, 2));
    await workbench.openFile('.vscode/settings.json');
    await untilProblem(
      session,
      /^Warning: 3 is not a number from 0 to 1; 0\.35 is used instead\. at line 2 and character 3\./,
    );
    await untilProblem(session, /base is already the base; the aligned model is the one after alignment\. at line 6 /);
    await untilProblem(session, /gone: the model folder does not exist; check the path\. at line 9 /);
    await untilProblem(session, /adapters: contains neither model\.safetensors nor .* at line 10 /);
    await untilProblem(session, /is not a pair of model folders, "base" and "aligned", so it is ignored\. at line 12 /);
    await untilProblem(
      session,
      /"models" is not the absolute path of a folder, or one from ~, so it is ignored\. at line 18 /,
    );
    await untilProblem(session, /\/nonexistent\/models is not a folder on this machine\. at line 19 /);
    await workbench.screenshot('settings problems');
    const pair = { base: session.path('base'), aligned: session.path('aligned') };
    writeFileSync(file, JSON.stringify({ 'safeLora.threshold': 0.3, 'safeLora.pairs': { fine: pair } }, null, 2));
    await until(async () => (await problems(session)).length === 0, 'no problems');
  });

  it('of the user are said once', async () => {
    const { workbench } = session;
    const said = (await workbench.notificationCenter()).filter({ hasText: 'User settings' });
    await said.first().waitFor();
    const [text, ...more] = await said.allInnerTexts();
    assert.equal(more.length, 0, 'what was said once is not said again');
    assert.match(text!, /safeLora\.count: 0 is not a whole number from 1; 8 is used instead\./);
    assert.match(text!, /safeLora\.selection: "few" is not one of threshold, count; "threshold" is used instead\./);
    await said.getByRole('button', { name: 'Open Settings', exact: true }).click();
    await workbench.window.locator('.settings-editor').waitFor();
  });
});
