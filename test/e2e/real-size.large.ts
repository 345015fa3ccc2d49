// At real size, run by hand: a 7B-shaped pair through the editor, and an adapter of 560 modules. Prints what it measured.
import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { bits16, f32, randoms, type TensorSpec, writeAdapter, writeModel } from '../fixtures/make';
import { type JudgedSet } from '../../src/evaluation/figures';
import { type EvaluationRecord, readRecord, recordOf } from '../../src/evaluation/record';
import { EVALUATION_SCHEMA, type EvaluationReport, resultsOf, type RunPoint } from '../../src/evaluation/report';
import { type BehaviourResults, type BehaviourView } from '../../src/page/behaviour';
import { AdapterTab } from './adapter-tab';
import { until } from './patience';
import { Session } from './session';

const WIDTH = 4096;
const RANK = 16;
const modules = Array.from({ length: 32 }, (_, layer) =>
  ['q_proj', 'v_proj'].map((kind) => `model.layers.${layer}.self_attn.${kind}`),
).flat();

/** A 7B-shaped model's q and v weights in BF16, zero but for a few rows of each: sparse on disk, whole to its reader. */
function writeSparseModel(folder: string, seed: number): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'config.json'), '{}');
  const bytes = 2 * WIDTH * WIDTH;
  const entries = modules.map((name, i) => [
    `${name}.weight`,
    { dtype: 'BF16', shape: [WIDTH, WIDTH], data_offsets: [i * bytes, (i + 1) * bytes] },
  ]);
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(header.length));
  const file = openSync(join(folder, 'model.safetensors'), 'w');
  writeSync(file, Buffer.concat([prefix, header]));
  ftruncateSync(file, 8 + header.length + modules.length * bytes);
  modules.forEach((_, i) => {
    const rows = bits16(
      'BF16',
      [8, WIDTH],
      randoms(seed + i, 8 * WIDTH).map((value) => bfloat(value * 0.02)),
    );
    writeSync(file, rows.bytes, 0, rows.bytes.length, 8 + header.length + i * bytes + ((seed + i) % 64) * 2 * WIDTH);
  });
  closeSync(file);
}

/** The upper half of a float's bits. */
function bfloat(value: number): number {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes.readUInt16LE(2);
}

function randomPair(seed: number, width: number, rank: number): { a: TensorSpec; b: TensorSpec } {
  return { a: f32([rank, width], randoms(seed, rank * width)), b: f32([width, rank], randoms(seed + 1, rank * width)) };
}

const config = (model: string): object => ({
  peft_type: 'LORA',
  r: RANK,
  lora_alpha: 32,
  base_model_name_or_path: model,
});

function fill(workspace: string): void {
  writeSparseModel(join(workspace, 'base'), 1);
  writeSparseModel(join(workspace, 'aligned'), 1000);
  writeAdapter(
    join(workspace, 'adapters', 'seven'),
    Object.fromEntries(modules.map((name, i) => [name, randomPair(10 * i, WIDTH, RANK)])),
    config('seven'),
  );
  const kinds = [
    'self_attn.q_proj',
    'self_attn.k_proj',
    'self_attn.v_proj',
    'self_attn.o_proj',
    'mlp.gate_proj',
    'mlp.up_proj',
    'mlp.down_proj',
  ];
  const names = Array.from({ length: 80 }, (_, layer) => kinds.map((kind) => `model.layers.${layer}.${kind}`)).flat();
  const weights = (seed: number): Record<string, TensorSpec> =>
    Object.fromEntries(names.map((name, i) => [`${name}.weight`, f32([24, 24], randoms(seed + i, 576))]));
  writeModel(join(workspace, 'tiny-base'), weights(1));
  writeModel(join(workspace, 'tiny-aligned'), weights(5000));
  writeAdapter(
    join(workspace, 'adapters', 'deep'),
    Object.fromEntries(names.map((name, i) => [name, randomPair(7 * i, 24, 4)])),
    config('deep'),
  );
  mkdirSync(join(workspace, '.vscode'));
  const pair = (prefix: string): object => ({
    base: join(workspace, `${prefix}base`),
    aligned: join(workspace, `${prefix}aligned`),
  });
  writeFileSync(
    join(workspace, '.vscode', 'settings.json'),
    JSON.stringify({ 'safeLora.pairs': { seven: pair(''), deep: pair('tiny-') } }),
  );
}

