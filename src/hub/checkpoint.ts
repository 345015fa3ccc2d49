// A model on the hub as the same Checkpoint as a folder: headers are read by ranges, tensors are fetched when needed.
import { rm, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  type Checkpoint,
  type ModelFiles,
  openCheckpoint,
  readCheckpoint,
  type RemoteWeights,
} from '../core/checkpoint';
import { SafeLoraError, unwritable } from '../core/errors';
import { jsonObjectOf, ReadableFile, readJsonBytes, refuseLargeJson, stampOf } from '../core/files';
import {
  hashBytes,
  headerLength,
  parseHeader,
  refuseOtherFormat,
  type SafetensorsFile,
  type TensorInfo,
} from '../core/safetensors';
import { cacheName, HubCache, type Making } from './cache';
import { Unfinished } from './checksums';
import { type HubAccess, HubClient, type ModelInfo, type Span } from './client';
import {
  datasetFileOf,
  DEFAULT_REVISION,
  isCommit,
  pinnedReference,
  type Reference,
  referenceOf,
  shownReference,
} from './reference';

export interface HubOptions extends HubAccess {
  /** The folder shared by the processes of a user. */
  storage: string;
  /** Maximum bytes of cached tensors. */
  limit: number;
  /** No requests; anything not in the cache is an error. */
  offline: boolean;
  /** Messages for the user: long waits, and damaged cache files that are fetched again. */
  onNotice?: (text: string) => void;
}

/** The header of a shard of 5 GB has 10 to 60 kB: one request usually fetches it. */
const MOST_SPECULATIVE_BYTES = 65_536;
/** Per file, so that bytes read for nothing do not count. */
const SPECULATIVE_SHARE = 0.001;
/** Parallel requests wait for the same host. */
const TOLD_AGAIN_AFTER_MS = 60_000;
const CARD = 'README.md';
/** Cards of many languages have 100 kB. */
const MOST_CARD_BYTES = 2 ** 20;

/** Models from folders and from the hub. */
export class Hub {
  private readonly cache: HubCache;
  private readonly client: HubClient;
  /** When each message was last shown. */
  private readonly told = new Map<string, number>();

  constructor(private readonly options: HubOptions) {
    this.cache = new HubCache(options.storage, options.limit, {
      onUnsound: (path, what, why) => {
        if (options.offline) throw unsoundOffline(path, what, why);
        this.tell(unsoundText(path, what, why));
      },
    });
    const onWait = (text: string): void => {
      this.tell(text);
    };
    this.client = new HubClient({ ...options, line: { ...options.line, onWait } });
  }

  /**
   * @param given a folder, hf://org/name[@revision], or org/name if no folder has that name
   * @throws SafeLoraError, or the signal's reason
   */
  async open(given: string, signal: AbortSignal = new AbortController().signal): Promise<Checkpoint> {
    const reference = await referenceOf(given);
    if (reference === null) return openCheckpoint(given);
    const info = await this.look(reference, signal);
    const client = this.options.offline ? null : this.client;
    return new HubModel(given, reference, info, this.cache, client, signal).checkpoint();
  }

  /**
   * A model's card: its README.md with the metadata at its start.
   * @returns null if there is none, or it is too large for a card
   * @throws SafeLoraError
   */
  async card(id: string, signal: AbortSignal = new AbortController().signal): Promise<string | null> {
    const reference = { id, revision: DEFAULT_REVISION };
    if (this.options.offline) throw notCached(reference, 'the model card');
    const { sizes, commit } = await this.look(reference, signal);
    const size = sizes.get(CARD);
    if (size === undefined || size > MOST_CARD_BYTES) return null;
    const bytes = await this.client.file({ id, revision: commit }, CARD, size, signal);
    return new TextDecoder().decode(bytes);
  }

  /**
   * A file of a dataset, hf://datasets/org/name[@revision]/file.
   * @param most maximum bytes
   * @returns its path in the cache
   * @throws SafeLoraError, or the signal's reason
   */
  async datasetFile(given: string, most: number, signal = new AbortController().signal): Promise<string> {
    const { reference, file } = datasetFileOf(given);
    const info = await this.look(reference, signal);
    const client = this.options.offline ? null : this.client;
    const refuse = (reason: string): SafeLoraError => new SafeLoraError('hub-missing', `${given}: ${reason}.`);
    return new HubModel(given, reference, info, this.cache, client, signal).fetchText(file, most, refuse);
  }

  private tell(text: string): void {
    const now = performance.now();
    if (now - (this.told.get(text) ?? -Infinity) < TOLD_AGAIN_AFTER_MS) return;
    this.told.set(text, now);
    this.options.onNotice?.(text);
  }

