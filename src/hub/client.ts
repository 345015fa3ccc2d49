// The part of the hub's HTTP interface that reads a model by ranges. @huggingface/hub 2.17 is not suitable: its ranges take no AbortSignal,
// do not check which part arrived, and send the token to the redirect's host.
import { SafeLoraError } from '../core/errors';
import { isObject } from '../core/objects';
import { append, contentRange } from '../network/append';
import {
  type Advance,
  type Network,
  parsedObject,
  readBytes,
  readRefusal,
  type Reply,
  request,
  RequestFailure,
  requireStatus,
  shownUrl,
  withRetries,
} from '../network/requests';
import { checked } from './environment';
import { DATASETS, isCommit, type Reference, shownReference } from './reference';

/** The options of `Network` shared by all requests. */
export type Line = Omit<Network, 'signal'>;

export interface HubAccess {
  /** Without a trailing slash. */
  endpoint: string;
  /** Requested once; kept only here. */
  token: () => Promise<string | undefined>;
  line: Line;
}

/** A model at one commit. */
export interface ModelInfo {
  commit: string;
  /** Bytes of each file. */
  sizes: ReadonlyMap<string, number>;
}

/** Part of a file. */
export interface Span {
  file: string;
  offset: number;
  length: number;
}

/** Redirect addresses of the hub are valid for about an hour; afterwards the stores behind them answer with one of these. */
const EXPIRED = [400, 401, 403, 404, 410];
/** Of a model with about ten thousand files. */
const MAX_INFO_BYTES = 50_000_000;
/** A sentence; longer text from a server is not shown. */
const MOST_CHARACTERS = 300;

const SET_TOKEN = 'set HF_TOKEN, or a token by "Safe LoRA: Set Hugging Face Token" in the editor';

export class HubClient {
  private token: string | undefined;
  /** Redirect targets on other hosts, by address at the hub: saves a round trip for each further range. */
  private readonly redirects = new Map<string, string>();

  constructor(private readonly access: HubAccess) {}

  /** @throws SafeLoraError, or the signal's reason */
  async info(reference: Reference, signal: AbortSignal): Promise<ModelInfo> {
    const { id, revision } = reference;
    const path = id.startsWith(DATASETS) ? id : `models/${id}`;
    const url = `${this.access.endpoint}/api/${path}/revision/${encodeURIComponent(revision)}?blobs=true`;
    return this.explained(reference, async () => {
      const bytes = await this.get(reference, url, {}, MAX_INFO_BYTES, signal);
      const { sha, siblings } = parsedObject(bytes) ?? {};
      if (typeof sha !== 'string' || !isCommit(sha) || !Array.isArray(siblings))
        throw new RequestFailure(shownUrl(url), 'did not return a commit and its files', false);
      if (isCommit(revision) && sha !== revision)
        throw new RequestFailure(shownUrl(url), `answers with another commit, ${sha}`, false);
      const sizes = siblings.filter(isObject).flatMap(({ rfilename, size }): [string, number][] => {
        return typeof rfilename === 'string' && Number.isSafeInteger(size) && Number(size) >= 0
          ? [[rfilename, size as number]]
          : [];
      });
      return { commit: sha, sizes: new Map(sizes) };
    });
  }

  /** Reads a whole small file. @throws SafeLoraError, or the signal's reason */
  async file(reference: Reference, file: string, size: number, signal: AbortSignal): Promise<Uint8Array> {
    return this.explained(reference, async () => {
      const url = this.address(reference, file);
      const bytes = await this.get(reference, url, { 'accept-encoding': 'identity' }, size, signal);
      if (bytes.length === size) return bytes;
      throw new RequestFailure(shownUrl(url), `sends ${bytes.length} bytes of a file of ${size}`, false);
    });
  }

  /**
   * Appends a part of a file to `path`.
   * @param has bytes of the part already there
   * @param fileSize expected size of the whole file
   * @param onCount bytes of the part so far
   * @throws SafeLoraError, or the signal's reason; received bytes are then kept
   */
  async range(
    reference: Reference,
    { file, offset, length }: Span,
    fileSize: number,
    path: string,
    has: number,
    signal: AbortSignal,
    onCount: (done: number) => void,
  ): Promise<void> {
    const address = this.address(reference, file);
    const network = { ...this.access.line, signal };
    let done = has;
    const attempt = async (advance: Advance): Promise<void> => {
      const known = this.redirects.get(address);
      const headers = {
        ...(known === undefined ? await this.authorization() : {}),
        'accept-encoding': 'identity',
        range: `bytes=${offset + done}-${offset + length - 1}`,
      };
      await request(network, known ?? address, headers, async (reply, alive, at) => {
        if (known !== undefined && EXPIRED.includes(reply.status)) {
          this.redirects.delete(address);
          throw new RequestFailure(shownUrl(at), `the server answers ${reply.status}`, true, 0);
        }
        await this.requireOk(reference, address, at, reply);
        this.requirePart(reference, at, reply, { first: offset + done, last: offset + length - 1, total: fileSize });
        if (new URL(at).origin !== new URL(address).origin) this.redirects.set(address, at);
        const tooLong = (): Error => new RequestFailure(shownUrl(at), 'sent more than was requested', false);
        await append(path, done, length, reply, tooLong, (count) => {
          alive(count - done);
          advance.add(count - done);
          done = count;
          onCount(count);
        });
        if (done < length) throw new RequestFailure(shownUrl(at), 'the connection was lost', true);
      });
    };
    await this.explained(reference, () => withRetries(network, attempt));
  }

