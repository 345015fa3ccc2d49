// The CUDA provider comes whole or not at all: over good lines and bad ones, from a file, and away again.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { claim } from '../../src/core/claims';
import { SafeLoraError } from '../../src/core/errors';
import { findOffer, installFromArchive, installFromFeed, remove, type Target } from '../../src/cuda/install';
import { type Network } from '../../src/network/requests';
import { cudaFolder, librariesFolder, providerFolder } from '../../src/cuda/state';
import { temporaryFolder } from '../fixtures/make';
import { ID, libraries, makePackage, NATIVE, sha512 } from './package';
import { Feed } from './server';

const version = '1.30.0';
const folder = temporaryFolder();
const storage = join(folder, 'storage');
const target: Target = { storage, version, platform: { platform: 'linux', arch: 'x64' } };
const provider = providerFolder(storage, version);
const part = join(cudaFolder(storage), `${ID}.${version}.nupkg.part`);

let bytes: Buffer;
let feed: Feed;
let waits: number[];

before(async () => {
  bytes = await makePackage(version);
});
beforeEach(async () => {
  rmSync(storage, { recursive: true, force: true });
  (feed as Feed | undefined)?.stop();
  feed = await Feed.start(version, bytes);
  waits = [];
});
after(() => {
  feed.stop();
});

function network(more: Partial<Network> = {}): Network {
  const wait = (milliseconds: number): Promise<void> => {
    waits.push(milliseconds);
    return Promise.resolve();
  };
  return { fetch: globalThis.fetch, signal: new AbortController().signal, wait, ...more };
}

async function install(on: Network = network(), onProgress: (done: number, total: number) => void = () => undefined) {
  const offer = await findOffer(target, on, feed.index);
  return installFromFeed(target, on, offer, onProgress);
}

function assertInstalled(): void {
  assert.deepEqual(readdirSync(provider).sort(), [
    'libonnxruntime_providers_cuda.so',
    'libonnxruntime_providers_shared.so',
  ]);
  for (const [path, content] of Object.entries(libraries()))
    assert.ok(readFileSync(join(provider, path.replace(`${NATIVE}/`, ''))).equals(content), path);
  assert.deepEqual(readdirSync(cudaFolder(storage)), [version]);
}

/** Nothing that could be taken for a provider, and nothing half unpacked. */
function assertNothingInstalled(): void {
  const left = existsSync(cudaFolder(storage)) ? readdirSync(cudaFolder(storage)) : [];
  assert.deepEqual(
    left.filter((name) => !name.includes('.nupkg.part')),
    [],
  );
}

async function fails(action: Promise<unknown>, code: string, ...patterns: (RegExp | string)[]): Promise<string> {
  let message = '';
  await assert.rejects(action, (error) => {
    assert.ok(error instanceof SafeLoraError, String((error as Error).stack));
    assert.equal(error.code, code, error.message);
    ({ message } = error);
    for (const pattern of patterns) {
      if (typeof pattern === 'string') assert.ok(message.includes(pattern), `${message} lacks ${pattern}`);
      else assert.match(message, pattern);
    }
    assert.ok(!message.includes('\n'));
    return true;
  });
  return message;
}

const offlineWay = [ID, version, 'https://www.nuget.org/', '--archive FILE'];

