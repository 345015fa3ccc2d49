// Rows that decode together: a prefill adds rows, a step generates each row's next token, and a finished row frees its slot.
import { type Architecture } from './architecture';
import { KeyValueCache } from './cache';
import { type Forward } from './forward';
import { prefill } from './prefill';
import { type Answer, type Row } from './protocol';

/** A row with its number in the task. */
export interface Queued<T extends Row = Row> {
  row: T;
  index: number;
}

export interface BatchOptions {
  /** Maximum rows. */
  slots: number;
  /** Maximum positions of a row. */
  capacity: number;
  variants: readonly Uint8Array[];
  maxTokens: number;
  stopTokens: readonly number[];
}

/** A row in its slot. */
interface Active {
  index: number;
  gates: Uint8Array;
  /** Positions in the cache. */
  length: number;
  answer: number[];
  isStopped: boolean;
}

export class Batch {
  private readonly rows: Active[] = [];
  private readonly cache: KeyValueCache;
  private readonly stop: ReadonlySet<number>;

  constructor(
    private readonly forward: Forward,
    architecture: Architecture,
    private readonly options: BatchOptions,
  ) {
    this.cache = new KeyValueCache(architecture, options.slots, options.capacity);
    this.stop = new Set(options.stopTokens);
  }

  get size(): number {
    return this.rows.length;
  }

  /** Slots. */
  get free(): number {
    return this.options.slots - this.size;
  }

  /** Whether a row fits, and is not so short that it would waste most of its slot. */
  takes(queued: Queued | undefined): boolean {
    if (!queued) return false;
    const { capacity, maxTokens } = this.options;
    const needed = queued.row.tokens.length + maxTokens;
    return needed <= capacity && 2 * needed > capacity;
  }

  /** Prefills prompts, which generates their first tokens. @param queued longest first, no more than free slots */
  async join(queued: readonly Queued[]): Promise<void> {
    const joining = queued.map(({ row, index }): Active => ({
      index,
      gates: this.options.variants[row.variant]!,
      length: row.tokens.length,
      answer: [],
      isStopped: false,
    }));
    const prompts = { rows: queued.map(({ row }) => row.tokens), variants: joining.map(({ gates }) => gates) };
    const last = joining.map(({ length }, row) => ({ row, position: length - 1, picks: [] }));
    const next = await prefill(this.forward, prompts, last, { cache: this.cache, begin: this.size });
    this.rows.push(...joining);
    this.accept(
      joining,
      next.map(({ token }) => token),
    );
  }

  /** Generates the next token of every row. */
  async step(): Promise<void> {
    const { rows } = this;
    const before = rows.map(({ length }) => length);
    for (const row of rows) row.length++;
    const after = rows.map(({ length }) => length);
    const { next, fresh } = await this.forward.run(
      {
        tokens: BigInt64Array.from(rows, ({ answer }) => BigInt(answer.at(-1)!)),
        width: 1,
        before,
        variants: rows.map(({ gates }) => gates),
        asked: rows.map((_, i) => i),
      },
      this.cache,
      true,
    );
    this.cache.append(fresh, 0, before, after);
    this.accept(rows, Array.from(next, Number));
  }

  /** Removes finished rows: the last row moves to each freed slot. */
  takeEnded(): Answer[] {
    const ended: Answer[] = [];
    for (let slot = this.size - 1; slot >= 0; slot--) {
      const { index, answer, isStopped } = this.rows[slot]!;
      if (!isStopped && answer.length < this.options.maxTokens) continue;
      ended.push({ row: index, tokens: answer, isCutOff: !isStopped });
      const last = this.rows.pop()!;
      if (slot === this.size) continue;
      this.cache.move(this.size, slot);
      this.rows[slot] = last;
    }
    return ended;
  }

  private accept(rows: readonly Active[], next: readonly number[]): void {
    rows.forEach((row, i) => {
      const token = next[i]!;
      if (this.stop.has(token)) row.isStopped = true;
      else row.answer.push(token);
    });
  }
}
