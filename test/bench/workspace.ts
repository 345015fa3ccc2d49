// The temporary folder with the cases' files: made when first needed, removed when the last case of a model is done.
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openAdapter } from '../../src/core/adapter';
import { openCheckpoint } from '../../src/core/checkpoint';
import { makePlan, type Plan } from '../../src/core/plan';
import { type ModuleTask } from '../../src/engine/protocol';
import { type CaseSpec } from './cases';
import { moduleName, type ModelSpec, type Pair, Values, writeAdapter, writePair } from './data';

const SEED = 5;

export class Workspace {
  readonly folder = mkdtempSync(join(realpathSync(tmpdir()), 'safe-lora-bench-'));
  private readonly pairs = new Map<ModelSpec, Pair>();
  private readonly adapters = new Set<string>();

  /** The tasks of a case, through the same opening and planning as the command line's. */
  async tasks(spec: CaseSpec): Promise<ModuleTask[]> {
    const pair = await this.pair(spec.model);
    const base = await openCheckpoint(pair.base);
    const aligned = await openCheckpoint(pair.aligned);
    const plans: Plan[] = [];
    const values = Values.updates(SEED);
    for (let i = 0; i < spec.adapters; i++) {
      plans.push(makePlan(await openAdapter(await this.adapter(spec, i, pair, values)), base, aligned));
    }
    // Adapters of one case have the same modules, so their plans have the same order.
    return plans[0]!.modules.map(({ name, shape, weights }, at) => ({
      name,
      shape,
      ...weights!,
      updates: plans.map(({ modules }) => ({ a: modules[at]!.a, b: modules[at]!.b })),
      replacement: 'safe-lora',
    }));
  }

  removeModel({ name }: ModelSpec): void {
    rmSync(join(this.folder, name), { recursive: true, force: true });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }

  private async pair(model: ModelSpec): Promise<Pair> {
    const known = this.pairs.get(model);
    if (known) return known;
    const pair = await writePair(join(this.folder, model.name), model, SEED);
    this.pairs.set(model, pair);
    return pair;
  }

  private async adapter(spec: CaseSpec, index: number, pair: Pair, values: Values): Promise<string> {
    const { model, layers, kinds } = spec;
    const folder = join(this.folder, model.name, `adapter-${layers}x${kinds.length}-${index}`);
    if (this.adapters.has(folder)) return folder;
    const modules = Array.from({ length: layers }, (_, layer) =>
      kinds.map((kind) => ({ name: moduleName(layer, kind), shape: model.kinds[kind]! })),
    ).flat();
    await writeAdapter(folder, modules, pair.aligned, values, 1000 * index);
    this.adapters.add(folder);
    return folder;
  }
}