describe('an install from a feed', () => {
  it('brings the two libraries, bit for bit, and leaves nothing else', async () => {
    const seen: [number, number][] = [];
    assert.equal(await install(network(), (done, total) => seen.push([done, total])), provider);
    assertInstalled();
    assert.deepEqual(seen.at(-1), [bytes.length, bytes.length]);
    assert.ok(seen.every(([done], i) => i === 0 || done >= seen[i - 1]![0]));
    assert.equal(feed.downloads.length, 1);
  });

  it('says size and folder before anything is downloaded', async () => {
    const offer = await findOffer(target, network(), feed.index);
    assert.equal(offer.size, bytes.length);
    assert.equal(offer.sha512, sha512(bytes));
    assert.equal(feed.downloads.length, 0);
    assert.ok(!existsSync(storage));
  });

  it('goes on where the line broke, and only the rest travels', async () => {
    feed.turns = [{ kind: 'cut', after: 100_000 }, { kind: 'cut', after: 50_000 }, { kind: 'whole' }];
    await install();
    assertInstalled();
    const [first, second, third] = feed.downloads;
    assert.deepEqual([first!.range, second!.range, third!.range], [undefined, 'bytes=100000-', 'bytes=150000-']);
    assert.equal(second!.ifRange, '"one"');
    assert.equal(first!.sent + second!.sent + third!.sent, bytes.length);
  });

  it('goes on in a later run with what an earlier one left', async () => {
    feed.turns = [
      { kind: 'cut', after: 120_000 },
      { kind: 'status', status: 404 },
    ];
    await fails(install(), 'download-failed', /404/);
    assert.equal(statSync(part).size, 120_000);
    assertNothingInstalled();
    feed.turns = [{ kind: 'whole' }];
    await install();
    assertInstalled();
    assert.equal(feed.downloads.at(-1)!.range, 'bytes=120000-');
    assert.equal(feed.downloads.at(-1)!.sent, bytes.length - 120_000);
  });

  it('starts over where the file became another one meanwhile', async () => {
    feed.turns = [
      { kind: 'cut', after: 100_000 },
      { kind: 'status', status: 404 },
    ];
    await fails(install(), 'download-failed');
    // The beginning that was kept is of the old file.
    const old = readFileSync(part);
    writeFileSync(
      part,
      old.map((byte) => byte ^ 255),
    );
    feed.etag = '"two"';
    feed.turns = [{ kind: 'whole' }];
    await install();
    assertInstalled();
    assert.equal(feed.downloads.at(-1)!.sent, bytes.length);
  });

  it('starts over where the server has no strong ETag or no ranges', async () => {
    for (const etag of [null, 'W/"one"', '"one"']) {
      rmSync(storage, { recursive: true, force: true });
      feed.etag = etag;
      feed.turns = [{ kind: 'no-ranges', cutAfter: 90_000 }, { kind: 'no-ranges' }];
      await install();
      assertInstalled();
      assert.equal(feed.downloads.at(-1)!.range, etag === '"one"' ? 'bytes=90000-' : undefined);
    }
  });

  it('starts over where what was kept is longer than the package, or of another one', async () => {
    feed.turns = [
      { kind: 'cut', after: 100_000 },
      { kind: 'status', status: 404 },
    ];
    await fails(install(), 'download-failed');
    writeFileSync(part, Buffer.alloc(bytes.length + 1));
    feed.turns = [{ kind: 'whole' }];
    await install();
    assertInstalled();
    assert.equal(feed.downloads.at(-1)!.range, undefined);
  });

  it('refuses another part than it asked for and takes the whole', async () => {
    feed.turns = [{ kind: 'cut', after: 100_000 }, { kind: 'status', status: 416 }, { kind: 'whole' }];
    await install();
    assertInstalled();
    assert.equal(feed.downloads.at(-1)!.range, undefined);
    rmSync(storage, { recursive: true });
    feed.turns = [{ kind: 'cut', after: 100_000 }, { kind: 'another-part', from: 100_007 }, { kind: 'whole' }];
    await install();
    assertInstalled();
    assert.equal(feed.downloads.at(-1)!.range, undefined);
  });

  it('takes a slow line as it is', async () => {
    feed.turns = [{ kind: 'slow', pieces: 12, pause: 50 }];
    const seen: number[] = [];
    await install(network({ stallAfter: 300 }), (done) => seen.push(done));
    assertInstalled();
    assert.ok(seen.length >= 8);
    assert.equal(feed.downloads.length, 1);
  });

  it('gives a dead line up, and takes the next', async () => {
    feed.turns = [{ kind: 'stall', after: 80_000 }, { kind: 'whole' }];
    await install(network({ stallAfter: 200 }));
    assertInstalled();
    assert.equal(feed.downloads.at(-1)!.sent, bytes.length - 80_000);
  });

  it('takes a bad line as long as it gets on, and an answer that ends too early for one', async () => {
    const cuts = Array.from({ length: 9 }, () => ({ kind: 'cut', after: 20_000 }) as const);
    feed.turns = [{ kind: 'short', after: 5000 }, ...cuts, { kind: 'whole' }];
    await install();
    assertInstalled();
    assert.equal(feed.downloads.length, 11);
    assert.ok(waits.every((wait) => wait === 500));
  });

  it('stops trying where nothing more comes', async () => {
    feed.turns = [
      { kind: 'cut', after: 10 },
      { kind: 'cut', after: 0 },
    ];
    await fails(install(), 'download-failed', 'was lost', ...offlineWay);
    assert.equal(feed.downloads.length, 1 + 4 - 1);
    assert.deepEqual(waits, [500, 1000, 2000]);
  });

  it('waits as long as a busy server asks, in seconds or until a time', async () => {
    feed.turns = [
      { kind: 'status', status: 429, headers: { 'retry-after': '7' } },
      { kind: 'status', status: 503, headers: { 'retry-after': new Date(Date.now() + 30_000).toUTCString() } },
      { kind: 'whole' },
    ];
    await install();
    assertInstalled();
    assert.equal(waits[0], 7000);
    assert.ok(waits[1]! > 20_000 && waits[1]! <= 30_000, String(waits[1]));
  });

  it('does not wait for hours', async () => {
    feed.turns = [{ kind: 'status', status: 429, headers: { 'retry-after': '7200' } }];
    await fails(install(), 'download-failed', '429', '7200 seconds', ...offlineWay);
    assert.deepEqual(waits, []);
  });

  it('throws away what has another checksum, and says so', async () => {
    feed.catalog = { packageHash: sha512(Buffer.from('another')) };
    await fails(install(), 'download-failed', 'SHA-512', feed.origin, ...offlineWay);
    assertNothingInstalled();
    assert.ok(!existsSync(part));
  });

  it('takes no package of which the feed says no checksum or no size', async () => {
    for (const catalog of [
      { packageHash: undefined },
      { packageHashAlgorithm: 'MD5' },
      { packageHash: 'short' },
      { packageSize: -1 },
      { packageSize: 1e12 },
    ]) {
      feed.catalog = catalog;
      await fails(install(), 'download-failed', 'catalog/entry.json', /(says|gives) no/);
    }
    assert.equal(feed.downloads.length, 0);
  });

  it('takes no more bytes than the feed says', async () => {
    feed.catalog = { packageSize: 1000 };
    await fails(install(), 'download-failed', 'larger than the feed says');
    assertNothingInstalled();
  });

  it('says which address is not there, and tries it once', async () => {
    feed.turns = [{ kind: 'status', status: 404 }];
    await fails(install(), 'download-failed', `.nupkg: the server answers 404`, ...offlineWay);
    assert.equal(feed.downloads.length, 1);
    feed.indexTurn = { kind: 'status', status: 404 };
    await fails(install(), 'download-failed', feed.index, '404', ...offlineWay);
  });

  it('follows a redirect, and never to an address that is not encrypted', async () => {
    const moved = `/moved/${ID.toLowerCase()}.${version}.nupkg`;
    feed.turns = [
      { kind: 'redirect', to: moved },
      { kind: 'cut', after: 60_000 },
      { kind: 'redirect', to: moved },
      { kind: 'whole' },
    ];
    await install();
    assertInstalled();
    assert.equal(feed.downloads.at(-1)!.path, moved);
    assert.equal(feed.downloads.at(-1)!.range, 'bytes=60000-');
    rmSync(storage, { recursive: true });
    feed.turns = [{ kind: 'redirect', to: 'http://mirror.example/p.nupkg?sig=secret' }];
    const message = await fails(install(), 'download-failed', 'http://mirror.example/p.nupkg: is not an https address');
    assert.ok(!message.includes('secret'));
    feed.turns = [{ kind: 'redirect', to: moved }];
    await fails(install(), 'download-failed', 'without end');
    assert.ok(feed.downloads.length < 20);
  });

  it('says without a network how it is done without one', async () => {
    const { index } = feed;
    feed.stop();
    await fails(findOffer(target, network(), index), 'download-failed', index, 'cannot be reached', ...offlineWay);
    await fails(
      findOffer(target, network(), 'http://nuget.example/index.json'),
      'download-failed',
      'is not an https address',
    );
    await fails(
      findOffer(target, network(), 'https://nowhere.invalid/i.json'),
      'download-failed',
      'https://nowhere.invalid/i.json: cannot be reached',
    );
    const secret = await fails(
      findOffer(target, network(), 'https://u:p@nowhere.invalid/i.json?k=p'),
      'download-failed',
      'https://nowhere.invalid/i.json: contains a user name',
    );
    assert.ok(!/u:p|k=p/.test(secret));
  });

  it('is no NuGet feed where the index says nothing of one', async () => {
    const answers =
      (text: string): Network['fetch'] =>
      () =>
        Promise.resolve(new Response(text));
    for (const text of ['<html>', '[]', '{}', '{"resources": [{"@id": 3, "@type": "PackageBaseAddress/3.0.0"}]}'])
      await fails(findOffer(target, network({ fetch: answers(text) }), feed.index), 'download-failed', feed.index);
  });

  it('ends at once when it is cancelled, and what has come stays', async () => {
    feed.turns = [{ kind: 'slow', pieces: 20, pause: 50 }];
    const controller = new AbortController();
    const reason = new Error('enough');
    const running = install(network({ signal: controller.signal }), (done) => {
      if (done > 60_000) controller.abort(reason);
    });
    await assert.rejects(running, reason);
    assert.ok(statSync(part).size >= 60_000);
    assertNothingInstalled();
    const { size } = statSync(part);
    feed.turns = [{ kind: 'whole' }];
    await install();
    assertInstalled();
    assert.equal(feed.downloads.at(-1)!.sent, bytes.length - size);
  });

  it('ends with the reason that it was given, whatever the fetch of the editor throws', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const fetch: Network['fetch'] = () => {
      controller.abort(reason);
      return Promise.reject(new DOMException('This operation was aborted', 'AbortError'));
    };
    await assert.rejects(findOffer(target, network({ fetch, signal: controller.signal }), feed.index), reason);
  });

  it('ends at once when it is cancelled while it waits', async () => {
    feed.turns = [{ kind: 'status', status: 503, headers: { 'retry-after': '60' } }];
    const controller = new AbortController();
    const { wait: _, ...patient } = network({ signal: controller.signal });
    const reason = new Error('enough');
    setTimeout(() => controller.abort(reason), 200);
    const started = performance.now();
    await assert.rejects(install(patient), reason);
    assert.ok(performance.now() - started < 5000);
  });

  it('lets a second one wait its turn, and takes over from one that died', async () => {
    feed.turns = [{ kind: 'slow', pieces: 8, pause: 50 }];
    const first = install();
    await delay(150);
    await fails(install(), 'provider-busy', String(process.pid));
    await fails(remove(storage), 'provider-busy');
    await first;
    assertInstalled();
    const lock = join(cudaFolder(storage), 'lock');
    const release = claim(lock);
    const ours = JSON.parse(readFileSync(lock, 'utf8')) as object;
    release();
    writeFileSync(lock, JSON.stringify({ ...ours, pid: 1 }));
    await fails(install(), 'provider-busy', 'process 1;');
    writeFileSync(lock, JSON.stringify({ ...ours, pid: 999_999_999 }));
    await install();
    assertInstalled();
  });

  it('keeps the provider of another version until the new one is whole', async () => {
    const old = providerFolder(storage, '1.29.0');
    mkdirSync(old, { recursive: true });
    mkdirSync(librariesFolder(storage));
    feed.catalog = { packageHash: sha512(Buffer.from('another')) };
    await fails(install(), 'download-failed');
    assert.ok(existsSync(old));
    feed.catalog = {};
    await install();
    assert.deepEqual(readdirSync(cudaFolder(storage)).sort(), [version, 'libraries']);
  });
});

