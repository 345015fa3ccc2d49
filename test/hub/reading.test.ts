// Models on the hub as a user of the command line has them: the same numbers, few bytes, and what is kept of them.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, readFileSync, renameSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { machine } from '../../src/core/claims';
import { type Report } from '../../src/core/report';
import { cli, randomTensor, sample, temporaryFolder, writeAdapter, writeModel } from '../fixtures/make';
import { HubServer } from './server';
import {
  adapter,
  ALIGNED,
  BASE,
  cached,
  environment,
  everything,
  inspect,
  killed,
  models,
  neededBytes,
  sizes,
  startSample,
} from './setting';

const folder = temporaryFolder();
const storage = join(folder, 'storage');
const needed = neededBytes();
const folders = models(join(sample, 'base'), join(sample, 'aligned'));
const offline = (args: string[]): string[] => [...args, '--offline'];

let hub: HubServer;
let env: NodeJS.ProcessEnv;
let fromDisk: Report;

before(async () => {
  hub = await startSample();
  fromDisk = (await inspect(environment(hub, join(folder, 'other')), folders)).report;
  hub.stop();
});
beforeEach(async () => {
  rmSync(storage, { recursive: true, force: true });
  (hub as HubServer | undefined)?.stop();
  hub = await startSample();
  env = environment(hub, storage);
});
after(() => {
  hub.stop();
});

/** All but where the models are, and how long it took. */
function numbers({ base, aligned, totals, ...rest }: Report): object {
  return { ...rest, totals: { ...totals, seconds: 0 } };
}

/** The cache as an earlier run has left it. */
async function warm(): Promise<void> {
  assert.equal((await inspect(env)).status, 0);
  hub.asked.length = 0;
}

/** Changes one bit in the middle of a file. */
function flip(path: string): void {
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(path, bytes);
}

