// What Safe LoRA says of adapters that PEFT saved, and what it writes, held against PEFT itself and dense float64; see docs/interop.md.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type ModuleReport, type Report } from '../../src/core/report';
import { cli, sample, temporaryFolder } from '../fixtures/make';
import { program, pythonEnvironment } from './environment';
import { DOCS, resultsText, type Row, type WaysOut, writeDocs } from './findings';

/** Absolute for cosines, relative for norms and gains. The engine's products are float32, its sums of them float64. */
const TOLERANCE = 2e-7;
/** Of a lora_B in F32, by its largest entry. */
const B_F32 = 1e-6;
/** Of a lora_B in BF16, entry by entry: half a step of its eight significant bits, and the engine's own error. */
const B_BF16 = 2 ** -8 * 1.01;
/** The authors' code is float32. */
const AUTHORS = 2e-4;

/** See `record` in adapters.py. */
interface Case {
  family: string;
  name: string;
  adapter: string;
  base: string;
  aligned: string;
  refused: string | null;
  code: string;
  notice: string | null;
  also: string[];
}

/** See truth.py. */
interface Truth {
  modules: Record<string, TrueModule>;
  /** Linear layers whose weight PEFT's merge changes. */
  changed: string[];
  direction: number;
}

interface TrueModule {
  similarity: number;
  direction: number;
  gain: number;
  alignmentNorm: number;
  /** ‖ΔW‖, with the scale. */
  norm: number;
  /** PEFT's. */
  scale: number;
  /** The similarity of the authors' code, for the sample. */
  authors?: number;
}

/** See written.py. */
interface Written {
  unexpected: string[];
  missing: string[];
  sameLayout: boolean;
  sameConfig: boolean;
  changed: string[];
  errors: { F32: number; BF16: number };
  merged: number;
}

interface Batch {
  reports: Report[];
  failures: { adapter: string; code: string; message: string }[];
}

const selections = { threshold: '1', count: '2' } as const;
const folder = temporaryFolder();
const rows = new Map<string, Row>();
let cases: Case[] = [];
let truths: Record<string, Truth>;
let written: Record<string, Written>;
let waysOut: WaysOut;
let versions: Record<string, string>;
const inspected = new Map<string, Batch>();
const projected = new Map<string, Batch>();

before(async () => {
  const python = await pythonEnvironment();
  await program(python, 'adapters.py', folder, sample);
  cases = readJson('cases.json') as Case[];
  await Promise.all([program(python, 'truth.py', folder), runSafeLora()]);
  await Promise.all([program(python, 'written.py', folder), program(python, 'ways_out.py', folder)]);
  truths = readJson('truth.json') as typeof truths;
  written = readJson('written.json') as typeof written;
  waysOut = readJson('ways-out.json') as WaysOut;
  versions = readJson('versions.json') as typeof versions;
});

after(() => {
  if (rows.size === 0) return;
  const all = cases.map((one) => rows.get(key(one))).filter((row) => row !== undefined);
  const text = resultsText(all, waysOut, versions);
  console.log(text);
  if (process.env.SAFE_LORA_INTEROP_DOCS !== '1') return;
  assert.equal(all.length, cases.length, `${DOCS} is written only from a run in which every adapter passed`);
  writeDocs(text);
  console.log(`written into ${DOCS}`);
});

describe('PEFT’s own adapters', () => {
  it('are measured as PEFT applies them, and what is written loads', async (test) => {
    for (const one of cases.filter(({ refused }) => refused === null)) {
      await test.test(key(one), () => {
        const { reports, failures } = inspected.get(one.family)!;
        const report = reports.find(({ adapter }) => adapter.path === one.adapter);
        assert.ok(report, failures.find(({ adapter }) => adapter === one.adapter)?.message);
        const numbers = compareNumbers(report, truths[key(one)]!, one);
        const file = compareWritten(one);
        const row = { family: one.family, adapter: one.name, modules: report.modules.length };
        rows.set(key(one), { ...row, ...numbers, ...file, decision: 'measured' });
      });
    }
  });

  it('that are more than B·A on an unchanged weight are refused by name', async (test) => {
    for (const one of cases.filter(({ refused }) => refused !== null)) {
      await test.test(key(one), () => {
        const failure = inspected.get(one.family)!.failures.find(({ adapter }) => adapter === one.adapter);
        assert.ok(failure, 'it was measured');
        assert.equal(failure.code, one.code);
        assert.ok(failure.message.includes(one.refused!), failure.message);
        const nothing = { modules: null, similarity: null, direction: null, total: null, written: null, loads: null };
        const decision = `refused: ${one.refused!}`;
        rows.set(key(one), { family: one.family, adapter: one.name, ...nothing, decision });
      });
    }
  });
});

describe('what is refused', () => {
  it('is another update than B·A: DoRA’s, of full rank even where the magnitudes have not moved', () => {
    for (const { distance, ranks } of waysOut.doraBesideBA) {
      assert.ok(distance > 0.1, `B·A is ${distance} from the update`);
      assert.deepEqual(ranks, [24, 48]);
    }
  });

  it('has a way out: a plain LoRA adapter of a higher rank, the nearer the higher', () => {
    for (const byRank of [waysOut.dora, waysOut.bdlora, waysOut.loha]) {
      const distances = byRank.map(({ distance }) => distance);
      // From the rank of the update itself on there is nothing but rounding.
      for (const [i, distance] of distances.entries()) assert.ok(distance < Math.max(distances[i - 1] ?? 1, 1e-5));
    }
    // BD-LoRA's update has the adapter's own rank; the elementwise product of two rank-4 matrices has rank 16 at most.
    const exact = [waysOut.bdlora.find(({ rank }) => rank === 8)!, waysOut.loha.find(({ rank }) => rank === 16)!];
    for (const { distance } of exact) assert.ok(distance < 1e-5);
  });

  it('is not always led out by PEFT alone: its conversion drops DoRA’s magnitudes without a word', () => {
    const { fromBA, fromDora } = waysOut.doraByPeftAlone;
    assert.ok(fromBA < 1e-5 && fromDora > 0.1, 'PEFT converts DoRA now: the refusal can name save_as_lora alone');
  });
});

