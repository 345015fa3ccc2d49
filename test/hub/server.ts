// Plays the hub on this machine, with the second host that it redirects to, and every way in which the two, or the line to them, fail.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** What happens to one request at the second host; the last of the list goes on for all that follow. */
export type Turn =
  | { kind: 'whole' }
  /** The connection is cut after so many bytes. */
  | { kind: 'cut'; after: number }
  /** Pieces with pauses in between, in milliseconds. */
  | { kind: 'slow'; piece: number; pause: number }
  /** Nothing more comes after so many bytes, and the connection stays. */
  | { kind: 'stall'; after: number }
  | { kind: 'status'; status: number; headers?: Record<string, string> }
  /** Ends so many bytes too early, and its length says so. */
  | { kind: 'short'; by: number }
  /** Goes on for so many bytes more. */
  | { kind: 'long'; by: number }
  /** Says and sends the part that begins so many bytes later. */
  | { kind: 'shifted'; by: number }
  /** The right part by its own word, of other bytes. */
  | { kind: 'garbage' }
  /** Whatever a hostile host answers. */
  | { kind: 'raw'; answer: (response: ServerResponse, asked: Asked) => void }
  | { kind: 'no-ranges' };

export interface Asked {
  host: 'hub' | 'cdn';
  path: string;
  range: string | undefined;
  authorization: string | undefined;
  /** Bytes of the body that were sent. */
  sent: number;
}

export interface Refusal {
  status: number;
  code?: string;
  message?: string;
}

interface Model {
  files: Map<string, Buffer>;
  commit: string;
}

export class HubServer {
  readonly asked: Asked[] = [];
  readonly endpoint: string;
  /** Of the second host. */
  readonly other: string;
  turns: Turn[] = [{ kind: 'whole' }];
  /** Of the hub itself, before the answer. */
  hubTurns: Turn[] = [{ kind: 'whole' }];
  /** By model: the answer to its files, and to what it is as well where the model is not to be seen. */
  refusals: Record<string, Refusal & { hidden?: boolean }> = {};
  /** A token without which nothing is answered. */
  token: string | undefined;
  /** A commit that the hub names instead. */
  otherCommit: string | undefined;
  /** Signatures in redirects; another one makes all earlier addresses void. */
  signature = 'one';
  /** The most requests at once at the second host. */
  mostAtOnce = 0;
  /** Before each answer of the second host, in milliseconds. */
  latency = 0;
  private atOnce = 0;

  private constructor(
    private readonly hub: Server,
    private readonly cdn: Server,
    private readonly models: Map<string, Model>,
  ) {
    this.endpoint = origin(hub);
    this.other = origin(cdn);
  }

  /** @param folders by repository id */
  static async start(folders: Record<string, string>): Promise<HubServer> {
    const models = Object.entries(folders).map(([id, folder]): [string, Model] => {
      const files = readdirSync(folder).map((name): [string, Buffer] => [name, readFileSync(join(folder, name))]);
      return [id, { files: new Map(files), commit: createHash('sha1').update(id).digest('hex') }];
    });
    const [hub, cdn] = [createServer(), createServer()];
    await Promise.all([hub, cdn].map((one) => new Promise<void>((resolve) => one.listen(0, '127.0.0.1', resolve))));
    const server = new HubServer(hub, cdn, new Map(models));
    for (const [host, one] of [
      ['hub', hub],
      ['cdn', cdn],
    ] as const) {
      one.on('request', (request: IncomingMessage, response: ServerResponse) => {
        const asked: Asked = {
          host,
          path: request.url!,
          range: request.headers.range,
          authorization: request.headers.authorization,
          sent: 0,
        };
        server.asked.push(asked);
        const answered = host === 'hub' ? server.answer(asked, response) : server.answerPart(asked, request, response);
        answered.catch(() => response.destroy());
      });
    }
    return server;
  }

  get weightRequests(): Asked[] {
    return this.asked.filter(({ host }) => host === 'cdn');
  }

  get sent(): number {
    return this.asked.reduce((sum, { sent }) => sum + sent, 0);
  }

  commit(id: string): string {
    return this.models.get(id)!.commit;
  }

  /** A new commit with the same files. */
  move(id: string): void {
    this.models.get(id)!.commit = createHash('sha1').update(this.commit(id)).digest('hex');
  }

  replace(id: string, file: string, bytes: Buffer): void {
    this.models.get(id)!.files.set(file, bytes);
  }

  stop(): void {
    for (const server of [this.hub, this.cdn]) {
      server.close();
      server.closeAllConnections();
    }
  }