describe('at real size', () => {
  let session: Session;
  before(async () => {
    session = await Session.start({ fill });
  });
  after(() => session.stop());

  it('streams 64 modules of 7B shape while the extension host stays free', async (test) => {
    const { workbench } = session;
    await workbench.command('Probe: Begin');
    const tab = await session.projectAdapter('seven');
    const counts = new Set<number>();
    await until(async () => {
      counts.add((await tab.table()).filter(({ similarity }) => !Number.isNaN(similarity)).length);
      return counts.has(64);
    }, 'all 64 modules');
    await tab.measured();
    await workbench.command('Probe: End');
    const file = join(session.editor.temporaryDir, 'probe.json');
    await until(() => existsSync(file), 'the probe');
    const probe = JSON.parse(readFileSync(file, 'utf8')) as { p50: number; p99: number; max: number; grownMiB: number };
    test.diagnostic(
      `cells came in ${counts.size} steps; event loop late by ${probe.p50.toFixed(1)} ms (p50), ${probe.p99.toFixed(1)} ms (p99); host memory grew by ${probe.grownMiB.toFixed(0)} MiB`,
    );
    test.diagnostic(await tab.within('dd.measured').innerText());
    await workbench.screenshot('large seven');
    assert.ok(counts.size >= 5, 'cells come in as they are measured');
    assert.ok(probe.p99 < 50, `p99 ${probe.p99} ms`);
    assert.ok(probe.grownMiB < 100, `${probe.grownMiB} MiB`);
  });

  it('cancels within half a second', async (test) => {
    const { workbench } = session;
    await workbench.command('View: Close All Editors');
    const tab = await session.projectAdapter('seven');
    await until(
      async () => (await tab.table()).some(({ similarity }) => !Number.isNaN(similarity)),
      'the first module',
    );
    const started = performance.now();
    await tab.button('Cancel').click();
    await tab.banner('Cancelled').waitFor();
    const took = performance.now() - started;
    test.diagnostic(`${took.toFixed(0)} ms from the click to the word`);
    assert.ok(took < 500, `${took} ms`);
  });

  it('shows 560 modules within 200 ms, and answers the slider within a frame', async (test) => {
    const { workbench } = session;
    await workbench.command('View: Close All Editors');
    await workbench.command('View: Toggle Primary Side Bar Visibility');
    await workbench.command('Safe LoRA: Project Adapter');
    await workbench.asked('Project which adapter?');
    await workbench.pick('deep');
    const tab = new AdapterTab(workbench);
    await tab.title.filter({ hasText: 'deep' }).waitFor();
    await tab.measured();
    assert.equal(await tab.rows.count(), 560);
    // The test's compiler names inner functions by a helper that the page does not have.
    await tab.within('body').evaluate('globalThis.__name = (target) => target');
    const { rendering, slider } = await tab.within('body').evaluate((body) => {
      const { state } = (window as unknown as { safeLoraPage: { state: { emit(change: string): void } } }).safeLoraPage;
      const time = (act: () => void): number => {
        const start = performance.now();
        act();
        // Layout belongs to it.
        body.getBoundingClientRect();
        return performance.now() - start;
      };
      const median = (times: number[]): number => times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)]!;
      const input = body.querySelector<HTMLInputElement>('input[type=range]')!;
      const move = (value: number): void => {
        input.value = String(value);
        input.dispatchEvent(new Event('input'));
      };
      return {
        rendering: median(Array.from({ length: 7 }, () => time(() => state.emit('document')))),
        slider: median(Array.from({ length: 21 }, (_, i) => time(() => move(0.1 + 0.03 * i)))),
      };
    });
    test.diagnostic(
      `560 modules drawn in ${rendering.toFixed(0)} ms, the slider answered in ${slider.toFixed(1)} ms (medians)`,
    );
    await workbench.screenshot('large deep');
    assert.ok(rendering < 200, `${rendering} ms`);
    assert.ok(slider < 1000 / 60, `${slider} ms`);
  });

  it('shows 12 points of 500 prompts on 560 modules within 300 ms, from what is stored', async (test) => {
    const tab = new AdapterTab(session.workbench);
    await tab.within('[role=tab]').filter({ hasText: 'Behaviour' }).click();
    const stored = JSON.stringify(storedEvaluation());
    const started = performance.now();
    const { report, sets } = readRecord(JSON.parse(stored))!;
    const reading = performance.now() - started;
    const { order, judge, choice, notices, points } = report;
    const results: BehaviourResults = {
      points: points.map(({ modules: _, ...point }) => ({ ...point, corrected: 0 })),
      order,
      sets: sets.map(({ name, role, metric, prompts }) => ({ name, role, metric, n: prompts.length })),
      judge,
      engine: { precision: 'float32', provider: 'cpu', maxTokens: 128 },
      corrected: 0,
      choice,
      modelJudge: null,
      notices,
    };
    const behaviour: BehaviourView = {
      state: 'done',
      progress: null,
      error: null,
      stale: [],
      results,
      answers: 'gone',
      canAskModel: false,
    };
    const times = await tab.within('body').evaluate((body, view) => {
      const time = (): number => {
        const start = performance.now();
        dispatchEvent(new MessageEvent('message', { data: { type: 'behaviour', behaviour: view } }));
        body.getBoundingClientRect();
        return performance.now() - start;
      };
      return Array.from({ length: 7 }, time);
    }, behaviour);
    const first = times[0]!;
    test.diagnostic(
      `${(stored.length / 1e6).toFixed(1)} MB read in ${reading.toFixed(0)} ms, drawn in ${first.toFixed(0)} ms, again in ${times.toSorted((a, b) => a - b)[3]!.toFixed(0)} ms (median)`,
    );
    await session.workbench.screenshot('large behaviour');
    assert.equal(await tab.within('.figures-table tbody tr').count(), 13);
    assert.ok(reading + first < 300, `${reading + first} ms`);
  });
});

