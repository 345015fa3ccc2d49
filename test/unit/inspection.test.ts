// What outlives a window: the same numbers come back, and only for the very files that they were measured on.
import assert from 'node:assert/strict';
import { readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { openAdapter } from '../../src/core/adapter';
import { openCheckpoint } from '../../src/core/checkpoint';
import { areAsStamped, stampOf } from '../../src/core/files';
import { adapterIdentity, checkpointStamps, inspectionKey, sameAdapter } from '../../src/core/identity';
import { makeInspection, parseInspection, resultsOf } from '../../src/core/inspection';
import { targeted } from '../../src/core/naming';
import { makePlan } from '../../src/core/plan';
import { buildReport, reportText, selectedIn } from '../../src/core/report';
import { findingSum } from '../../src/core/rules';
import { signed } from '../../src/core/text';
import { Engine } from '../../src/engine/pool';
import { measuredOf, measurePlans } from '../../src/engine/run';
import { childPath, smallCase, temporaryFolder } from '../fixtures/make';

const overrides = { added: [], removed: [] };
const found = {
  threshold: '{0} of {1} at or below {2}',
  count: 'the {2} lowest of {1}',
  all: '{0} of {1}: fewer than {2}',
  byHand: '{0} of {1} by hand',
};

describe('an inspection', () => {
  it('says the same after its way through a file: every number, for every selection', async () => {
    const { base, aligned, adapter } = smallCase(temporaryFolder());
    const plan = makePlan(await openAdapter(adapter), await openCheckpoint(base), await openCheckpoint(aligned));
    const engine = new Engine({ childPath, memory: 2 ** 28, workers: 1 });
    const [outcome] = await measurePlans([plan], engine).finally(() => {
      engine.dispose();
    });
    const measured = measuredOf(outcome!);
    const context = { version: '0', device: { requested: 'cpu', provider: 'cpu', fallbackReason: null } };
    const report = buildReport(plan, measured, { mode: 'threshold', threshold: 0.35, overrides }, context);
    const kept = parseInspection(reportText(makeInspection(report, measured.modules)))!;
    const results = resultsOf(kept);
    const modules = plan.modules.map((module) => ({ ...module, ...results.get(module.name)! }));
    for (const threshold of [0, 0.35, 0.6, 1]) {
      const selection = { mode: 'threshold' as const, threshold, overrides };
      const fresh = buildReport(plan, measured, selection, context);
      const recalled = buildReport(plan, { ...measured, modules }, selection, context);
      assert.deepEqual(recalled, fresh);
      const names = fresh.modules.filter(({ selected }) => selected).map(({ name }) => name);
      assert.deepEqual([...selectedIn(kept.report, selection)], names);
    }
    assert.ok(modules.every(({ projected }) => projected?.bytes === null));
  });

  it('is not read from a text of another form', () => {
    for (const text of ['', '{', 'null', '[]', '{"schema":"safe-lora/report@1"}']) {
      assert.equal(parseInspection(text), null);
    }
  });
});

describe('the identity of an adapter and its models', () => {
  it('is that of the bytes of the adapter and of the files of the models, and of nothing else', async () => {
    const { base, aligned, adapter } = smallCase(temporaryFolder());
    const identify = async () => adapterIdentity(await openAdapter(adapter));
    const keyOf = async (): Promise<string> => {
      const models = await Promise.all(
        [base, aligned].map(async (path) => checkpointStamps(await openCheckpoint(path))),
      );
      return inspectionKey('0', await identify(), models[0]!, models[1]!);
    };
    const model = join(base, 'model.safetensors');
    const earlier = new Date(1_700_000_000_000);
    utimesSync(model, earlier, earlier);
    const [identity, key] = [await identify(), await keyOf()];
    const weights = join(adapter, 'adapter_model.safetensors');
    const later = new Date(Date.now() + 60_000);

    assert.ok(await areAsStamped(identity.stamps));
    utimesSync(weights, later, later);
    assert.ok(!(await areAsStamped(identity.stamps)), 'a touched file is looked at again');
    assert.ok(sameAdapter(await identify(), identity));
    assert.equal(await keyOf(), key);

    const bytes = readFileSync(weights);
    const changed = Buffer.from(bytes);
    changed[changed.length - 1]! ^= 1;
    writeFileSync(weights, changed);
    assert.ok(!sameAdapter(await identify(), identity));
    writeFileSync(weights, bytes);
    assert.equal(await keyOf(), key);

    const config = join(adapter, 'adapter_config.json');
    const text = readFileSync(config, 'utf8');
    writeFileSync(config, text.replace('"lora_alpha":4', '"lora_alpha":8'));
    assert.notEqual(await keyOf(), key, 'the configuration says what the weights mean');
    writeFileSync(config, text);

    utimesSync(model, later, later);
    assert.notEqual(await keyOf(), key);
    utimesSync(model, earlier, earlier);
    assert.equal(await keyOf(), key);
  });

  it('counts a file that comes or goes as a change', async () => {
    const path = join(temporaryFolder(), 'file');
    const missing = await stampOf(path);
    assert.equal(missing.size, -1);
    assert.ok(await areAsStamped([missing]));
    writeFileSync(path, 'x');
    assert.ok(!(await areAsStamped([missing])));
  });
});

describe('an entry of target_modules', () => {
  it('is in a list a name or its end at a dot, alone a pattern of the whole name', () => {
    const name = 'model.layers.3.self_attn.q_proj';
    assert.equal(targeted([name], ['q_proj'], true).size, 1);
    assert.equal(targeted([name], [name], true).size, 1);
    assert.equal(targeted([name], ['proj'], true).size, 0);
    assert.equal(targeted([name], ['.*q_proj'], true).size, 0);
    assert.equal(targeted([name], ['.*\\.self_attn\\.(q|v)_proj'], false).size, 1);
    assert.equal(targeted([name], ['q_proj'], false).size, 0);
    assert.equal(targeted([name], ['all-linear'], false).size, 1);
    assert.equal(targeted([name], ['('], false).size, 0);
  });

  it('that would backtrack without end is given up', () => {
    const started = performance.now();
    assert.equal(targeted([`${'a'.repeat(60)}.q_proj`], ['(?:[a-z_.0-9]+)+X'], false).size, 0);
    assert.ok(performance.now() - started < 5000);
  });
});

describe('what surfaces say alike', () => {
  it('says of a selection its rule, or that it was made by hand', () => {
    assert.equal(
      findingSum({ mode: 'threshold', threshold: 0.1 + 0.2, overrides }, 3, 12, found),
      '3 of 12 at or below 0.3',
    );
    assert.equal(findingSum({ mode: 'count', count: 5, overrides }, 5, 12, found), 'the 5 lowest of 12');
    assert.equal(findingSum({ mode: 'count', count: 20, overrides }, 12, 12, found), '12 of 12: fewer than 20');
    const byHand = { added: ['a'], removed: [] };
    assert.equal(findingSum({ mode: 'count', count: 5, overrides: byHand }, 6, 12, found), '6 of 12 by hand');
  });

  it('gives a sign to no number that rounds to zero', () => {
    assert.deepEqual(
      [-0.08, 0.08, -0.001, 0.001, 0].map((value) => signed(value, 2)),
      ['−0.08', '+0.08', '0.00', '0.00', '0.00'],
    );
    assert.equal(signed(null), '–');
  });
});