describe('an install from a file', () => {
  const archive = join(folder, 'package.nupkg');
  const fromFile = (): Promise<string> => installFromArchive(target, archive, new AbortController().signal);
  const refuses = async (content: Buffer, ...patterns: (RegExp | string)[]): Promise<void> => {
    writeFileSync(archive, content);
    await fails(fromFile(), 'provider-package', archive, ID, version, ...patterns);
    assertNothingInstalled();
  };

  it('brings the same, asks no network and leaves the file', async () => {
    writeFileSync(archive, bytes);
    await fromFile();
    assertInstalled();
    assert.ok(readFileSync(archive).equals(bytes));
    assert.equal(feed.asked.length, 0);
    await fromFile();
    assertInstalled();
  });

  it('refuses another version and another package, with both names', async () => {
    await refuses(await makePackage(version, { version: '1.29.1' }), `it is ${ID} 1.29.1; ${ID} ${version} is needed`);
    await refuses(await makePackage(version, { id: 'Newtonsoft.Json' }), 'it is Newtonsoft.Json 1.30.0');
  });

  it('refuses what is damaged: cut off, changed, or no archive', async () => {
    await refuses(bytes.subarray(0, bytes.length - 4000), 'damaged or not a NuGet package');
    await refuses(Buffer.from('<html>a page that asks for a login</html>'), 'damaged or not a NuGet package');
    const changed = Buffer.from(bytes);
    // In the middle of the provider, whose bytes are stored compressed.
    changed[200_000]! ^= 1;
    await refuses(changed, 'damaged');
  });

  it('refuses a library whose sum is not what the archive says, although it unpacks', async () => {
    const name = `${NATIVE}/libonnxruntime_providers_shared.so`;
    const changed = Buffer.from(bytes);
    // The last mention of its name is in the central directory, 46 bytes after the entry's start; the sum is at 16.
    const entry = changed.lastIndexOf(name) - 46;
    assert.equal(changed.readUInt32LE(entry), 0x02014b50);
    changed[entry + 16]! ^= 1;
    await refuses(changed, 'wrong checksum');
  });

  it('refuses an archive without the libraries, or with others in their place', async () => {
    const path = `${NATIVE}/libonnxruntime_providers_shared.so`;
    await refuses(await makePackage(version, { files: { [path]: null } }), `it has no ${path}`);
    await refuses(await makePackage(version, { files: { [`${ID}.nuspec`]: null } }), '.nuspec');
    const { elf } = await import('./elf');
    await refuses(await makePackage(version, { files: { [path]: elf({ machine: 183 }) } }), 'another processor');
    writeFileSync(archive, await makePackage(version, { files: { [path]: Buffer.from('no library') } }));
    await fails(fromFile(), 'provider-package', 'not a library that can be loaded');
    assertNothingInstalled();
  });

  it('leaves an earlier install as it was where it fails', async () => {
    writeFileSync(archive, bytes);
    await fromFile();
    writeFileSync(archive, bytes.subarray(0, 1000));
    await fails(fromFile(), 'provider-package');
    assertInstalled();
  });

  it('says what is wrong with the path', async () => {
    await fails(
      installFromArchive(target, join(folder, 'none.nupkg'), new AbortController().signal),
      'file-access',
      'does not exist',
    );
    await fails(installFromArchive(target, folder, new AbortController().signal), 'file-access', 'is a folder');
  });

  it('is refused on a platform without CUDA before anything is asked for', async () => {
    for (const platform of ['darwin', 'win32'] as const) {
      const other = { ...target, platform: { platform, arch: 'x64' } };
      await fails(findOffer(other, network(), feed.index), 'device-unavailable', /coreml|dml/);
      await fails(installFromArchive(other, archive, new AbortController().signal), 'device-unavailable');
    }
    assert.equal(feed.asked.length, 0);
  });
});

describe('a removal', () => {
  it('takes everything, and says whether there was anything', async () => {
    assert.equal(await remove(storage), false);
    await install();
    writeFileSync(part, 'rest');
    mkdirSync(librariesFolder(storage));
    assert.equal(await remove(storage), true);
    assert.ok(!existsSync(cudaFolder(storage)));
    assert.equal(await remove(storage), false);
  });
});
