// A hub, or somebody between, that means harm: what it answers is refused in one line, tried no further and kept nowhere.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { after, beforeEach, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type Checkpoint } from '../../src/core/checkpoint';
import { SafeLoraError } from '../../src/core/errors';
import { Hub } from '../../src/hub/checkpoint';
import { unsealed } from '../../src/hub/checksums';
import { temporaryFolder } from '../fixtures/make';
import { type Asked, type HubServer } from './server';
import { BASE, cached, startSample } from './setting';

const TOKEN = 'hf_thisIsTheTokenThatNobodyMaySee';
const folder = temporaryFolder();
const storage = join(folder, 'storage');
const bomb = gzipSync(Buffer.alloc(60e6));
const never = new AbortController().signal;

let hub: HubServer;

beforeEach(async () => {
  rmSync(storage, { recursive: true, force: true });
  (hub as HubServer | undefined)?.stop();
  hub = await startSample();
});
after(() => {
  hub.stop();
});

function open(): Promise<Checkpoint> {
  const line = {
    fetch: (url: string, init: object) => globalThis.fetch(url, init),
    wait: () => assert.fail('nothing of it is tried again'),
  };
  const token = (): Promise<string> => Promise.resolve(TOKEN);
  return new Hub({ storage, limit: 1e9, offline: false, endpoint: hub.endpoint, token, line }).open(`hf://${BASE}`);
}