/** As the editor stores it: 560 modules, every number of them scored, 12 with answers to 500 prompts, and the aligned model. */
function storedEvaluation(): EvaluationRecord {
  const order = Array.from({ length: 560 }, (_, i) => `model.layers.${Math.floor(i / 7)}.module.${i % 7}`);
  const prompts = (n: number): JudgedSet['prompts'] => Array.from({ length: n }, () => ({ group: null }));
  const sets: JudgedSet[] = [
    { name: 'harmful', role: 'harmful', metric: null, prompts: prompts(300) },
    { name: 'harmless', role: 'harmless', metric: null, prompts: prompts(100) },
    { name: 'task', role: 'utility', metric: 'rouge1', prompts: prompts(100) },
  ];
  const answered = new Set([null, ...Array.from({ length: 12 }, (_, i) => Math.round((560 * i) / 11))]);
  const points = [null, ...Array.from({ length: 561 }, (_, count) => count)].map((count): RunPoint => ({
    count,
    threshold: count,
    modules: [],
    refusalScore: -7 + (12 * (count ?? 560)) / 560,
    referenceScore: -1,
    verdicts: answered.has(count)
      ? sets.map(({ role, prompts: all }, set) =>
          all.map((_, i) => ({
            refused: role === 'harmful' && i < (count ?? 560) / 2,
            degenerate: false,
            cutOff: false,
            utility: role === 'utility' ? 1 - (i % 10) / 20 : null,
            sha256: `${set}-${i}-${count}`.padEnd(16, '0'),
          })),
        )
      : null,
  }));
  const report = {
    schema: EVALUATION_SCHEMA,
    order,
    judge: { name: 'phrases', version: '1', sha256: '' },
    ...resultsOf(sets, points, null),
    notices: [],
  } as unknown as EvaluationReport;
  return recordOf('key', report, sets, points);
}
