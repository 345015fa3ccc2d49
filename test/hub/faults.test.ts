// A hub, and a line to it, that fail in every way: what is gone on with, what is refused and in which words, and where the token goes.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, beforeEach, describe, it } from 'node:test';
import { openAdapter } from '../../src/core/adapter';
import { type Checkpoint, openCheckpoint } from '../../src/core/checkpoint';
import { announceWaits } from '../../src/core/claims';
import { SafeLoraError } from '../../src/core/errors';
import { areAsStamped } from '../../src/core/files';
import { checkpointStamps } from '../../src/core/identity';
import { makePlan } from '../../src/core/plan';
import { readTensor, type TensorInfo } from '../../src/core/safetensors';
import { type Fetched } from '../../src/engine/fetching';
import { Engine } from '../../src/engine/pool';
import { measurePlans } from '../../src/engine/run';
import { Hub, type HubOptions } from '../../src/hub/checkpoint';
import { endpointOf, tokenOf } from '../../src/hub/environment';
import { parseReference, referenceOf } from '../../src/hub/reference';
import { childPath, cli, sample, temporaryFolder } from '../fixtures/make';
import { type HubServer, type Turn } from './server';
import { adapter, ALIGNED, BASE, cached, environment, everything, inspect, models, startSample } from './setting';

const TOKEN = 'hf_thisIsTheTokenThatNobodyMaySee';
const folder = temporaryFolder();
const storage = join(folder, 'storage');
const never = new AbortController().signal;

let hub: HubServer;
/** What was waited for, in milliseconds. */
let waits: number[];

beforeEach(async () => {
  rmSync(storage, { recursive: true, force: true });
  (hub as HubServer | undefined)?.stop();
  hub = await startSample();
  waits = [];
});
after(() => {
  hub.stop();
});

function hubOf(more: Partial<HubOptions> & { stallAfter?: number } = {}): Hub {
  const { stallAfter = 5000, ...options } = more;
  const wait = (milliseconds: number): Promise<void> => {
    waits.push(milliseconds);
    return Promise.resolve();
  };
  return new Hub({
    storage,
    limit: 1e9,
    offline: false,
    endpoint: hub.endpoint,
    token: () => Promise.resolve(undefined),
    line: { fetch: (url, init) => globalThis.fetch(url, init), wait, stallAfter },
    ...options,
  });
}

