// Plays a NuGet feed on this machine, with every way in which a real one, or the line to it, fails.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { ID, sha512 } from './package';

/** What happens to one request for the package; the last of the list goes on for all that follow. */
export type Turn =
  | { kind: 'whole' }
  /** The connection is cut after so many bytes. */
  | { kind: 'cut'; after: number }
  /** Pieces with pauses in between, in milliseconds. */
  | { kind: 'slow'; pieces: number; pause: number }
  /** Nothing more comes after so many bytes, and the connection stays. */
  | { kind: 'stall'; after: number }
  | { kind: 'status'; status: number; headers?: Record<string, string> }
  | { kind: 'redirect'; to: string }
  /** A part that nobody asked for. */
  | { kind: 'another-part'; from: number }
  /** The answer ends too early without a word of how long it should have been, as from some proxies. */
  | { kind: 'short'; after: number }
  /** Ranges are ignored. */
  | { kind: 'no-ranges'; cutAfter?: number };

export interface Asked {
  path: string;
  range: string | undefined;
  ifRange: string | undefined;
  /** Bytes of the package that were sent. */
  sent: number;
}

export class Feed {
  readonly asked: Asked[] = [];
  turns: Turn[] = [{ kind: 'whole' }];
  etag: string | null = '"one"';
  /** What the catalog says instead of the truth. */
  catalog: Record<string, unknown> = {};
  /** For all but the package. */
  indexTurn: Turn = { kind: 'whole' };

  private constructor(
    private readonly server: Server,
    readonly version: string,
    public bytes: Buffer,
  ) {}

  static async start(version: string, bytes: Buffer): Promise<Feed> {
    const server = createServer();
    const feed = new Feed(server, version, bytes);
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      feed.answer(request, response).catch(() => response.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return feed;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  get index(): string {
    return `${this.origin}/v3/index.json`;
  }

  /** The requests for the package itself. */
  get downloads(): Asked[] {
    return this.asked.filter(({ path }) => path.endsWith('.nupkg'));
  }

  stop(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '';
    const asked: Asked = {
      path,
      range: request.headers.range,
      ifRange: request.headers['if-range'] as string | undefined,
      sent: 0,
    };
    this.asked.push(asked);
    const name = ID.toLowerCase();
    const json = this.documents(name)[path];
    if (json) {
      if (this.indexTurn.kind === 'status') response.writeHead(this.indexTurn.status, this.indexTurn.headers).end();
      else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(json));
      return;
    }
    if (!/^\/(?:flat|moved)\//.test(path) || !path.includes(`${name}.${this.version}.nupkg`)) {
      response.writeHead(404).end();
      return;
    }
    const turn = this.turns.length > 1 ? this.turns.shift()! : this.turns[0]!;
    await this.send(turn, asked, response);
  }

  private documents(name: string): Record<string, object> {
    const { origin, version, bytes } = this;
    return {
      '/v3/index.json': {
        version: '3.0.0',
        resources: [
          { '@id': `${origin}/query`, '@type': 'SearchQueryService' },
          { '@id': `${origin}/registration/`, '@type': 'RegistrationsBaseUrl/3.6.0' },
          { '@id': `${origin}/flat/`, '@type': 'PackageBaseAddress/3.0.0' },
        ],
      },
      [`/registration/${name}/${version}.json`]: { catalogEntry: `${origin}/catalog/entry.json` },
      '/catalog/entry.json': {
        packageHash: sha512(bytes),
        packageHashAlgorithm: 'SHA512',
        packageSize: bytes.length,
        ...this.catalog,
      },
    };
  }

  private async send(turn: Turn, asked: Asked, response: ServerResponse): Promise<void> {
    if (turn.kind === 'status') {
      response.writeHead(turn.status, turn.headers).end();
      return;
    }
    if (turn.kind === 'redirect') {
      response.writeHead(302, { location: turn.to }).end();
      return;
    }
    if (turn.kind === 'short') {
      response.writeHead(200, { ...(this.etag === null ? {} : { etag: this.etag }) });
      response.end(this.bytes.subarray(0, turn.after));
      return;
    }
    const start = this.startOf(turn, asked);
    const body = this.bytes.subarray(start);
    response.writeHead(start > 0 ? 206 : 200, {
      'content-length': body.length,
      ...(this.etag === null ? {} : { etag: this.etag }),
      ...(start > 0 ? { 'content-range': `bytes ${start}-${this.bytes.length - 1}/${this.bytes.length}` } : {}),
    });
    const write = (bytes: Buffer): Promise<void> => {
      asked.sent += bytes.length;
      return new Promise((resolve) => response.write(bytes, () => resolve()));
    };
    if (turn.kind === 'slow') {
      const size = Math.ceil(body.length / turn.pieces);
      for (let at = 0; at < body.length && !response.destroyed; at += size) {
        await write(body.subarray(at, at + size));
        await delay(turn.pause);
      }
      response.end();
      return;
    }
    const after =
      turn.kind === 'no-ranges'
        ? turn.cutAfter
        : turn.kind === 'whole' || turn.kind === 'another-part'
          ? undefined
          : turn.after;
    await write(body.subarray(0, after));
    if (turn.kind === 'stall') return;
    if (after === undefined) response.end();
    // A break loses what was not yet read, which a busy machine takes its time for.
    else setTimeout(() => response.destroy(), 200);
  }

  /** As RFC 9110 has it: a range is for the file that If-Range names. */
  private startOf(turn: Turn, { range, ifRange }: Asked): number {
    if (turn.kind === 'another-part') return turn.from;
    const from = /^bytes=(\d+)-$/.exec(range ?? '')?.[1];
    if (from === undefined || turn.kind === 'no-ranges') return 0;
    return ifRange === undefined || ifRange === this.etag ? Number(from) : 0;
  }
}
