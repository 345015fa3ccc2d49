// Several adapters of one call: each goes on until something keeps it from that, and none keeps another.
import { SafeLoraError } from '../core/errors';

export class Batch<T> {
  private constructor(
    private readonly going: readonly { path: string; value: T }[],
    /** What kept adapters from going on, by their paths. */
    readonly failures: ReadonlyMap<string, SafeLoraError>,
    private readonly isAlone: boolean,
  ) {}

  /** @param paths of adapters, as they were given */
  static of(paths: readonly string[]): Batch<string> {
    const going = paths.map((path) => ({ path, value: path }));
    return new Batch(going, new Map(), paths.length === 1);
  }

  /** Of the adapters that are still going on. */
  get values(): T[] {
    return this.going.map(({ value }) => value);
  }

  /**
   * Takes each adapter a step on, one after the other.
   * @param step is also given the adapter's index among `values`
   * @throws what `step` throws, unless it is a SafeLoraError of one of several adapters: that is kept, and the others go on
   */
  async each<U>(step: (value: T, i: number) => U | Promise<U>): Promise<Batch<U>> {
    const going: { path: string; value: U }[] = [];
    const failures = new Map(this.failures);
    for (const [i, { path, value }] of this.going.entries()) {
      try {
        going.push({ path, value: await step(value, i) });
      } catch (error) {
        if (this.isAlone || !(error instanceof SafeLoraError)) throw error;
        failures.set(path, error);
      }
    }
    return new Batch(going, failures, this.isAlone);
  }
}
