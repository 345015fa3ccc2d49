// Fetches remote weights before they are needed, several at a time, in the order of use.
import { type Checkpoint } from '../core/checkpoint';
import { type TensorInfo } from '../core/safetensors';

/** Bytes of weights fetched, of those that were missing. */
export interface Fetched {
  bytesFetched: number;
  bytesToFetch: number;
}

/** Enough to keep a fast connection busy; each further one only waits for its share. */
const IN_FLIGHT = 6;

/** Limits progress updates: the network brings too many pieces to show each. */
const TELL_EVERY_MS = 50;

interface Tracked {
  model: Checkpoint;
  tensor: TensorInfo;
  /** Bytes that were local when the walk began, or are now. */
  has: number;
  arrival?: Promise<void>;
}

export class Fetching {
  private bytesFetched = 0;
  private told = -Infinity;
  private bytesToFetch = 0;
  private free = IN_FLIGHT;
  private readonly queue: (() => void)[] = [];
  /** By their future path. */
  private readonly tensors = new Map<string, Tracked>();
  private readonly releases: (() => Promise<void>)[] = [];

  private constructor(
    private readonly signal: AbortSignal,
    private readonly onBytes: (fetched: Fetched) => void,
  ) {}

  /**
   * @param wanted tensors of remote models
   * @throws SafeLoraError where the cache cannot be written
   */
  static async of(
    wanted: ReadonlyMap<Checkpoint, readonly TensorInfo[]>,
    signal: AbortSignal,
    onBytes: (fetched: Fetched) => void,
  ): Promise<Fetching> {
    const fetching = new Fetching(signal, onBytes);
    try {
      for (const [model, all] of wanted) {
        // Two adapters may share a model.
        const tensors = all.filter(({ path }) => !fetching.tensors.has(path));
        fetching.releases.push(await model.remote!.hold(tensors));
        for (const tensor of tensors) {
          const { cached } = await model.remote!.needed([tensor]);
          fetching.tensors.set(tensor.path, { model, tensor, has: cached });
          fetching.bytesToFetch += tensor.length - cached;
        }
      }
      return fetching;
    } catch (error) {
      await fetching.release();
      throw error;
    }
  }

  get fetched(): Fetched {
    return { bytesFetched: this.bytesFetched, bytesToFetch: this.bytesToFetch };
  }

  /** Resolves once both tensors are local. @throws SafeLoraError, or the signal's reason */
  async bring(...tensors: readonly TensorInfo[]): Promise<void> {
    await Promise.all(
      tensors.map(async ({ path }) => {
        const tracked = this.tensors.get(path);
        if (tracked) await (tracked.arrival ??= this.inTurn(tracked));
      }),
    );
  }

  /** Waits for running downloads, and allows eviction of the tensors. */
  async release(): Promise<void> {
    await Promise.allSettled([...this.tensors.values()].map(async ({ arrival }) => arrival));
    await Promise.allSettled(this.releases.map((release) => release()));
  }

  private async inTurn(tracked: Tracked): Promise<void> {
    if (this.free > 0) this.free--;
    else await new Promise<void>((resolve) => this.queue.push(resolve));
    try {
      this.signal.throwIfAborted();
      await tracked.model.remote!.fetch(tracked.tensor, this.signal, (done) => {
        if (done <= tracked.has) return;
        this.bytesFetched += done - tracked.has;
        tracked.has = done;
        const now = performance.now();
        if (now - this.told < TELL_EVERY_MS && this.bytesFetched < this.bytesToFetch) return;
        this.told = now;
        this.onBytes(this.fetched);
      });
    } finally {
      const next = this.queue.shift();
      if (next) next();
      else this.free++;
    }
  }
}
