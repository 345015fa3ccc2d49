// The hub's part of the targets: replies that were tampered with on their way, and a cache that was tampered with on disk.
import { mkdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { openAdapter } from '../../../src/core/adapter';
import { makePlan } from '../../../src/core/plan';
import { type TensorInfo } from '../../../src/core/safetensors';
import { Hub } from '../../../src/hub/checkpoint';
import { type Fetch, type Reply } from '../../../src/network/requests';
import { HubServer } from '../../hub/server';
import { pathsIn } from '../operations';
import { mutateBytes, mutateJsonFile, mutatePath, mutateSafetensors } from './file-mutations';
import { readFile, type Truth } from './independent';
import { mutateJson } from './json-mutations';
import { Violation } from './oracles';
import { type Random } from './random';
import { type Case, measured } from './walk';
import { readTree, type Setting, type Tree, writeTree } from './world';

const BASE = 'toy/base';
const ALIGNED = 'toy/aligned';
const TOKEN = 'hf_aTokenThatNobodyElseMaySee';
const LIMIT = 1e9;

export class FuzzedHub {
  private constructor(
    private readonly server: HubServer,
    /** Of both models' files. */
    private readonly truth: Truth,
    private readonly adapter: Tree,
    /** A cache with all that is needed. */
    private readonly cache: Tree,
  ) {}

  /** @param root where both models of the setting lie */
  static async start(root: string, { fresh }: Setting): Promise<FuzzedHub> {
    writeTree(root, fresh);
    const server = await HubServer.start({ [BASE]: join(root, 'base'), [ALIGNED]: join(root, 'aligned') });
    const files = [...fresh].filter(([name]) => /^(?:base|aligned)\/.*\.safetensors$/.test(name));
    const tensors = new Map(
      files.flatMap(([name, bytes]) =>
        [...readFile(bytes).tensors].map(([tensor, spec]) => [`${dirname(name)}/${tensor}`, spec]),
      ),
    );
    // Adapters lie on disk, and are what they are there.
    const truth: Truth = ({ path, name, source }: TensorInfo) =>
      source === undefined
        ? readFile(readFileSync(path)).tensors.get(name)!
        : tensors.get(`${/hf:\/\/toy\/(\w+)/.exec(source)![1]!}/${name}`)!;
    const storage = join(root, 'storage');
    const hub = hubWith(server, storage, plainFetch, false);
    const [base, aligned] = [await hub.open(`hf://${BASE}`), await hub.open(`hf://${ALIGNED}`)];
    const { signal } = new AbortController();
    for (const model of [base, aligned])
      for (const tensor of model.tensors.values()) await model.remote!.fetch(tensor, signal);
    const adapter = new Map([...fresh].filter(([name]) => name.startsWith('adapter/')));
    makePlan(await openAdapter(pathsIn(root).adapter), base, aligned);
    return new FuzzedHub(server, truth, adapter, readTree(storage));
  }

  stop(): void {
    this.server.stop();
  }

  /** Some replies are others than the hub's. */
  async replies(c: Case): Promise<void> {
    const tampering = new Tampering(c, this.server);
    await this.measure(c, join(c.inside, 'storage'), tampering.fetch, false, () =>
      tampering.changedContent ? null : this.truth,
    );
  }

  /** Some file of the cache is another. */
  async cached(c: Case): Promise<void> {
    const { random } = c;
    const storage = join(c.inside, 'storage');
    writeTree(storage, this.cache);
    for (let count = 1 + random.below(3); count > 0; count--) this.tamper(c, storage);
    await this.measure(c, storage, plainFetch, random.chance(0.5), () => this.truth);
  }

  private tamper(c: Case, storage: string): void {
    const { random, trace } = c;
    const name = random.pick([...this.cache.keys()]);
    const path = join(storage, name);
    trace.push(name);
    const bytes = this.cache.get(name)!;
    switch (random.below(6)) {
      case 0:
        rmSync(path, { recursive: true, force: true });
        mutatePath(makeFile(path, bytes), c.shelf, random);
        return;
      case 1: // void by its age, so that nobody waits for it
        writeFileSync(`${path}.claim`, mutateJson('{"pid":1,"host":"other","nonce":"x"}', random));
        utimesSync(`${path}.claim`, 1, 1);
        return;
      case 2:
        rmSync(path, { recursive: true, force: true });
        renameSync(makeFile(path, bytes), `${path}.part`);
        return;
      default: {
        const mutate = name.endsWith('.json') || name.endsWith('.text') ? mutateJsonFile : name.endsWith('.header') ? mutateSafetensors : mutateBytes; // prettier-ignore
        rmSync(path, { recursive: true, force: true });
        makeFile(path, mutate(bytes, random));
      }
    }
  }

  private async measure(
    c: Case,
    storage: string,
    fetch: Fetch,
    offline: boolean,
    truth: () => Truth | null,
  ): Promise<void> {
    const { adapter: path } = pathsIn(c.inside);
    writeTree(c.inside, this.adapter);
    const adapter = (await c.attempt(() => openAdapter(path)))!;
    const hub = hubWith(this.server, storage, fetch, offline);
    const commit = (id: string): string => (c.random.chance(0.2) ? `@${this.server.commit(id)}` : '');
    const base = await c.attempt(() => hub.open(`hf://${BASE}${commit(BASE)}`));
    const aligned = await c.attempt(() => hub.open(`hf://${ALIGNED}${commit(ALIGNED)}`));
    if (base && aligned)
      await measured(c, adapter, base, aligned, (tensor) => truth()?.(tensor) ?? onDiskFromCache(tensor));
  }
}

/** Where the hub itself sent other bytes, the cache holds them as the tensor's own file. */
function onDiskFromCache({ path, source, name, dtype, shape, length }: TensorInfo): ReturnType<Truth> {
  const bytes = readFileSync(path);
  return source === undefined
    ? readFile(bytes).tensors.get(name)!
    : { dtype, shape: [...shape], bytes: bytes.subarray(0, length) };
}

function makeFile(path: string, bytes: Buffer): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
  return path;
}

