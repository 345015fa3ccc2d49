// The adapters of one call: each goes on until something keeps it from that, and none keeps another.
import { basename, join } from 'node:path';
import { type Adapter, openAdapter } from '../core/adapter';
import { type Checkpoint } from '../core/checkpoint';
import { SafeLoraError } from '../core/errors';
import { makePlan, type Plan } from '../core/plan';
import { type Measured, type Report } from '../core/report';
import { type Outcome } from '../engine/run';
import { UsageError } from './arguments';

export interface Item {
  /** As it was given. */
  path: string;
  plan: Plan;
}

/** What kept an adapter from going on, in the form of the report. */
interface Failure {
  adapter: string;
  code: string;
  message: string;
}

export class Batch {
  private readonly failed = new Map<string, SafeLoraError>();
  private items: Item[] = [];

  private constructor(private readonly paths: readonly string[]) {}

  /** Opens the models once, and every adapter. */
  static async open(
    args: { adapters: readonly string[]; base: string; aligned: string },
    openModel: (given: string) => Promise<Checkpoint>,
  ): Promise<Batch> {
    const batch = new Batch(args.adapters);
    const adapters: { path: string; adapter: Adapter }[] = [];
    for (const path of args.adapters) {
      await batch.guard(path, async () => adapters.push({ path, adapter: await openAdapter(path) }));
    }
    if (adapters.length === 0) return batch;
    const [base, aligned] = [await openModel(args.base), await openModel(args.aligned)];
    for (const { path, adapter } of adapters) {
      await batch.guard(path, () => batch.items.push({ path, plan: makePlan(adapter, base, aligned) }));
    }
    return batch;
  }

  get plans(): Plan[] {
    return this.items.map(({ plan }) => plan);
  }

  get failures(): Failure[] {
    return [...this.failed].map(([adapter, { code, message }]) => ({ adapter, code, message }));
  }

  /**
   * Where each adapter's result goes: the folder itself for one, a folder in it for each of several.
   * @throws UsageError where two would have one name
   */
  outputs(out: string): Map<Item, string> {
    if (this.paths.length === 1) return new Map(this.items.map((item) => [item, out]));
    const byName = new Map<string, Item>();
    for (const item of this.items) {
      const name = basename(item.plan.adapter.name);
      const other = byName.get(name);
      if (other) throw new UsageError(`${other.path} and ${item.path} would both be written to ${join(out, name)}`);
      byName.set(name, item);
    }
    return new Map([...byName].map(([name, item]) => [item, join(out, name)]));
  }

  /** Does something with each adapter that is still going on. */
  async each<T>(action: (item: Item) => Promise<T>): Promise<T[]> {
    const results: T[] = [];
    for (const item of this.items) await this.guard(item.path, async () => results.push(await action(item)));
    this.items = this.items.filter(({ path }) => !this.failed.has(path));
    return results;
  }

  /** Takes the measured ones on. @param outcomes in the order of `plans` */
  async eachMeasured<T>(
    outcomes: readonly Outcome[],
    action: (item: Item, measured: Measured) => Promise<T>,
  ): Promise<T[]> {
    const byItem = new Map(this.items.map((item, i) => [item, outcomes[i]!]));
    return this.each((item) => {
      const outcome = byItem.get(item)!;
      if ('failure' in outcome) throw outcome.failure;
      return action(item, outcome.measured);
    });
  }

  /** What --json writes: of one adapter its report. */
  json(reports: readonly Report[]): object {
    if (this.paths.length === 1) return reports[0]!;
    return { schema: 'safe-lora/reports@1', reports, failures: this.failures };
  }

  /** The only adapter's failure is the command's; of several it is kept, and the others go on. */
  private async guard(path: string, action: () => unknown): Promise<void> {
    try {
      await action();
    } catch (error) {
      if (this.paths.length === 1 || !(error instanceof SafeLoraError)) throw error;
      this.failed.set(path, error);
    }
  }
}