describe('a pair on the hub', () => {
  it('has the numbers of the same pair on disk, bit for bit, for hardly more bytes than are needed', async () => {
    const { status, stderr, report } = await inspect(env);
    assert.equal(status, 0);
    assert.deepEqual(numbers(report), numbers(fromDisk));
    assert.deepEqual(report.base, { path: `hf://${BASE}@${hub.commit(BASE)}`, name: BASE });
    assert.deepEqual(report.aligned, { path: `hf://${ALIGNED}@${hub.commit(ALIGNED)}`, name: ALIGNED });
    const half = `${(needed.weights / 2e6).toFixed(1)} MB of 2.3 MB to fetch; 0 bytes cached`;
    assert.equal(stderr, `hf://${BASE}: ${half}\nhf://${ALIGNED}: ${half}\n`);
    assert.ok(hub.sent <= 1.02 * needed.all, `${hub.sent} bytes for ${needed.all}`);
    assert.ok(hub.weightRequests.reduce((sum, { sent }) => sum + sent, 0) >= needed.weights);
  });

  it('comes with several requests at once, and with one redirect a file', async () => {
    hub.latency = 20;
    assert.equal((await inspect(env)).status, 0);
    assert.ok(hub.mostAtOnce >= 4 && hub.mostAtOnce <= 8, `${hub.mostAtOnce} at once`);
    const redirected = hub.asked.filter(({ host, path }) => host === 'hub' && path.endsWith('.safetensors'));
    // One each for the three files' headers, and no more.
    assert.equal(redirected.length, 3);
  });

  it('gives a projection whose provenance is that of the folders, but for the names', async () => {
    const provenance = async (args: string[], out: string): Promise<string> => {
      const result = await cli(['project', adapter, ...args, '--out', join(folder, out), '--quiet'], { env });
      assert.deepEqual([result.status, result.stderr], [0, '']);
      return everything(join(folder, out)).replaceAll(join(folder, out), '');
    };
    const [hubs, disks] = [await provenance(models(), 'from-hub'), await provenance(folders, 'from-disk')];
    assert.doesNotMatch(hubs, /hf:\/\/|127\.0\.0\.1/);
    const headers = (text: string): string[] =>
      [...text.matchAll(/headers\\?":\s*\\?"([0-9a-f]{64})/g)].map(([, hash]) => hash!);
    assert.ok(headers(hubs).length >= 2);
    assert.deepEqual(headers(hubs), headers(disks));
  });

  it('is looked up once more, and nothing of it is sent again', async () => {
    await warm();
    const { report, stderr } = await inspect(env);
    assert.deepEqual(numbers(report), numbers(fromDisk));
    assert.match(stderr, /^hf:\/\/toy\/base: 0 bytes of 2\.3 MB to fetch; 2\.2 MB cached\n/);
    assert.deepEqual(
      hub.asked.map(({ path }) => path),
      [BASE, ALIGNED].map((id) => `/api/models/${id}/revision/main?blobs=true`),
    );
  });

  it('asks nobody where the commits are given, or offline', async () => {
    await warm();
    const pinned = models(`hf://${BASE}@${hub.commit(BASE)}`, `hf://${ALIGNED}@${hub.commit(ALIGNED)}`);
    for (const [args, more] of [
      [pinned, {}],
      [offline(models()), {}],
      [models(), { HF_HUB_OFFLINE: '1' }],
    ] as const) {
      assert.deepEqual(numbers((await inspect({ ...env, ...more }, args)).report), numbers(fromDisk));
    }
    assert.deepEqual(hub.asked, []);
  });

  it('says offline what is not there', async () => {
    const cold = await inspect(env, offline(models()));
    assert.deepEqual([cold.status, cold.stdout], [1, '']);
    assert.equal(
      cold.stderr,
      `safe-lora: hf://${BASE}: the model is not cached, and offline nothing is downloaded; run once without --offline or HF_HUB_OFFLINE.\n`,
    );
    await warm();
    rmSync(cached(storage, /toy--aligned.*\.tensor$/)[0]!);
    const { status, stderr } = await inspect(env, offline([...models(), '--quiet']));
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^safe-lora: hf:\/\/toy\/aligned: model-0000\d-of-00002\.safetensors: model\.\S+ is not cached, and offline [^\n]*\n$/,
    );
    assert.deepEqual(hub.asked, []);
  });

  it('is found under its bare name, but a folder of that name goes first', async () => {
    const bare = await cli(['inspect', adapter, ...models(BASE, ALIGNED), '--json', '-'], { env, cwd: folder });
    const report = JSON.parse(bare.stdout) as Report;
    assert.deepEqual([report.base.name, report.aligned.name], [BASE, ALIGNED]);
    hub.asked.length = 0;
    const here = await cli(['inspect', 'adapters/mixed-all', ...models('./base', './aligned'), '--quiet'], {
      env,
      cwd: sample,
    });
    assert.equal(here.status, 0);
    const inside = await cli(['inspect', adapter, ...models('sample/base', 'sample/aligned'), '--quiet'], {
      env,
      cwd: join(sample, '..'),
    });
    assert.equal(inside.status, 0);
    assert.deepEqual(hub.asked, []);
  });

  it('may keep weights fused: each travels once, and its parts have the numbers of the pair on disk', async () => {
    const at = 'model.layers.0.self_attn';
    const sizes = { q_proj: 8, k_proj: 2, v_proj: 2 };
    const pairs = Object.entries(sizes).map(([name, out], i) => [
      `${at}.${name}`,
      { a: randomTensor(i, [2, 6]), b: randomTensor(i + 5, [out, 2]) },
    ]);
    const fusedAdapter = writeAdapter(join(folder, 'fused'), Object.fromEntries(pairs) as never);
    const [base, aligned] = ['fused-base', 'fused-aligned'].map((name, seed) =>
      writeModel(join(folder, name), { [`${at}.qkv_proj.weight`]: randomTensor(seed, [12, 6]) }),
    );
    hub.stop();
    hub = await HubServer.start({ [BASE]: base!, [ALIGNED]: aligned! });
    env = environment(hub, storage);
    const run = async (args: string[]): Promise<Report> => {
      const { stdout, stderr } = await cli(['inspect', fusedAdapter, ...args, '--json', '-'], { env });
      assert.notEqual(stdout, '', stderr);
      return JSON.parse(stdout) as Report;
    };
    const [there, here] = [await run(models()), await run(models(base, aligned))];
    assert.deepEqual(there.modules, here.modules);
    const whole = 12 * 6 * 4;
    assert.equal(hub.weightRequests.filter(({ sent }) => sent === whole).length, 2);
  });

  it('goes with one on disk', async () => {
    const { report } = await inspect(env, models(join(sample, 'base'), ALIGNED));
    assert.deepEqual(numbers(report), numbers(fromDisk));
    assert.equal(report.base.path, join(sample, 'base'));
  });

  it('that is one model twice is refused before a weight is sent', async () => {
    const { status, stderr } = await inspect(env, models(`hf://${BASE}`, `hf://${BASE}@${hub.commit(BASE)}`));
    assert.equal(status, 1);
    assert.match(stderr, /^safe-lora: hf:\/\/toy\/base: base and aligned have the same weights/);
    assert.equal(cached(storage, /\.tensor/).length, 0);
  });

  it('is new where its branch has moved, and is kept at both commits', async () => {
    await warm();
    const earlier = hub.commit(BASE);
    hub.move(BASE);
    const { report } = await inspect(env);
    assert.notEqual(report.base.path, `hf://${BASE}@${earlier}`);
    assert.equal(cached(storage, /toy--base.*\.tensor$/).length, 2 * cached(storage, /toy--aligned.*\.tensor$/).length);
  });

  it('names file and tensor where a weight is no number', async () => {
    const name = 'model.safetensors';
    const bytes = Buffer.from(readFileSync(join(sample, 'base', name)));
    const start = 8 + Number(bytes.readBigUInt64LE());
    // NaN, as BF16.
    for (let at = start + 34_560; at < bytes.length; at += 2) bytes.writeUInt16LE(0x7fc0, at);
    hub.replace(BASE, name, bytes);
    const { status, stderr } = await inspect(env, [...models(), '--quiet']);
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^safe-lora: hf:\/\/toy\/base: model\.safetensors: model\.layers\.\S+ contains NaN or infinity; /,
    );
  });
});