function hubWith(server: HubServer, storage: string, fetch: Fetch, offline: boolean): Hub {
  return new Hub({
    storage,
    limit: LIMIT,
    offline,
    endpoint: server.endpoint,
    token: () => Promise.resolve(TOKEN),
    line: { fetch, wait: () => Promise.resolve(), stallAfter: 5000 },
  });
}

const plainFetch: Fetch = async (url, init) => await fetch(url, init);

const STATUSES = [
  200, 201, 204, 206, 301, 302, 304, 307, 308, 400, 401, 403, 404, 407, 410, 416, 418, 429, 451, 500, 502, 503, 599,
  999,
];
const HEADERS = ['content-range', 'location', 'x-repo-commit', 'etag', 'x-linked-size', 'retry-after', 'x-error-code', 'x-error-message', 'content-length', 'content-encoding']; // prettier-ignore
const HEADER_VALUES: readonly (string | null)[] = [
  ...[null, '', '0', '-1', '99999999999999999999', 'NaN', 'GatedRepo', 'RepoNotFound', 'EntryNotFound', 'RevisionNotFound'],
  ...['bytes 0-0/1', 'bytes 1-0/0', 'bytes */0', 'bytes 0-99999999999999999999/9', 'bytes 0-7/8', 'Thu, 01 Jan 1970 00:00:00 GMT'],
  ...['x'.repeat(10_000), '\u001b[2J', '\u009b31m', 'a\tb', `Bearer ${TOKEN}`, `say ${TOKEN}`, 'f'.repeat(40), 'deflate'],
]; // prettier-ignore
const LOCATIONS = ['', '/', '//', 'file:///etc/passwd', 'http://elsewhere.example/x', 'https://elsewhere.example/x', 'https://u:p@elsewhere.example/', 'javascript:1', 'data:,x', '?', 'http://127.0.0.1:1/', 'http://[::1', `https://elsewhere.example/${'a'.repeat(5000)}`, '\u001b[2J']; // prettier-ignore

/** Between the hub and its client. */
class Tampering {
  /** A tensor or a header came with other bytes of the right length, which no client can know. */
  changedContent = false;
  private readonly chosen = new Map<number, number>();
  private readonly always: boolean;
  private requests = 0;

  constructor(
    private readonly c: Case,
    private readonly server: HubServer,
  ) {
    const { random } = c;
    for (let count = 1 + random.below(4); count > 0; count--) this.chosen.set(random.below(18), random.below(7));
    this.always = random.chance(0.1);
  }

  readonly fetch: Fetch = async (url, init) => {
    const at = this.requests++;
    const { hostname, origin } = new URL(url);
    if (init.headers.authorization !== undefined && origin !== this.server.endpoint) throw new Violation('secret', url);
    // Nothing leaves this machine.
    if (hostname !== '127.0.0.1') throw new TypeError('fetch failed', { cause: Object.assign(new Error('no address'), { code: 'ENOTFOUND' }) }); // prettier-ignore
    const kind = this.always ? [...this.chosen.values()][0] : this.chosen.get(at);
    const reply = await plainFetch(url, init);
    if (kind === undefined) return reply;
    this.c.trace.push(`request ${at}: ${kind}`);
    return this.tampered(reply, kind, this.c.random);
  };

  private tampered(reply: Reply, kind: number, random: Random): Reply {
    const { status, headers, body } = reply;
    switch (kind) {
      case 0:
        return { status: random.pick(STATUSES), headers, body };
      case 1:
      case 2: {
        const name = random.pick(HEADERS);
        const value = random.pick(HEADER_VALUES);
        return { status, headers: { get: (wanted) => (wanted === name ? value : headers.get(wanted)) }, body };
      }
      case 3: {
        const location = random.pick(LOCATIONS);
        return { status: random.pick([301, 302, 303, 307, 308]), headers: { get: (wanted) => (wanted === 'location' ? location : headers.get(wanted)) }, body }; // prettier-ignore
      }
      case 4:
        return { status, headers, body: null };
      case 5:
        return { status, headers, body: this.broken(body, random) };
      default:
        return { status, headers, body: this.other(body, random) };
    }
  }

  /** Breaks off, or goes on for longer. */
  private async *broken(body: Reply['body'], random: Random): AsyncGenerator<Uint8Array> {
    const bytes = await whole(body);
    const failure = Object.assign(new TypeError('terminated'), { cause: Object.assign(new Error('reset'), { code: 'ECONNRESET' }) }); // prettier-ignore
    switch (random.below(4)) {
      case 0:
        yield bytes.subarray(0, random.below(bytes.length + 1));
        throw failure;
      case 1:
        yield bytes.subarray(0, random.below(bytes.length + 1));
        return;
      case 2:
        yield bytes;
        yield Buffer.alloc(random.pick([1, 100, 2_000_000]));
        return;
      default:
        for (const byte of bytes.subarray(0, 3000)) yield Buffer.from([byte]);
    }
  }

  private async *other(body: Reply['body'], random: Random): AsyncGenerator<Uint8Array> {
    const bytes = await whole(body);
    this.changedContent = true;
    yield bytes[0] === '{'.charCodeAt(0) ? mutateJsonFile(bytes, random) : random.chance(0.5) ? mutateSafetensors(bytes, random) : mutateBytes(bytes, random); // prettier-ignore
  }
}

async function whole(body: Reply['body']): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of body ?? []) pieces.push(piece);
  return Buffer.concat(pieces);
}