function key({ family, name }: Case): string {
  return `${family}/${name}`;
}

function compareNumbers(report: Report, truth: Truth, one: Case): Pick<Row, 'similarity' | 'direction' | 'total'> {
  const names = report.modules.map(({ name }) => name);
  assert.deepEqual([...names, ...one.also].sort(), truth.changed, 'the modules are not the weights that PEFT changes');
  for (const module of report.modules) {
    const exact = truth.modules[module.name]!;
    near(module, 'similarity', exact.similarity);
    near(module, 'direction', exact.direction);
    near(module, 'gain', exact.gain, exact.gain);
    near(module, 'alignmentNorm', exact.alignmentNorm, exact.alignmentNorm);
    const updateNorm = exact.norm / Math.abs(exact.scale);
    near(module, 'updateNorm', updateNorm, updateNorm);
    if (exact.authors !== undefined) near(module, 'similarity', exact.authors, 1, AUTHORS);
  }
  const total = Math.abs(report.totals.direction! - truth.direction);
  assert.ok(total <= TOLERANCE, `direction of all together: ${report.totals.direction!} instead of ${truth.direction}`);
  // PEFT wrote both the file and its configuration.
  const alarms = ['config-differs', 'names-not-loaded', 'setting-unknown'];
  const alarm = report.notices.find(({ code }) => alarms.includes(code));
  assert.equal(alarm?.message, undefined, 'a notice says what is not so');
  const messages = report.notices.map(({ message }) => message).join('\n');
  if (one.notice !== null) assert.match(messages, new RegExp(one.notice), 'no notice names it');
  const largest = (measure: 'similarity' | 'direction'): number =>
    Math.max(...report.modules.map(({ name, [measure]: value }) => Math.abs(value! - truth.modules[name]![measure])));
  return { similarity: largest('similarity'), direction: largest('direction'), total };
}

function near(module: ModuleReport, measure: keyof ModuleReport, exact: number, unit = 1, tolerance = TOLERANCE): void {
  const value = module[measure] as number;
  const text = `${measure} of ${module.name}: ${value} instead of ${exact}`;
  assert.ok(Math.abs(value - exact) <= tolerance * unit, text);
}

function compareWritten(one: Case): Pick<Row, 'written' | 'loads'> {
  const errors = Object.keys(selections).map((selection) => {
    const report = projected
      .get(`${selection}/${one.family}`)!
      .reports.find(({ adapter }) => adapter.name === one.name);
    assert.ok(report, `project --${selection} wrote nothing`);
    const { unexpected, missing, sameLayout, sameConfig, changed, errors, merged } =
      written[`${selection}/${key(one)}`]!;
    assert.deepEqual({ unexpected, missing }, { unexpected: [], missing: [] }, 'PEFT does not know what was written');
    assert.ok(sameLayout && sameConfig, 'the file’s layout or the configuration is another');
    const selected = report.modules.filter((module) => module.selected).map(({ name }) => name);
    assert.equal(selected.length, selection === 'count' ? 2 : report.modules.length);
    const expected = selected.map((name) => `base_model.model.${name}.lora_B.weight`);
    assert.deepEqual([...changed].sort(), expected.sort(), 'other tensors than the selected lora_B changed');
    assert.ok(errors.F32 <= B_F32, `lora_B is ${errors.F32} of its largest entry from C·B`);
    assert.ok(errors.BF16 <= B_BF16, `an entry of lora_B is ${errors.BF16} of itself from C·B`);
    assert.ok(merged <= (errors.BF16 > 0 ? B_BF16 : B_F32), `PEFT's merged update is ${merged} from C·ΔW`);
    return Math.max(errors.F32, errors.BF16);
  });
  return { written: Math.max(...errors), loads: true };
}

/** Inspects all adapters of a family at once, and projects those that are measured by each selection. */
async function runSafeLora(): Promise<void> {
  for (const family of new Set(cases.map((one) => one.family))) {
    const own = cases.filter((one) => one.family === family);
    const { base, aligned } = own[0]!;
    const models = ['--base', base, '--aligned', aligned, '--device', 'cpu', '--quiet'];
    const all = own.map(({ adapter }) => adapter);
    const { stdout, stderr } = await cli(['inspect', ...all, ...models, '--json', '-']);
    assert.notEqual(stdout, '', stderr);
    const batch = JSON.parse(stdout) as Batch;
    inspected.set(family, batch);
    const measured = own.filter(({ refused }) => refused === null).map(({ adapter }) => adapter);
    for (const [selection, value] of Object.entries(selections)) {
      const beside = join(folder, 'written', selection);
      mkdirSync(beside, { recursive: true });
      const out = ['--out', join(beside, family), '--json', join(beside, `${family}.json`)];
      await cli(['project', ...measured, ...models, `--${selection}`, value, ...out]);
      projected.set(`${selection}/${family}`, readJson(join('written', selection, `${family}.json`)) as Batch);
    }
  }
}

function readJson(name: string): unknown {
  return JSON.parse(readFileSync(join(folder, name), 'utf8'));
}