  private async look(reference: Reference, signal: AbortSignal): Promise<ModelInfo> {
    const { id, revision } = reference;
    const { offline } = this.options;
    const commit = isCommit(revision) ? revision : offline ? await this.cache.commitOf(id, revision) : null;
    const known = commit === null ? null : await this.cache.info(id, commit);
    if (known) return known;
    if (offline) throw notCached(reference, 'the model');
    const info = await this.client.info(reference, signal);
    await this.cache.keepInfo(id, revision, info);
    return info;
  }
}

class HubModel implements ModelFiles {
  readonly name: string;
  private readonly shown: string;
  private readonly pinned: Reference;
  private readonly folder: string;
  private held: readonly TensorInfo[] = [];
  /** Space reserved for the protected tensors when the first is fetched: by then a job also protects its other model's. */
  private room: Promise<void> | null = null;
  /** The location of a tensor on the hub, by its path in the cache. */
  private readonly spans = new Map<string, Span>();

  /** @param client null when offline */
  constructor(
    readonly path: string,
    private readonly reference: Reference,
    private readonly info: ModelInfo,
    private readonly cache: HubCache,
    private readonly client: HubClient | null,
    /** For the configuration and the headers. */
    private readonly signal: AbortSignal,
  ) {
    this.name = reference.id;
    this.shown = shownReference(reference);
    this.pinned = { id: reference.id, revision: info.commit };
    this.folder = cache.folder(reference.id, info.commit);
  }

  async checkpoint(): Promise<Checkpoint> {
    const checkpoint = await readCheckpoint(this);
    return {
      ...checkpoint,
      realPath: pinnedReference(this.name, this.info.commit),
      remote: this.weights(checkpoint.files),
    };
  }

  sourceOf(file: string): string {
    return `${this.shown}: ${file}`;
  }

  has(file: string): Promise<boolean> {
    return Promise.resolve(this.info.sizes.has(file));
  }

  list(): Promise<string[]> {
    return Promise.resolve([...this.info.sizes.keys()]);
  }

  async json(file: string, most: number, refuse: (reason: string) => SafeLoraError): Promise<Record<string, unknown>> {
    // Refused responses are not cached: another may be better.
    const check = (bytes: Uint8Array): unknown => jsonObjectOf(bytes, refuse);
    return jsonObjectOf(await this.text(file, most, refuse, check), refuse);
  }

  bytes(file: string, most: number, refuse: (reason: string) => SafeLoraError): Promise<Uint8Array> {
    return this.text(file, most, refuse);
  }

  private async text(
    file: string,
    most: number,
    refuse: (reason: string) => SafeLoraError,
    check?: (bytes: Uint8Array) => unknown,
  ): Promise<Uint8Array> {
    return readJsonBytes(await this.fetchText(file, most, refuse, check), most, refuse);
  }

  /**
   * @param check throws if it refuses a response
   * @returns the file's path in the cache
   */
  async fetchText(
    file: string,
    most: number,
    refuse: (reason: string) => SafeLoraError,
    check: (bytes: Uint8Array) => unknown = () => undefined,
  ): Promise<string> {
    const size = this.sizeOf(file);
    refuseLargeJson(size, most, refuse);
    const path = join(this.folder, cacheName('text', file));
    const { signal } = this;
    const making: Making = {
      path,
      what: this.sourceOf(file),
      isWhole: async (part) => (await stampOf(part)).size === size,
      make: async (part) => {
        const bytes = await this.online(file).file(this.pinned, file, size, signal);
        await writeFile(part, bytes).catch(unwritable(part));
        check(bytes);
      },
    };
    await this.cache.ensure(making, signal);
    return path;
  }

  async open(file: string): Promise<SafetensorsFile> {
    const size = this.sizeOf(file);
    const shown = this.sourceOf(file);
    const start = await this.head(file, size);
    const header = start.subarray(8);
    const parsed = parseHeader(header, size, shown);
    const tensors = new Map(
      [...parsed.tensors].map(([name, tensor]): [string, TensorInfo] => {
        const { offset, length } = tensor;
        const path = join(this.folder, cacheName('tensor', file, name, offset, length));
        this.spans.set(path, { file, offset, length });
        return [name, { ...tensor, path, source: shown, offset: 0 }];
      }),
    );
    return {
      ...parsed,
      tensors,
      path: `${pinnedReference(this.name, this.info.commit)}/${file}`,
      size,
      // A commit's files never change.
      modified: 0,
      identity: '',
      headerHash: hashBytes(header),
    };
  }

