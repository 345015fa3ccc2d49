// The verbs of src/work, without a command line or an editor: what they ask, tell and write, and whom they stop for.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { openCheckpoint } from '../../src/core/checkpoint';
import { SafeLoraError } from '../../src/core/errors';
import { type Plan } from '../../src/core/plan';
import { type Report } from '../../src/core/report';
import { type Selection } from '../../src/core/rules';
import { type ChosenDevice } from '../../src/engine/devices';
import { Engine } from '../../src/engine/pool';
import { type Provider } from '../../src/engine/providers';
import { Batch } from '../../src/work/batch';
import { openAdapter } from '../../src/core/adapter';
import { measuredOf } from '../../src/engine/run';
import { inspect } from '../../src/work/inspect';
import { type Due, measureTogether, passesOf, planFor } from '../../src/work/measure';
import { measureProjection } from '../../src/work/measure-projection';
import { project, projectCopies } from '../../src/work/project';
import { type Services } from '../../src/work/services';
import { childPath, sample, temporaryFolder } from '../fixtures/make';

const engine = new Engine({ childPath, memory: 2 ** 28 });
after(() => {
  engine.dispose();
});

const device: ChosenDevice = { requested: 'cpu', provider: 'cpu', fallbackReason: null };
const selection: Selection = { mode: 'threshold', threshold: 0.35, overrides: { added: [], removed: [] } };
const request = {
  base: join(sample, 'base'),
  aligned: join(sample, 'aligned'),
  adapters: ['harmful', 'mixed'].map((name) => join(sample, 'adapters', name)),
  selection,
  device: 'cpu' as const,
};

/** What was done, in its order. */
function watched(): { services: Services; events: string[] } {
  const events: string[] = [];
  const services: Services = {
    version: '1.2.3',
    models: {
      open: (given) => {
        events.push(`open ${given.split('/').at(-1)!}`);
        return openCheckpoint(given);
      },
      remember: () => Promise.resolve(void events.push('remember')),
    },
    engine: {
      choose: () => {
        events.push('choose');
        return Promise.resolve(device);
      },
      on: () => {
        events.push('on');
        return Promise.resolve(engine);
      },
    },
  };
  return { services, events };
}

describe('inspect', () => {
  it('opens the models once, asks before the engine starts, and reports on each adapter', async () => {
    const { services, events } = watched();
    const told: string[] = [];
    const reports = await inspect(request, services, {
      agree: (plans) => Promise.resolve(void events.push(`agree ${plans.length}`)),
      onReport: ({ adapter }) => told.push(adapter.name),
    });
    assert.deepEqual(events, ['open base', 'open aligned', 'agree 2', 'choose', 'on', 'remember']);
    assert.deepEqual(told, ['harmful', 'mixed']);
    assert.deepEqual(
      reports.values.map(({ tool, totals }) => [tool.version, totals.selected]),
      [
        ['1.2.3', 3],
        ['1.2.3', 6],
      ],
    );
    assert.equal(reports.failures.size, 0);
  });

  it('goes no further where weights may not travel', async () => {
    const { services, events } = watched();
    const refusal = new SafeLoraError('hub-declined', 'they may not; say yes.');
    await assert.rejects(inspect(request, services, { agree: () => Promise.reject(refusal) }), refusal);
    assert.deepEqual(events, ['open base', 'open aligned']);
  });

  it('keeps what one of several adapters fails on apart, and throws it for the only one', async () => {
    const { services } = watched();
    const gone = join(sample, 'adapters', 'gone');
    const ports = { agree: () => Promise.resolve() };
    const reports = await inspect({ ...request, adapters: [gone, request.adapters[0]!] }, services, ports);
    assert.deepEqual(
      [reports.values.map(({ adapter }) => adapter.name), [...reports.failures.keys()]],
      [['harmful'], [gone]],
    );
    await assert.rejects(inspect({ ...request, adapters: [gone] }, services, ports), /the adapter does not exist/);
  });

  it('is given up by its signal, with the reason', async () => {
    const { services } = watched();
    const abort = new AbortController();
    const reason = new Error('enough');
    const given = inspect(request, services, {
      agree: () => Promise.resolve(),
      signal: abort.signal,
      onProgress: () => {
        abort.abort(reason);
      },
    });
    await assert.rejects(given, reason);
  });
});