  private async answer(asked: Asked, response: ServerResponse): Promise<void> {
    const refuse = ({ status, code, message }: Refusal): void => {
      const headers = { ...(code ? { 'x-error-code': code } : {}), ...(message ? { 'x-error-message': message } : {}) };
      end(asked, response, status, headers, JSON.stringify({ error: message ?? 'refused' }));
    };
    const turn = next(this.hubTurns);
    if (turn.kind === 'status') {
      end(asked, response, turn.status, turn.headers ?? {}, 'not now');
      return;
    }
    if (turn.kind === 'raw') {
      turn.answer(response, asked);
      return;
    }
    if (turn.kind === 'cut') {
      response.destroy();
      return;
    }
    await delay(0);
    if (this.token !== undefined && asked.authorization !== `Bearer ${this.token}`) {
      // As the hub answers for what is not there, or not for everybody.
      refuse({ status: 401, code: 'RepoNotFound', message: 'Invalid username or password.' });
      return;
    }
    const { pathname } = new URL(asked.path, this.endpoint);
    const [, cached, kind, id, revision, file] =
      /^\/(api\/resolve-cache\/)?(?:(api(?:\/models)?)\/)?((?:datasets\/)?[\w.-]+\/[\w.-]+)\/(?:revision|resolve)\/([^/]+)(?:\/(.+))?$/.exec(
        pathname,
      ) ?? [];
    const model = this.models.get(id ?? '');
    const refusal = this.refusals[id ?? ''];
    if (!model || refusal?.hidden) {
      refuse(refusal ?? { status: 404, code: 'RepoNotFound', message: 'Repository not found' });
      return;
    }
    if (![model.commit, 'main'].includes(decodeURIComponent(revision!))) {
      refuse({ status: 404, code: 'RevisionNotFound', message: `Invalid rev id: ${revision}` });
      return;
    }
    const commit = this.otherCommit ?? model.commit;
    if (kind !== undefined) {
      const siblings = [...model.files].map(([rfilename, bytes]) => ({ rfilename, size: bytes.length }));
      end(
        asked,
        response,
        200,
        { 'content-type': 'application/json' },
        JSON.stringify({ id, sha: model.commit, siblings }),
      );
      return;
    }
    if (refusal) {
      refuse(refusal);
      return;
    }
    const bytes = model.files.get(file!);
    if (!bytes) {
      refuse({ status: 404, code: 'EntryNotFound', message: 'Entry not found' });
      return;
    }
    const headers = { 'x-repo-commit': commit, etag: etagOf(bytes) };
    if (!file!.endsWith('.safetensors')) {
      // Small files are redirected once on the hub itself.
      if (cached) end(asked, response, 200, headers, bytes);
      else end(asked, response, 307, { ...headers, location: `/api/resolve-cache${pathname}` }, 'Temporary Redirect');
      return;
    }
    const location = `${origin(this.cdn)}/${id}/${file}?signature=${this.signature}`;
    end(asked, response, 302, { ...headers, 'x-linked-size': `${bytes.length}`, location }, 'Found');
  }

  private async answerPart(asked: Asked, request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.atOnce);
    response.on('close', () => this.atOnce--);
    if (this.latency > 0) await delay(this.latency);
    const url = new URL(asked.path, this.endpoint);
    const [, id, file] = /^\/([\w.-]+\/[\w.-]+)\/(.+)$/.exec(url.pathname) ?? [];
    const bytes = this.models.get(id ?? '')?.files.get(file ?? '');
    if (!bytes || url.searchParams.get('signature') !== this.signature) {
      end(asked, response, 403, {}, 'AccessDenied');
      return;
    }
    const turn = next(this.turns);
    if (turn.kind === 'status') {
      end(asked, response, turn.status, turn.headers ?? {}, 'not now');
      return;
    }
    if (turn.kind === 'raw') {
      turn.answer(response, asked);
      return;
    }
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(asked.range ?? '') ?? [];
    const ifRange = request.headers['if-range'];
    const ranged = from !== undefined && turn.kind !== 'no-ranges' && (ifRange ?? etagOf(bytes)) === etagOf(bytes);
    const shift = turn.kind === 'shifted' ? turn.by : 0;
    const [first, last] = ranged ? [Number(from) + shift, Number(to) + shift] : [0, bytes.length - 1];
    const missing = turn.kind === 'short' ? turn.by : 0;
    const more = turn.kind === 'long' ? turn.by : 0;
    const part = bytes.subarray(first, last + 1 - missing);
    const body = Buffer.concat([turn.kind === 'garbage' ? Buffer.alloc(part.length, 0x21) : part, Buffer.alloc(more)]);
    response.writeHead(ranged ? 206 : 200, {
      'content-length': body.length,
      etag: etagOf(bytes),
      ...(ranged ? { 'content-range': `bytes ${first}-${last}/${bytes.length}` } : {}),
    });
    const write = (piece: Buffer): Promise<void> => {
      asked.sent += piece.length;
      return new Promise((resolve) => response.write(piece, () => resolve()));
    };
    if (turn.kind === 'slow') {
      for (let at = 0; at < body.length && !response.destroyed; at += turn.piece) {
        await write(body.subarray(at, at + turn.piece));
        await delay(turn.pause);
      }
      response.end();
      return;
    }
    const after = turn.kind === 'cut' || turn.kind === 'stall' ? turn.after : undefined;
    await write(body.subarray(0, after));
    if (turn.kind === 'stall') return;
    if (after === undefined) response.end();
    // A break loses what was not yet read, which a busy machine takes its time for.
    else setTimeout(() => response.destroy(), 200);
  }
}

function next(turns: Turn[]): Turn {
  return turns.length > 1 ? turns.shift()! : turns[0]!;
}

function end(
  asked: Asked,
  response: ServerResponse,
  status: number,
  headers: Record<string, string>,
  body: string | Buffer,
): void {
  asked.sent += body.length;
  response.writeHead(status, headers).end(body);
}

const etags = new WeakMap<Buffer, string>();

function etagOf(bytes: Buffer): string {
  const etag = etags.get(bytes) ?? `"${createHash('sha1').update(bytes).digest('hex')}"`;
  etags.set(bytes, etag);
  return etag;
}

function origin(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