async function refused(work: Promise<unknown>, code: string, reason: RegExp): Promise<void> {
  const error = await work.then(
    () => assert.fail('it went well'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof SafeLoraError, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, reason);
  // One line of a length that can be read, without control signs and without the token.
  assert.match(error.message, /^hf:\/\/toy\/base: [\x20-\x7e]{1,600}$/);
  assert.ok(!error.message.includes(TOKEN));
}

type Answer = (response: ServerResponse, asked: Asked) => void;

const redirect =
  (to: (asked: Asked) => string): Answer =>
  (response, asked) =>
    response.writeHead(302, { location: to(asked) }).end();
const json =
  (body: unknown): Answer =>
  (response) =>
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
const endless = (response: ServerResponse): void => {
  const more = (): void => {
    while (response.write(Buffer.alloc(65_536, ' '))) if (response.destroyed) return;
    response.once('drain', more);
  };
  more();
};
const sibling = (rfilename: string, size: unknown): object => ({ rfilename, size });

describe('for what a model is', () => {
  const cases: [string, Answer, RegExp][] = [
    ['an answer without end', endless, /is longer than 50000000 bytes/],
    [
      'a few bytes that unpack to many',
      (response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb),
      /is longer than 50000000 bytes/,
    ],
    ['a redirect to itself', redirect(({ path }) => path), /is redirected without end/],
    ['a redirect to a file', redirect(() => 'file:///etc/passwd'), /file:\/\/\/etc\/passwd: is not an https address/],
    ['a redirect without encryption', redirect(() => 'http://192.0.2.1/x'), /192\.0\.2\.1\/x: is not an https address/],
    ['a redirect with a password', redirect(() => `http://u:p@127.0.0.1/x`), /contains a user name or a password/],
    ['a redirect to nowhere', redirect(() => 'http://[/'), /is redirected to nowhere/],
    ['a page', json('<!doctype html><title>Log in</title>'), /did not return a commit and its files/],
    ['nothing', json(''), /did not return a commit and its files/],
    ['lists in lists', json('['.repeat(1e6)), /did not return a commit and its files/],
    ['objects in objects', json(`${'{"sha":'.repeat(1e5)}1${'}'.repeat(1e5)}`), /did not return a commit/],
    ['a commit that is a path', json({ sha: '../../../../x', siblings: [] }), /did not return a commit/],
    ['files that are no list', json({ sha: 'a'.repeat(40), siblings: {} }), /did not return a commit/],
  ];
  for (const [name, answer, reason] of cases)
    it(`${name} is refused`, async () => {
      hub.hubTurns = [{ kind: 'raw', answer }];
      await refused(open(), 'hub-answer', reason);
      assert.ok(hub.asked.length <= 6);
      assert.deepEqual(cached(storage, /./), []);
    });

  it('the token does not follow a redirect to another port', async () => {
    hub.hubTurns = [{ kind: 'raw', answer: redirect(({ path }) => hub.other + path) }];
    await refused(open(), 'hub-answer', /the server answers 403/);
    assert.deepEqual(
      hub.asked.map(({ host, authorization }) => [host, authorization]),
      [
        ['hub', `Bearer ${TOKEN}`],
        ['cdn', undefined],
      ],
    );
  });

  it('a refusal that repeats the token, and moves the terminal’s cursor, shows neither', async () => {
    const answer: Answer = (response) =>
      response.writeHead(403).end(JSON.stringify({ error: `no ${TOKEN}\u001b[2J\n${'x'.repeat(1e4)}` }));
    hub.hubTurns = [{ kind: 'raw', answer }];
    await refused(open(), 'hub-access', /the hub says: no \(the token\) \[2J x+; /);
  });

  it('sizes that no file has are refused, and names that lead elsewhere are only names', async () => {
    const info = (...siblings: object[]): Answer => json({ sha: hub.commit(BASE), siblings });
    const whole = { kind: 'whole' } as const;
    const huge = info(sibling('config.json', 539), sibling('model.safetensors', Number.MAX_SAFE_INTEGER));
    hub.hubTurns = [{ kind: 'raw', answer: huge }, whole];
    await refused(
      open(),
      'hub-answer',
      /sends \d+ bytes of a file of 539|of 2253472 where bytes 0 to \d+ of 9007199254740991/,
    );
    rmSync(storage, { recursive: true });
    const names = ['../../../../escaped', '/escaped', '__proto__', 'a\\..\\escaped'].map((name) => sibling(name, 5));
    const wrong = [-1, 1.5, '7', null].map((size, i) => sibling(`wrong-${i}`, size));
    const model = {
      ...((await (await fetch(`${hub.endpoint}/api/models/${BASE}/revision/main`)).json()) as { siblings: object[] }),
    };
    hub.hubTurns = [{ kind: 'raw', answer: info(...model.siblings, ...names, ...wrong) }, whole];
    assert.ok((await open()).tensors.size > 0);
    assert.ok(!existsSync(join(folder, 'escaped')));
    const outside = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.includes('escaped'),
    );
    assert.deepEqual([outside, Object.hasOwn(Object.prototype, 'size')], [[], false]);
  });
});

describe('for a configuration', () => {
  const cases: [string, Answer, RegExp][] = [
    ['more than the hub said', endless, /config\.json: is longer than \d+ bytes/],
    [
      'a few bytes that unpack to many',
      (response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb),
      /config\.json: is longer than \d+ bytes/,
    ],
    ['less than the hub said', json('{}'), /config\.json: sends 2 bytes of a file of \d+/],
  ];
  for (const [name, answer, reason] of cases)
    it(`${name} is refused`, async () => {
      hub.hubTurns = [{ kind: 'whole' }, { kind: 'raw', answer }];
      await refused(open(), 'hub-answer', reason);
      assert.deepEqual(cached(storage, /\.text$/), []);
    });
});

describe('for weights', () => {
  const part =
    (total: number, body: (response: ServerResponse) => void, headers = {}): Answer =>
    (response, { range }) => {
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range!)!;
      response.writeHead(206, { 'content-range': `bytes ${from}-${to}/${total}`, ...headers });
      body(response);
    };
  const cases: [string, Answer, RegExp][] = [
    ['a part without end', part(2253472, endless), /sent more than was requested/],
    [
      'a part that unpacks to more',
      part(2253472, (response) => response.end(bomb), { 'content-encoding': 'gzip' }),
      /sent more than was requested/,
    ],
    [
      'a part of a file of another size',
      part(2253473, (response) => response.end()),
      /of 2253473 where bytes \d+ to \d+ of 2253472/,
    ],
    ['a part that is not said to be one', (response) => response.writeHead(206).end('x'), /sends the whole file where/],
    ['a redirect to a file', redirect(() => 'file:///dev/zero'), /is not an https address/],
  ];
  for (const [name, answer, reason] of cases)
    it(`${name} is refused`, async () => {
      const model = await open();
      const tensor = model.tensors.get('model.layers.1.mlp.up_proj.weight')!;
      hub.turns = [{ kind: 'raw', answer }];
      await refused(model.remote!.fetch(tensor, never), 'hub-answer', reason);
      assert.deepEqual(cached(storage, /\.tensor(?:\.sha256)?$/), []);
    });
});

describe('in the cache', () => {
  it('a list deeper than the stack is damaged', () => {
    assert.equal(unsealed(`{"sha256":"0","sizes":${'['.repeat(200_000)}${']'.repeat(200_000)}}`), 'damaged');
  });
});