async function failureOf(work: Promise<unknown>): Promise<SafeLoraError> {
  const error = await work.then(
    () => assert.fail('it went well'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof SafeLoraError, String(error));
  assert.doesNotMatch(error.message, /\n/);
  return error;
}

const large = (model: Checkpoint): TensorInfo => model.tensors.get('model.layers.1.mlp.up_proj.weight')!;
const fetchLarge = async (model: Checkpoint): Promise<void> => model.remote!.fetch(large(model), never);

async function onDisk(): Promise<Uint8Array> {
  return readTensor(large(await openCheckpoint(join(sample, 'base'))));
}

describe('a tensor comes whole', () => {
  const cases: [string, Turn[], number[] | undefined][] = [
    [
      'where the connection is cut again and again',
      [10_000, 1, 30_000, 500, 20_000, 7, 9_000].map((n) => ({ kind: 'cut', after: n })),
      undefined,
    ],
    [
      'where the server asks for patience',
      [429, 503].map((status) => ({ kind: 'status', status, headers: { 'retry-after': '7' } })),
      [7000, 7000],
    ],
    [
      'where the server fails for a while',
      [500, 502, 504].map((status) => ({ kind: 'status', status })),
      [500, 1000, 2000],
    ],
    ['where an answer ends too early and says so', [{ kind: 'short', by: 50_000 }], undefined],
    ['where nothing more comes', [{ kind: 'stall', after: 30_000 }], undefined],
    ['where it is slow', [{ kind: 'slow', piece: 10_000, pause: 10 }], []],
  ];
  for (const [name, turns, expected] of cases)
    it(name, async () => {
      const stallAfter = turns.some(({ kind }) => kind === 'stall') ? 300 : 5000;
      const model = await hubOf({ stallAfter }).open(`hf://${BASE}`);
      const before = hub.sent;
      hub.turns = [...turns, { kind: 'whole' }];
      await fetchLarge(model);
      assert.deepEqual(await readTensor(large(model)), await onDisk());
      if (expected) assert.deepEqual(waits, expected);
      // Nothing was sent twice, but for what the cut lost on its way and the refusals.
      assert.ok(hub.sent - before <= large(model).length * 1.02, `${hub.sent - before} bytes`);
    });

  it('where the address that the hub redirected to has expired', async () => {
    const model = await hubOf().open(`hf://${BASE}`);
    hub.signature = 'two';
    await fetchLarge(model);
    assert.deepEqual(await readTensor(large(model)), await onDisk());
    assert.deepEqual(waits, [0]);
  });

  it('where the hub itself fails for a while', async () => {
    hub.hubTurns = [{ kind: 'status', status: 502 }, { kind: 'cut', after: 0 }, { kind: 'whole' }];
    assert.equal((await hubOf().open(`hf://${BASE}`)).name, BASE);
  });
});

describe('a tensor does not come', () => {
  it('where the server goes on failing; what has come stays', async () => {
    const model = await hubOf().open(`hf://${BASE}`);
    hub.turns = [
      { kind: 'cut', after: 5000 },
      { kind: 'status', status: 500 },
    ];
    const { code, message } = await failureOf(fetchLarge(model));
    assert.equal(code, 'hub-unreachable');
    assert.match(
      message,
      /^hf:\/\/toy\/base: http:\/\/127\.0\.0\.1:\d+\/toy\/base\/model\.safetensors: the server answers 500; check the network, or try again later\.$/,
    );
    assert.equal(statSync(`${large(model).path}.part`).size, 5000);
    assert.equal(cached(storage, /\.claim$/).length, 0);
  });

  it('where it comes a byte at a time, for all that each comes in time', async () => {
    const model = await hubOf({ stallAfter: 500 }).open(`hf://${BASE}`);
    hub.turns = [{ kind: 'slow', piece: 1, pause: 20 }];
    const { code, message } = await failureOf(fetchLarge(model));
    assert.equal(code, 'hub-unreachable');
    assert.match(
      message,
      /^hf:\/\/toy\/base: http:\/\/127\.0\.0\.1:\d+\/toy\/base\/model\.safetensors: sent \d+ bytes a second for 0\.5 seconds, fewer than 1000; check the network, or try again later\.$/,
    );
    assert.deepEqual(waits, [500, 1000, 2000]);
  });

  it('where each try brings a byte and breaks off', async () => {
    const model = await hubOf().open(`hf://${BASE}`);
    hub.turns = [{ kind: 'cut', after: 1 }];
    assert.match((await failureOf(fetchLarge(model))).message, /was lost; check the network, or try again later/);
    assert.ok(waits.length < 20, String(waits.length));
  });

  it('where the server asks for more patience than anybody has', async () => {
    const model = await hubOf().open(`hf://${BASE}`);
    hub.turns = [{ kind: 'status', status: 429, headers: { 'retry-after': '3600' } }];
    const { code, message } = await failureOf(fetchLarge(model));
    assert.equal(code, 'hub-unreachable');
    assert.match(message, /asks to retry after 3600 seconds; check the network, or try again later/);
    assert.deepEqual(waits, []);
  });

  const wrong: [string, Turn, RegExp][] = [
    ['the whole file is sent', { kind: 'no-ranges' }, /sends the whole file where bytes \d+ to \d+ of 2253472/],
    ['another part is sent', { kind: 'shifted', by: 1 }, /sends bytes \d+ to \d+ of 2253472 where bytes \d+ to \d+/],
    ['more is sent than was asked for', { kind: 'long', by: 9 }, /sent more than was requested/],
  ];
  for (const [name, turn, expected] of wrong)
    it(`where ${name}`, async () => {
      const model = await hubOf().open(`hf://${BASE}`);
      hub.turns = [turn];
      const { code, message } = await failureOf(fetchLarge(model));
      assert.equal(code, 'hub-answer');
      assert.match(message, expected);
      assert.deepEqual([waits, cached(storage, /\.tensor$/)], [[], []]);
    });

  it('where the hub answers for another commit', async () => {
    hub.otherCommit = 'f'.repeat(40);
    const { code, message } = await failureOf(hubOf().open(`hf://${BASE}`));
    assert.equal(code, 'hub-answer');
    assert.match(message, /is of another commit, f{40}; /);
  });
});

describe('what is refused is not kept', () => {
  it('neither a header that is none, nor a configuration', async () => {
    hub.turns = [{ kind: 'garbage' }];
    const { code, message } = await failureOf(hubOf().open(`hf://${BASE}`));
    assert.equal(code, 'safetensors-format');
    assert.match(message, /^hf:\/\/toy\/base: model\.safetensors: /);
    hub.turns = [{ kind: 'whole' }];
    const config = readFileSync(join(sample, 'aligned', 'config.json'));
    hub.replace(ALIGNED, 'config.json', Buffer.from('<html>'.padEnd(config.length)));
    assert.equal((await failureOf(hubOf().open(`hf://${ALIGNED}`))).code, 'model-config');
    hub.replace(ALIGNED, 'config.json', config);
    for (const id of [BASE, ALIGNED]) assert.equal((await hubOf().open(`hf://${id}`)).name, id);
  });
});

describe('a long wait is told', () => {
  const told: string[] = [];
  const onNotice = (text: string): void => void told.push(text);
  beforeEach(() => {
    told.length = 0;
  });

  it('for an answer, with the host', async () => {
    const model = await hubOf({ onNotice }).open(`hf://${BASE}`);
    assert.deepEqual(told, []);
    hub.latency = 2500;
    await fetchLarge(model);
    assert.match(told.join('\n'), /^waiting for 127\.0\.0\.1:\d+ to answer$/);
  });

  it('for another try, with the reason', async () => {
    const model = await hubOf({ onNotice }).open(`hf://${BASE}`);
    hub.turns = [{ kind: 'status', status: 503, headers: { 'retry-after': '119' } }, { kind: 'whole' }];
    await fetchLarge(model);
    assert.match(
      told.join('\n'),
      /^http:\S+: the server answers 503 and asks to retry after 119 seconds; trying again in 119 seconds$/,
    );
  });

  it('for another process, with its claim', async () => {
    const release = (text: string): void => {
      onNotice(text);
      rmSync(claim);
    };
    announceWaits(release);
    const model = await hubOf().open(`hf://${BASE}`);
    const claim = `${large(model).path}.claim`;
    writeFileSync(claim, JSON.stringify({ pid: 7, host: 'elsewhere' }));
    await fetchLarge(model);
    assert.deepEqual(told, [`waiting for process 7 on elsewhere, which uses ${claim}`]);
  });

  it('on standard error, unless only errors are wanted', async () => {
    for (const [more, expected] of [
      [
        [],
        /^safe-lora: http:\S+: the server answers 503 and asks to retry after 3 seconds; trying again in 3 seconds\n/,
      ],
      [['--quiet'], /^$/],
    ] as const) {
      hub.hubTurns = [{ kind: 'status', status: 503, headers: { 'retry-after': '3' } }, { kind: 'whole' }];
      const { status, stderr } = await inspect(environment(hub, storage), [...models(), ...more]);
      assert.equal(status, 0);
      assert.match(stderr, expected);
    }
  });
});

describe('a model is refused', () => {
  const open = (more: Partial<HubOptions> = {}, given = `hf://${BASE}`): Promise<SafeLoraError> =>
    failureOf(hubOf(more).open(given));
  const withToken = { token: () => Promise.resolve(TOKEN) };

  it('in the hub’s own words where it is gated, with where to ask for access', async () => {
    const message = `Access to model ${BASE} is restricted. You must have access to it and be authenticated to access it. Please log in.`;
    hub.refusals[BASE] = { status: 401, code: 'GatedRepo', message };
    const out = await open();
    assert.equal(out.code, 'hub-access');
    assert.equal(
      out.message,
      `hf://${BASE}: the hub says: ${message.slice(0, -1)}; ask for access at ${hub.endpoint}/${BASE}, and set HF_TOKEN, or a token by "Safe LoRA: Set Hugging Face Token" in the editor.`,
    );
    hub.refusals[BASE] = { status: 403, code: 'GatedRepo', message: 'You are not in the authorized list.' };
    const notIn = await open(withToken);
    assert.equal(
      notIn.message,
      `hf://${BASE}: the hub says: You are not in the authorized list; ask for access at ${hub.endpoint}/${BASE}.`,
    );
  });

  it('where it is missing or private, which look the same', async () => {
    const missing = await open({}, 'hf://toy/none');
    assert.equal(missing.code, 'hub-missing');
    assert.equal(
      missing.message,
      'hf://toy/none: the hub says: Repository not found; check the name: a private model looks the same; for one, set HF_TOKEN, or a token by "Safe LoRA: Set Hugging Face Token" in the editor.',
    );
    hub.token = TOKEN;
    assert.match(
      (await open()).message,
      /Invalid username or password; check the name: a private model looks the same; for one, set HF_TOKEN/,
    );
    assert.match(
      (await open({ token: () => Promise.resolve('hf_other') })).message,
      /private model that the token cannot access/,
    );
    assert.equal((await hubOf(withToken).open(`hf://${BASE}`)).name, BASE);
  });

  it('where the token is none', async () => {
    hub.refusals[BASE] = { status: 401, message: 'Invalid credentials in Authorization header', hidden: true };
    const { code, message } = await open(withToken);
    assert.equal(code, 'hub-access');
    assert.match(message, /Invalid credentials in Authorization header; use a token that can access it\.$/);
  });

  it('where the revision or a file is missing', async () => {
    assert.match(
      (await open({}, `hf://${BASE}@v9`)).message,
      /^hf:\/\/toy\/base@v9: .*; it has no revision v9: check it at /,
    );
    const { code, message } = await failureOf(hubOf().open('hf://toy/base@main/../x'));
    assert.equal(code, 'hub-reference');
    assert.match(message, /names no model on the hub; write hf:\/\/org\/name/);
  });

  it('where the endpoint is neither encrypted nor this machine, before anything is sent', async () => {
    let asked = 0;
    const line = { fetch: () => Promise.reject(new Error(String(asked++))) };
    const { code, message } = await open({ endpoint: 'http://hub.example', line, ...withToken });
    assert.equal(code, 'hub-answer');
    assert.match(message, /is not an https address, and nothing else is trusted; check HF_ENDPOINT/);
    assert.equal(asked, 0);
    assert.match((await open({ endpoint: 'nonsense', line })).message, /check HF_ENDPOINT/);
  });

  it('where nothing answers', async () => {
    const { endpoint } = hub;
    hub.stop();
    const { code, message } = await open({ endpoint });
    assert.equal(code, 'hub-unreachable');
    assert.match(message, /cannot be reached: nothing answers there; check the network, or try again later\.$/);
  });
});

describe('the token', () => {
  it('goes to the hub, and never to the host that it redirects to', async () => {
    hub.token = TOKEN;
    const model = await hubOf({ token: () => Promise.resolve(TOKEN) }).open(`hf://${BASE}`);
    await fetchLarge(model);
    const asked = hub.asked.filter(({ host }) => host === 'hub');
    assert.ok(asked.some(({ path }) => path.startsWith('/api/resolve-cache/')));
    assert.ok(asked.every(({ authorization }) => authorization === `Bearer ${TOKEN}`));
    assert.ok(hub.weightRequests.length > 1);
    assert.ok(hub.weightRequests.every(({ authorization }) => authorization === undefined));
  });

  it('appears nowhere: no output, no report, no file', async () => {
    hub.token = TOKEN;
    const env = { ...environment(hub, storage), HF_TOKEN: TOKEN };
    const outputs = [await inspect(env)];
    assert.equal(outputs[0]!.status, 0);
    outputs.push(await inspect(env, models('hf://toy/none')));
    hub.refusals[BASE] = { status: 403, message: `The token ${TOKEN} may not`, hidden: true };
    outputs.push(await inspect(env));
    assert.match(outputs[2]!.stderr, /The token \(the token\) may not/);
    hub.refusals = {};
    hub.hubTurns = [{ kind: 'status', status: 400 }];
    outputs.push(await inspect(env));
    outputs.push(await inspect({ ...env, HF_TOKEN: `${TOKEN}\n with more` }));
    assert.match(outputs[4]!.stderr, /^safe-lora: HF_TOKEN: does not contain a valid token/);
    assert.deepEqual(
      outputs.slice(1).map(({ status }) => status),
      [1, 1, 1, 1],
    );
    const text = [JSON.stringify(outputs), everything(storage)].join('\n');
    assert.ok(text.includes(BASE));
    assert.ok(!text.includes(TOKEN));
  });

  it('is HF_TOKEN, else what is stored where the hub’s own tools store it', async () => {
    const home = join(folder, 'home');
    const other = join(folder, 'other-token');
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, 'token'), 'hf_stored\n');
    writeFileSync(other, 'hf_elsewhere');
    assert.equal(await tokenOf({ HF_TOKEN: ' hf_given ', HF_HOME: home }), 'hf_given');
    assert.equal(await tokenOf({ HF_TOKEN: '', HF_TOKEN_PATH: other, HF_HOME: home }), 'hf_elsewhere');
    assert.equal(await tokenOf({ HF_HOME: home }), 'hf_stored');
    const pipe = join(home, 'pipe');
    execFileSync('mkfifo', [pipe]);
    await assert.rejects(tokenOf({ HF_TOKEN_PATH: pipe }), /pipe: cannot read it: it is a special file/);
    assert.equal(await tokenOf({ XDG_CACHE_HOME: join(folder, 'nowhere') }), undefined);
    assert.equal(endpointOf({}), 'https://huggingface.co');
    assert.equal(endpointOf({ HF_ENDPOINT: 'https://hub.example/' }), 'https://hub.example');
  });
});