  private address({ id, revision }: Reference, file: string): string {
    const path = file.split('/').map(encodeURIComponent).join('/');
    return `${this.access.endpoint}/${id}/resolve/${encodeURIComponent(revision)}/${path}`;
  }

  private async authorization(): Promise<{ authorization?: string }> {
    // A missing one may appear later.
    this.token ??= await this.access.token();
    const { token } = this;
    return token === undefined ? {} : { authorization: `Bearer ${checked(token, 'the token')}` };
  }

  private async get(
    reference: Reference,
    url: string,
    headers: Record<string, string>,
    most: number,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const network = { ...this.access.line, signal };
    return withRetries(network, async () => {
      const sent = { ...headers, ...(await this.authorization()) };
      return request(network, url, sent, async (reply, alive, at) => {
        await this.requireOk(reference, url, at, reply);
        const bytes = await readBytes(reply, most, alive);
        if (bytes === null) throw new RequestFailure(shownUrl(at), `is longer than ${most} bytes`, false);
        return bytes;
      });
    });
  }

  /** @throws SafeLoraError with the hub's own reason, or RequestFailure */
  private async requireOk(reference: Reference, asked: string, at: string, reply: Reply): Promise<void> {
    const { status, headers } = reply;
    const isHub = new URL(at).origin === new URL(asked).origin;
    if (isHub && [401, 403, 404].includes(status)) throw await this.refusal(reference, reply);
    if (status === 416) throw new RequestFailure(shownUrl(at), 'has not the bytes that the hub says it has', false);
    requireStatus(at, reply, 200, 206);
    const commit = headers.get('x-repo-commit');
    if (isHub && commit !== null && isCommit(reference.revision) && commit !== reference.revision)
      throw new RequestFailure(shownUrl(at), `is of another commit, ${commit.slice(0, 40)}`, false);
  }

  private requirePart(
    reference: Reference,
    at: string,
    reply: Reply,
    wanted: { first: number; last: number; total: number },
  ): void {
    const { first, last, total } = wanted;
    const sent = reply.status === 206 ? contentRange(reply) : undefined;
    // A whole file is usually 5 GB: refused when a part was requested, unless the part is the whole file.
    if (!sent && reply.status === 200 && first === 0 && last === total - 1) return;
    if (sent?.first === first && sent.last === last && sent.total === total) return;
    const what = sent ? `bytes ${sent.first} to ${sent.last} of ${sent.total}` : 'the whole file';
    throw new RequestFailure(
      shownUrl(at),
      `sends ${what} where bytes ${first} to ${last} of ${total} of ${shownReference(reference)} were asked for`,
      false,
    );
  }

  private async refusal(reference: Reference, reply: Reply): Promise<SafeLoraError> {
    const { endpoint } = this.access;
    const shown = shownReference(reference);
    const { status, headers } = reply;
    const code = headers.get('x-error-code');
    const { error } = await readRefusal(reply);
    const said = await this.withoutToken(headers.get('x-error-message') ?? (typeof error === 'string' ? error : ''));
    const reason = said === '' ? `the hub answers ${status}` : `the hub says: ${said.replace(/[.\s]+$/, '')}`;
    const hasToken = 'authorization' in (await this.authorization());
    if (code === 'GatedRepo') {
      const then = hasToken ? '' : `, and ${SET_TOKEN}`;
      return new SafeLoraError(
        'hub-access',
        `${shown}: ${reason}; ask for access at ${endpoint}/${reference.id}${then}.`,
      );
    }
    if (code === 'RevisionNotFound')
      return new SafeLoraError(
        'hub-missing',
        `${shown}: ${reason}; it has no revision ${reference.revision}: check it at ${endpoint}/${reference.id}.`,
      );
    if (code === 'EntryNotFound')
      return new SafeLoraError('hub-missing', `${shown}: ${reason}; check its files at ${endpoint}/${reference.id}.`);
    if (status === 404 || code === 'RepoNotFound' || (status === 401 && !hasToken)) {
      const looksSame = hasToken
        ? 'a private model that the token cannot access looks the same'
        : `a private model looks the same; for one, ${SET_TOKEN}`;
      return new SafeLoraError('hub-missing', `${shown}: ${reason}; check the name: ${looksSame}.`);
    }
    const advice = hasToken ? 'use a token that can access it' : SET_TOKEN;
    return new SafeLoraError('hub-access', `${shown}: ${reason}; ${advice}.`);
  }

  /** A server may echo the request. */
  private async withoutToken(text: string): Promise<string> {
    const token = (await this.authorization()).authorization?.slice('Bearer '.length);
    const clean = token === undefined ? text : text.replaceAll(token, '(the token)');
    return clean
      .replace(/[^\x20-\x7e]+/g, ' ')
      .trim()
      .slice(0, MOST_CHARACTERS);
  }

  private async explained<T>(reference: Reference, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof RequestFailure)) throw error;
      const text = await this.withoutToken(`${error.url}: ${error.reason}`);
      throw failedRequest(reference, text, error);
    }
  }
}

/** @param text where and why it failed, without the token */
function failedRequest(reference: Reference, text: string, error: RequestFailure): SafeLoraError {
  const mayPass = error.again || error.retryAfter !== undefined;
  const code = mayPass ? 'hub-unreachable' : 'hub-answer';
  const advice = mayPass ? 'check the network, or try again later' : 'check HF_ENDPOINT and the proxy';
  return new SafeLoraError(code, `${shownReference(reference)}: ${text}; ${advice}.`, { cause: error });
}