describe('the cache', () => {
  it('goes on after a kill where the dead run was', async () => {
    hub.turns = [
      ...Array.from({ length: 12 }, () => ({ kind: 'whole' }) as const),
      { kind: 'slow', piece: 2000, pause: 100 },
    ];
    await killed(env, storage, 600_000);
    const noted = cached(storage, /\.part\.sha256$/).map(
      (path) => (JSON.parse(readFileSync(path, 'utf8')) as { length: number }).length,
    );
    const had = [...sizes(storage, /\.tensor$/), ...noted].reduce((sum, size) => sum + size, 0);
    assert.ok(
      cached(storage, /\.tensor\.part$/).some((path) => readFileSync(path).length > 0),
      'nothing was broken off',
    );
    assert.ok(sizes(storage, /\.tensor(?:\.part)?$/).reduce((sum, size) => sum + size, 0) >= 600_000);
    assert.ok(noted.length > 0 && noted.every((length) => length > 0), 'nothing was noted');
    assert.ok(had < needed.weights);
    hub.turns = [{ kind: 'whole' }];
    hub.asked.length = 0;
    const { report } = await inspect(env);
    assert.deepEqual(numbers(report), numbers(fromDisk));
    assert.equal(
      hub.weightRequests.reduce((sum, { sent }) => sum + sent, 0),
      needed.weights - had,
    );
  });

  it('goes on with what is noted of an unfinished file, and with nothing else', async () => {
    await warm();
    const [whole, longer, changed, unknown] = cached(storage, /\.tensor$/) as [string, string, string, string];
    const lengths = [whole, longer, changed, unknown].map((path) => readFileSync(path).length);
    for (const [path, noted] of [
      [whole, 1],
      [longer, 0.5],
      [changed, 0.5],
    ] as const) {
      const bytes = readFileSync(path);
      const length = Math.floor(bytes.length * noted);
      const content = { length, of: createHash('sha256').update(bytes.subarray(0, length)).digest('hex') };
      const sha256 = createHash('sha256').update(JSON.stringify(content)).digest('hex');
      writeFileSync(`${path}.part.sha256`, JSON.stringify({ ...content, sha256 }));
    }
    renameSync(whole, `${whole}.part`);
    // After what is noted comes what a crash left.
    writeFileSync(
      `${longer}.part`,
      Buffer.concat([readFileSync(longer).fill(0, Math.floor(lengths[1]! / 2)), Buffer.alloc(9)]),
    );
    writeFileSync(`${changed}.part`, readFileSync(changed).fill(0, 0, 100));
    writeFileSync(`${unknown}.part`, readFileSync(unknown).fill(0, 100));
    for (const path of [longer, changed, unknown]) rmSync(path);
    const { report } = await inspect(env);
    assert.deepEqual(numbers(report), numbers(fromDisk));
    const sent = hub.weightRequests.reduce((sum, request) => sum + request.sent, 0);
    assert.deepEqual([hub.weightRequests.length, sent], [3, Math.ceil(lengths[1]! / 2) + lengths[2]! + lengths[3]!]);
    assert.equal(cached(storage, /\.part/).length, 0);
  });

  it('serves two runs at once, for which each tensor comes once', async () => {
    hub.turns = [{ kind: 'slow', piece: 20_000, pause: 5 }];
    const runs = await Promise.all([inspect(env), inspect(env), inspect(env)]);
    for (const { report } of runs) assert.deepEqual(numbers(report), numbers(fromDisk));
    const ranges = hub.weightRequests.map(({ path, range }) => `${path} ${range}`);
    assert.equal(new Set(ranges).size, ranges.length);
    assert.ok(hub.weightRequests.reduce((sum, { sent }) => sum + sent, 0) <= needed.all);
  });

  it('minds no claim of a process that is dead or long silent, and those of the living', async () => {
    await warm();
    const [dead, silent, foreign, future] = cached(storage, /\.tensor$/);
    const ended = 2 ** 22 + 1;
    writeFileSync(`${dead!}.claim`, JSON.stringify({ pid: ended, host: machine }));
    writeFileSync(`${silent!}.claim`, JSON.stringify({ pid: 1, host: 'elsewhere' }));
    const longAgo = new Date(Date.now() - 2 * 86_400_000);
    utimesSync(`${silent!}.claim`, longAgo, longAgo);
    const farAhead = new Date('2100-01-01');
    for (const path of [`${future!}.claim`, join(storage, 'hub', 'lock')]) {
      writeFileSync(path, JSON.stringify({ pid: 1, host: 'elsewhere' }));
      utimesSync(path, farAhead, farAhead);
    }
    writeFileSync(`${foreign!}.claim`, JSON.stringify({ pid: ended, host: 'elsewhere' }));
    for (const path of [dead!, silent!, foreign!, future!]) rmSync(path);
    let done = false;
    const run = inspect(env).finally(() => (done = true));
    await new Promise((resolve) => setTimeout(resolve, 2500));
    assert.deepEqual([done, hub.weightRequests.length], [false, 3]);
    rmSync(`${foreign!}.claim`);
    assert.deepEqual(numbers((await run).report), numbers(fromDisk));
    assert.equal(hub.weightRequests.length, 4);
  });

  it('fetches anew what is not as long as it should be', async () => {
    await warm();
    const [one, other] = cached(storage, /\.tensor$/);
    const [header] = cached(storage, /\.header$/);
    const [text] = cached(storage, /\.text$/);
    truncateSync(one!, 100);
    writeFileSync(other!, Buffer.concat([readFileSync(other!), Buffer.alloc(1)]));
    truncateSync(header!, 50);
    truncateSync(text!, 3);
    const { report } = await inspect(env);
    assert.deepEqual(numbers(report), numbers(fromDisk));
    assert.ok(hub.weightRequests.length >= 3 && hub.weightRequests.length <= 4, `${hub.weightRequests.length}`);
  });

  it('fetches anew what was changed in any kind of its files, and says which', async () => {
    await warm();
    const changed = [/\.tensor$/, /\.header$/, /\.text$/, /info\.json$/].map((kind) => cached(storage, kind)[0]!);
    changed.forEach(flip);
    const pinned = models(`hf://${BASE}@${hub.commit(BASE)}`, `hf://${ALIGNED}@${hub.commit(ALIGNED)}`);
    const { report, stderr } = await inspect(env, pinned);
    assert.deepEqual(numbers(report), numbers(fromDisk));
    const told = stderr.split('\n').filter((line) => line.includes('does not match its checksum; '));
    assert.deepEqual(
      told.map((line) => line.slice('safe-lora: '.length, line.indexOf(': does not'))).sort(),
      changed.sort(),
    );
    assert.match(
      stderr,
      /\.tensor: does not match its checksum; hf:\/\/toy\/\w+: \S+\.safetensors: model\.\S+ is fetched again\n/,
    );
    // A tensor, and a header in two parts.
    assert.ok(hub.weightRequests.length <= 3, `${hub.weightRequests.length}`);
    hub.asked.length = 0;
    assert.doesNotMatch((await inspect(env, offline(pinned))).stderr, /checksum/);
    assert.deepEqual(hub.asked, []);
  });

  it('says offline which file was changed', async () => {
    for (const kind of [/\.tensor$/, /\.header$/, /\.text$/, /info\.json$/, /refs\/main$/]) {
      await warm();
      const [path] = cached(storage, kind);
      flip(path!);
      const { status, stdout, stderr } = await inspect(env, offline([...models(), '--quiet']));
      assert.deepEqual([status, stdout], [1, '']);
      assert.match(
        stderr,
        /^safe-lora: [^\n]+: does not match its checksum, and offline [^\n]+ is not downloaded again; run once without --offline or HF_HUB_OFFLINE\.\n$/,
      );
      assert.ok(stderr.includes(path!), stderr);
    }
    assert.deepEqual(hub.asked, []);
  });

  it('fetches anew what an earlier version cached without checksums, and says so once a model', async () => {
    await warm();
    for (const path of cached(storage, /\.sha256$/)) rmSync(path);
    for (const path of cached(storage, /info\.json$|refs\/main$/)) {
      const { sha256, ...content } = JSON.parse(readFileSync(path, 'utf8')) as { sha256: string; commit: string };
      assert.match(sha256, /^[0-9a-f]{64}$/);
      writeFileSync(path, path.endsWith('main') ? content.commit : JSON.stringify(content));
    }
    const without = await inspect(env, offline(models()));
    assert.match(without.stderr, /^safe-lora: \S+: was cached by an earlier version without checksums, and offline /);
    const { report, stderr } = await inspect(env);
    assert.deepEqual(numbers(report), numbers(fromDisk));
    assert.equal(stderr.match(/was cached by an earlier version without checksums; what is needed/g)?.length, 2);
    assert.match(stderr, /hf:\/\/toy\/base: 2\.2 MB of 2\.3 MB to fetch; 0 bytes cached\n/);
    assert.ok(hub.weightRequests.reduce((sum, { sent }) => sum + sent, 0) >= needed.weights);
  });

  it('evicts what was not used for the longest time, and nothing that a run needs', async () => {
    const limit = { SAFE_LORA_CACHE_LIMIT: String(2 * needed.weights - 1) };
    await warm();
    const first = cached(storage, /\.tensor$/);
    const longAgo = new Date(Date.now() - 86_400_000);
    for (const path of first) utimesSync(path, longAgo, longAgo);
    // As many bytes again, under another commit.
    hub.move(BASE);
    hub.move(ALIGNED);
    assert.equal((await inspect({ ...env, ...limit })).status, 0);
    const kept = cached(storage, /\.tensor$/);
    assert.equal(kept.length, 2 * first.length - 1);
    assert.equal(kept.filter((path) => first.includes(path)).length, first.length - 1);
    // What is needed is more than the limit: it is all there while it is used, and cut to the limit after that.
    hub.asked.length = 0;
    const small = await inspect({ ...env, SAFE_LORA_CACHE_LIMIT: '100000' });
    assert.deepEqual(numbers(small.report), numbers(fromDisk));
    assert.equal(hub.weightRequests.length, 0);
    assert.ok(sizes(storage, /\.tensor$/).reduce((sum, size) => sum + size, 0) <= 100_000);
    const wrong = await inspect({ ...env, SAFE_LORA_CACHE_LIMIT: '20 GB' });
    assert.equal(wrong.status, 1);
    assert.match(wrong.stderr, /SAFE_LORA_CACHE_LIMIT is "20 GB"/);
  });
});

