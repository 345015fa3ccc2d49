// Several adapters of one call: each continues until it fails, independently of the others.
import { SafeLoraError } from '../core/errors';

export class Batch<T> {
  private constructor(
    private readonly going: readonly { path: string; value: T }[],
    /** Failures of adapters, by path. */
    readonly failures: ReadonlyMap<string, SafeLoraError>,
    private readonly isAlone: boolean,
  ) {}

  /** @param paths of adapters, as given */
  static of(paths: readonly string[]): Batch<string> {
    const going = paths.map((path) => ({ path, value: path }));
    return new Batch(going, new Map(), paths.length === 1);
  }

  /** Of the adapters that have not failed. */
  get values(): T[] {
    return this.going.map(({ value }) => value);
  }

  /**
   * Runs a step for each adapter, one after the other.
   * @param step is also given the adapter's index among `values`
   * @throws the error of `step`, unless it is a SafeLoraError of one of several adapters: that is kept, and the others continue
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