describe('a reference', () => {
  it('is hf://org/name, or org/name where nothing of that name is here', async () => {
    assert.deepEqual(parseReference('hf://meta-llama/Llama-2-7b-hf'), {
      id: 'meta-llama/Llama-2-7b-hf',
      revision: 'main',
    });
    assert.deepEqual(parseReference('a/b@refs/pr/1'), { id: 'a/b', revision: 'refs/pr/1' });
    for (const path of [
      '/a/b',
      './a/b',
      '../a',
      'a',
      'a/b/c',
      'C:\\a\\b',
      'a\\b',
      '~/b',
      'a/..',
      'a/b/',
      '',
      'a/b@',
      '-a/b',
    ])
      assert.equal(parseReference(path), null, path);
    for (const bad of [
      'hf://',
      'hf://a',
      'hf://a/b/c',
      'hf://a/../b',
      'hf://a/b@',
      'hf://a/b@x y',
      'hf://a/b@../x',
      'hf://a/b?x',
    ])
      assert.throws(() => parseReference(bad), { code: 'hub-reference' }, bad);
    assert.equal(await referenceOf('sample/base'), null);
    assert.notEqual(await referenceOf('hf://sample/base'), null);
  });

  it('to a commit names files that never change', async () => {
    const model = await hubOf().open(`hf://${BASE}`);
    assert.equal(model.path, `hf://${BASE}`);
    const stamps = checkpointStamps(model);
    assert.equal(stamps[0]!.path, `hf://${BASE}@${hub.commit(BASE)}/model.safetensors`);
    assert.ok(await areAsStamped(stamps));
    assert.equal(model.headersHash, (await openCheckpoint(join(sample, 'base'))).headersHash);
  });
});