describe('safe-lora pairs', () => {
  it('lists the pairs seen with their cached bytes, and removes what no other pair uses', async () => {
    assert.match((await cli(['pairs'], { env })).stdout, /^no pairs yet/);
    await warm();
    assert.equal((await inspect(env, models(join(sample, 'base'), ALIGNED))).status, 0);
    const listed = await cli(['pairs', 'list', '--json', '-'], { env });
    const { schema, pairs } = JSON.parse(listed.stdout) as {
      schema: string;
      pairs: { id: string; base: string; aligned: string; cachedBytes: number }[];
    };
    assert.equal(schema, 'safe-lora/pairs@1');
    assert.deepEqual(
      pairs.map(({ base, aligned, cachedBytes }) => [base, aligned, cachedBytes]),
      [
        [join(sample, 'base'), `hf://${ALIGNED}@${hub.commit(ALIGNED)}`, needed.weights / 2],
        [`hf://${BASE}@${hub.commit(BASE)}`, `hf://${ALIGNED}@${hub.commit(ALIGNED)}`, needed.weights],
      ],
    );
    const own = join(temporaryFolder(), 'base');
    cpSync(join(sample, 'base'), own, { recursive: true });
    const aligned = join(sample, 'aligned');
    assert.equal((await inspect(env, models(own, aligned))).status, 0);
    const idsOf = async (): Promise<string[]> => (await cli(['pairs'], { env })).stdout.match(/^\w{8}(?= )/gm) ?? [];
    assert.equal((await idsOf()).length, 3);
    rmSync(own, { recursive: true });
    assert.deepEqual(
      await idsOf(),
      pairs.map(({ id }) => id),
      'a pair whose folder is gone is no longer listed',
    );
    const text = await cli(['pairs'], { env });
    for (const { id, base } of pairs) assert.ok(text.stdout.includes(id) && text.stdout.includes(base));
    const removed = await cli(['pairs', 'remove', pairs[1]!.id], { env });
    assert.equal(
      removed.stdout,
      `removed  ${pairs[1]!.id}, ${(needed.weights / 2e6).toFixed(1)} MB of cached weights\n`,
    );
    assert.equal(cached(storage, /toy--base/).length, 0);
    assert.ok(cached(storage, /toy--aligned.*\.tensor$/).length > 0);
    assert.equal((await cli(['pairs', 'remove', pairs[0]!.id], { env })).status, 0);
    assert.equal(cached(storage, /./).length, 0);
    const unknown = await cli(['pairs', 'remove', pairs[0]!.id], { env });
    assert.equal(unknown.status, 1);
    assert.match(unknown.stderr, /^safe-lora: There is no pair \w{8}; safe-lora pairs lists/);
  });

  it('removes nothing that a running job reads', async () => {
    hub.turns = [{ kind: 'slow', piece: 4000, pause: 20 }];
    const run = inspect(env);
    while (cached(storage, /\.tensor\.part$/).length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    const { stdout } = await cli(['pairs', '--json', '-'], { env });
    const [{ id }] = (JSON.parse(stdout) as { pairs: [{ id: string }] }).pairs;
    const refused = await cli(['pairs', 'remove', id], { env });
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /a running job reads it/);
    assert.deepEqual(numbers((await run).report), numbers(fromDisk));
  });

  it('tells misuse apart', async () => {
    for (const args of [['show'], ['list', 'x'], ['remove'], ['remove', 'a', 'b'], ['remove', 'a', '--json', '-']])
      assert.equal((await cli(['pairs', ...args], { env })).status, 2, args.join(' '));
  });
});