  /** A file's start, from its first byte up to the tensors' bytes. */
  private async head(file: string, size: number): Promise<Uint8Array> {
    const shown = this.sourceOf(file);
    const path = join(this.folder, cacheName('header', file));
    const { signal } = this;
    const lengthAt = async (at: string): Promise<number | null> => {
      if ((await stampOf(at)).size < 8) return null;
      const start = await ReadableFile.with(at, (opened) => opened.read(0, 8));
      return 8 + headerLength(start, size, shown);
    };
    const isWhole = async (at: string): Promise<boolean> => (await stampOf(at)).size === (await lengthAt(at));
    const make = async (part: string): Promise<void> => {
      // Small enough to read from the start again.
      await rm(part, { force: true });
      const get = (from: number, to: number): Promise<void> =>
        this.online(file).range(
          this.pinned,
          { file, offset: 0, length: to },
          size,
          part,
          from,
          signal,
          () => undefined,
        );
      const first = Math.min(size, Math.max(8, Math.min(MOST_SPECULATIVE_BYTES, Math.floor(size * SPECULATIVE_SHARE))));
      await get(0, first);
      refuseOtherFormat(await ReadableFile.with(part, (opened) => opened.read(0, first)), shown);
      const length = (await lengthAt(part)) ?? headerLength(new Uint8Array(), first, shown);
      if (length > first) await get(first, length);
      else await truncate(part, length).catch(unwritable(part));
      // Refused responses are not cached: another may be better.
      parseHeader(await ReadableFile.with(part, (opened) => opened.read(8, length - 8)), size, shown);
    };
    await this.cache.ensure({ path, what: shown, isWhole, make }, signal);
    return ReadableFile.with(path, (opened) => opened.read(0, opened.size));
  }

  private weights(files: readonly SafetensorsFile[]): RemoteWeights {
    const modelBytes = files.reduce((sum, { size }) => sum + size, 0);
    return {
      needed: async (tensors) => {
        let [bytes, cached] = [0, 0];
        for (const tensor of tensors) {
          const has = await this.cache.has(tensor);
          cached += has;
          bytes += tensor.length - has;
        }
        return { bytes, cached, modelBytes };
      },
      hold: async (tensors) => {
        const release = await this.cache.hold(tensors);
        this.room = null;
        this.held = tensors;
        return release;
      },
      fetch: (tensor, signal, onBytes) => this.fetch(tensor, signal, onBytes),
    };
  }

  private async fetch(tensor: TensorInfo, signal: AbortSignal, onBytes?: (done: number) => void): Promise<void> {
    const { path, length } = tensor;
    const span = this.spans.get(path);
    if (!span) throw new Error(`${tensor.name} is not a tensor of ${this.shown}`);
    await (this.room ??= this.cache.makeRoom(this.held));
    const isWhole = async (at: string): Promise<boolean> => (await stampOf(at)).size === length;
    const make = async (part: string): Promise<void> => {
      const unfinished = new Unfinished(part);
      const has = await unfinished.begin(length);
      if (length === 0) await writeFile(part, '').catch(unwritable(part));
      if (has === length) return;
      const client = this.online(`${span.file}: ${tensor.name}`);
      const told = (done: number): void => {
        unfinished.grown(done);
        onBytes?.(done);
      };
      try {
        await client.range(this.pinned, span, this.sizeOf(span.file), part, has, signal, told);
      } catch (error) {
        await unfinished.end();
        throw error;
      }
      await unfinished.settled();
    };
    const waiting = async (part: string): Promise<void> => onBytes?.(Math.max(0, (await stampOf(part)).size));
    await this.cache.ensure(
      { path, what: `${this.sourceOf(span.file)}: ${tensor.name}`, isWhole, make, waiting },
      signal,
    );
    onBytes?.(length);
  }

  private online(what: string): HubClient {
    if (this.client) return this.client;
    throw notCached(this.reference, what);
  }

  private sizeOf(file: string): number {
    const size = this.info.sizes.get(file);
    if (size !== undefined) return size;
    throw notListed(this.sourceOf(file));
  }
}

const unsoundness = {
  damaged: 'does not match its checksum',
  unchecked: 'was cached by an earlier version without checksums',
};

/** An earlier version's files are reported together. */
function unsoundText(path: string, what: string, why: keyof typeof unsoundness): string {
  return why === 'damaged'
    ? `${path}: ${unsoundness[why]}; ${what} is fetched again`
    : `${dirname(path)}: ${unsoundness[why]}; what is needed of it is fetched again`;
}

function unsoundOffline(path: string, what: string, why: keyof typeof unsoundness): SafeLoraError {
  return new SafeLoraError(
    'hub-offline',
    `${path}: ${unsoundness[why]}, and offline ${what} is not downloaded again; run once without --offline or HF_HUB_OFFLINE.`,
  );
}

function notCached(reference: Reference, what: string): SafeLoraError {
  return new SafeLoraError(
    'hub-offline',
    `${shownReference(reference)}: ${what} is not cached, and offline nothing is downloaded; run once without --offline or HF_HUB_OFFLINE.`,
  );
}

function notListed(path: string): SafeLoraError {
  return new SafeLoraError('hub-missing', `${path}: the hub does not list it; check the model's files.`);
}