describe('projectCopies', () => {
  it('checks every destination before it measures, and writes what it reports', async () => {
    const folder = temporaryFolder();
    const { services, events } = watched();
    const destinations = [join(folder, 'one'), join(sample, 'adapters')];
    const written: [string, string][] = [];
    const reports = await projectCopies(
      { ...request, destinationsOf: () => destinations, force: false, again: false },
      services,
      {
        agree: (plans) => Promise.resolve(void events.push(`agree ${plans.length}`)),
        onWritten: ({ adapter }, path) => written.push([adapter.name, path]),
      },
    );
    assert.deepEqual(events.slice(2), ['agree 1', 'choose', 'on', 'remember']);
    assert.deepEqual(written, [['harmful', destinations[0]]]);
    assert.deepEqual(
      [...reports.failures.values()].map(({ code }) => code),
      ['output-overlaps'],
    );
    const kept = JSON.parse(readFileSync(join(destinations[0]!, 'safe_lora_report.json'), 'utf8')) as Report;
    assert.deepEqual(kept.modules, reports.values[0]!.modules);
    assert.ok(existsSync(join(destinations[0]!, 'adapter_model.safetensors')));
  });
});

describe('Batch', () => {
  it('passes on what nobody foresaw', async () => {
    const step = Batch.of(['a', 'b']).each(() => Promise.reject(new TypeError('a fault')));
    await assert.rejects(step, TypeError);
  });

  it('keeps the first failure of an adapter, and gives each step its index among those that go on', async () => {
    const fail = (message: string): never => {
      throw new SafeLoraError('file-access', message);
    };
    const first = await Batch.of(['a', 'b', 'c']).each((path) => (path === 'a' ? fail('first') : path));
    const second = await first.each((path, i) => (path === 'c' ? fail('second') : `${path}${i}`));
    assert.deepEqual(second.values, ['b0']);
    assert.deepEqual(
      [...second.failures].map(([path, { message }]) => [path, message]),
      [
        ['a', 'first'],
        ['c', 'second'],
      ],
    );
  });
});

describe('passesOf', () => {
  const due = (...providers: Provider[]): Due[] =>
    providers.map((provider, i) => ({ plan: { i } as unknown as Plan, device: { ...device, provider } }));
  const passes = async (all: Due[], most: number): Promise<Provider[][]> => {
    const found: Provider[][] = [];
    const source = (async function* () {
      for (const one of all) yield await Promise.resolve(one);
    })();
    for await (const pass of passesOf(source, most)) found.push(pass.map(({ device: { provider } }) => provider));
    return found;
  };

  it('holds as many as a pass takes, of one device', async () => {
    assert.deepEqual(await passes(due('cpu', 'cpu', 'cpu', 'webgpu', 'cpu'), 2), [
      ['cpu', 'cpu'],
      ['cpu'],
      ['webgpu'],
      ['cpu'],
    ]);
    assert.deepEqual(await passes([], 2), []);
  });

  it('gives a full pass on before it asks for more', async () => {
    let asked = 0;
    const source = (async function* () {
      for (const one of due('cpu', 'cpu', 'cpu')) {
        asked++;
        yield await Promise.resolve(one);
      }
    })();
    const passed = await passesOf(source, 2).next();
    assert.deepEqual([(passed.value as Due[]).length, asked], [2, 2]);
  });
});

describe('measureProjection', () => {
  it('finds what a measuring of the projected copy finds, and leaves nothing behind', async () => {
    const { services } = watched();
    const ports = { agree: () => Promise.resolve() };
    const adapter = await openAdapter(request.adapters[0]!);
    const plan = await planFor(adapter, request, services);
    const [outcome] = await measureTogether([plan], device, services, {});
    const measured = measuredOf(outcome!);
    const { projection } = await project(plan, measured, selection, { version: '1.2.3', device });
    const found = await measureProjection(plan, measured.modules, projection.tensors, 'cpu', services, ports);
    const left = readdirSync(tmpdir()).filter((name) => name.startsWith('safe-lora-projection-'));
    assert.deepEqual(left, []);

    const copy = join(temporaryFolder(), 'copy');
    const copies = { ...request, adapters: [adapter.path], destinationsOf: () => [copy], force: false, again: false };
    await projectCopies(copies, services, ports);
    const [report] = (await inspect({ ...request, adapters: [copy] }, services, ports)).values;
    const ofCopy = new Map(report!.modules.map((module) => [module.name, module]));
    const names = found.modules.map(({ name }) => name);
    assert.deepEqual(names, [...projection.tensors.keys()]);
    assert.equal(names.length, 3);
    for (const { name, measurement } of found.modules) {
      for (const measure of ['similarity', 'direction', 'gain', 'updateNorm', 'nullSimilarity'] as const) {
        const [now, expected] = [measurement![measure]!, ofCopy.get(name)![measure]!];
        assert.ok(Math.abs(now - expected) <= 1e-6 * Math.max(1, Math.abs(expected)), `${name} ${measure}: ${now}`);
      }
      const original = measured.modules.find((module) => module.name === name)!.measurement!;
      assert.ok(measurement!.updateNorm < original.updateNorm, `${name} is smaller`);
    }
    assert.ok(Math.abs(found.direction! - report!.totals.direction!) <= 1e-6);
  });
});