describe('a walk over weights that are on the hub', () => {
  const engine = new Engine({ childPath, memory: 2 ** 29, workers: 1 });
  after(() => {
    engine.dispose();
  });

  it('is given up at once, keeps what has come, and says how far it is', async () => {
    const open = hubOf();
    const [base, aligned] = [await open.open(`hf://${BASE}`), await open.open(`hf://${ALIGNED}`)];
    const plan = makePlan(await openAdapter(adapter), base, aligned);
    hub.turns = [{ kind: 'whole' }, { kind: 'slow', piece: 1000, pause: 20 }];
    const abort = new AbortController();
    const reason = new Error('given up');
    let last: Fetched = { bytesFetched: 0, bytesToFetch: 0 };
    const walk = measurePlans([plan], engine, {
      signal: abort.signal,
      onFetched: (fetched) => {
        assert.ok(fetched.bytesFetched > last.bytesFetched);
        last = fetched;
        if (fetched.bytesFetched > 50_000) abort.abort(reason);
      },
    });
    await assert.rejects(walk, reason);
    const kept = cached(storage, /\.tensor(?:\.part)?$/).reduce((sum, path) => sum + statSync(path).size, 0);
    assert.ok(kept >= last.bytesFetched && kept < last.bytesToFetch);
    assert.ok(cached(storage, /\.tensor\.part$/).length > 1);
    assert.equal(cached(storage, /\.claim$/).length, 0);
    hub.turns = [{ kind: 'whole' }];
    hub.asked.length = 0;
    const [outcome] = await measurePlans([plan], engine, {
      onProgress: ({ bytesFetched, bytesToFetch }) => {
        last = { bytesFetched, bytesToFetch };
      },
    });
    assert.ok('measured' in outcome!);
    assert.equal(
      hub.weightRequests.reduce((sum, { sent }) => sum + sent, 0),
      last.bytesToFetch,
    );
    assert.equal(last.bytesFetched, last.bytesToFetch);
  });

  it('fails for those adapters of which a weight does not come', async () => {
    const open = hubOf();
    const [base, aligned] = [await open.open(`hf://${BASE}`), await open.open(`hf://${ALIGNED}`)];
    const { remote } = base;
    const failure = new SafeLoraError('hub-unreachable', 'the line is dead');
    base.remote = {
      ...remote!,
      fetch: (tensor, ...rest) =>
        tensor.name.includes('.3.mlp.gate_proj') ? Promise.reject(failure) : remote!.fetch(tensor, ...rest),
    };
    const adapters = await Promise.all(
      ['mixed', 'mixed-all'].map((name) => openAdapter(join(sample, 'adapters', name))),
    );
    const [small, all] = await measurePlans(
      adapters.map((one) => makePlan(one, base, aligned)),
      engine,
    );
    assert.ok('measured' in small!);
    assert.deepEqual(all, { failure });
  });

  it('is said to the user with its exit status', async () => {
    const env = environment(hub, storage);
    hub.turns = [...Array.from({ length: 9 }, () => ({ kind: 'whole' }) as const), { kind: 'status', status: 404 }];
    const { status, stdout, stderr } = await cli(['inspect', adapter, ...models(), '--quiet'], { env });
    assert.deepEqual([status, stdout], [1, '']);
    assert.match(stderr, /^safe-lora: hf:\/\/toy\/(?:base|aligned): http:[^\n]*\n$/);
  });
});
