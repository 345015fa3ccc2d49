// Draws that are the same for the same seed and case, whatever ran before.
import { createHash } from 'node:crypto';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { uniformInt } from 'pure-rand/distribution/uniformInt';

export class Random {
  private readonly generator;

  constructor(...seed: readonly (string | number)[]) {
    this.generator = xoroshiro128plus(createHash('sha256').update(seed.join('/')).digest().readInt32LE());
  }

  /** A whole number from 0 up to, without, the limit. */
  below(limit: number): number {
    return uniformInt(this.generator, 0, Math.max(1, limit) - 1);
  }

  chance(share: number): boolean {
    return this.below(1_000_000) < share * 1_000_000;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** Each with even chances. */
  some<T>(list: readonly T[]): T[] {
    return list.filter(() => this.chance(0.5));
  }
}
