// Runs plans through the engine: every measurable module once, for all adapters that share its weights; yields results as they arrive.
import { type Plan, type PlannedModule, remoteTensors } from '../core/plan';
import { type Measured, type MeasuredModule, type ModuleFinding, refuseEqualModels } from '../core/report';
import { DEFAULT_REPLACEMENT } from '../core/replacement';
import { type TensorInfo } from '../core/safetensors';
import { type Fetched, Fetching } from './fetching';
import { mostColumns } from './memory';
import { type Engine } from './pool';
import { valueOf } from './protocol';

export interface Progress extends Fetched {
  /** The module that just finished, and the index of its plan. */
  module: MeasuredModule;
  plan: number;
  modulesDone: number;
  modulesTotal: number;
  /** Bytes of both models' weights, counted once for all adapters. */
  bytesDone: number;
  bytesTotal: number;
  /** Bytes read for it: more than `bytesDone` if weights are read twice. */
  bytesRead: number;
}

export interface MeasureOptions {
  onProgress?: (progress: Progress) => void;
  /** Reports fetched weights; only if any must be fetched. */
  onFetched?: (fetched: Fetched) => void;
  /** Cancels the walk, which then rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Results of an earlier walk over the same plan, by module; not computed again. */
  known?: ReadonlyMap<string, ModuleFinding>;
  /** Whether to project a module, too; by default every one. */
  keep?: (module: MeasuredModule) => boolean;
}

/** The result of one of several plans. */
export type Outcome = { measured: Measured } | { failure: unknown };

/** One adapter's module among those in the same engine task. */
interface Part {
  plan: number;
  module: PlannedModule;
}

/** @throws the error that kept the plan from being measured */
export function measuredOf(outcome: Outcome): Measured {
  if ('failure' in outcome) throw outcome.failure;
  return outcome.measured;
}

/**
 * Measures the modules of several adapters in one pass over the weights that they share.
 * @returns each plan's result, in their order: adapters fail independently
 */
export async function measurePlans(
  plans: readonly Plan[],
  engine: Engine,
  { onProgress, onFetched, signal, known, keep = () => true }: MeasureOptions = {},
): Promise<Outcome[]> {
  const started = performance.now();
  const failed = new AbortController();
  const ended = AbortSignal.any([failed.signal, ...(signal ? [signal] : [])]);
  ended.throwIfAborted();
  const groups = groupsOf(plans, engine.workingMemory, (name) => known?.has(name) ?? false);
  const needed = new Set(groups.flatMap(weightsOf).map(({ path }) => path));
  const wanted = [...remoteTensors(plans)].map(
    ([model, tensors]) => [model, tensors.filter(({ path }) => needed.has(path))] as const,
  );
  const fetching = await Fetching.of(new Map(wanted), ended, (fetched) => onFetched?.(fetched));
  const modulesTotal = groups.reduce((sum, parts) => sum + parts.length, 0);
  const bytesTotal = groups.reduce((sum, parts) => sum + weightBytes(parts), 0);
  const findings = plans.map(() => new Map<string, MeasuredModule>());
  const failures = new Map<number, unknown>();
  const fail = (plan: number, error: unknown): void => {
    if (!failures.has(plan)) failures.set(plan, error);
  };
  const read = plans.map(() => 0);
  let [modulesDone, bytesDone, bytesRead] = [0, 0, 0];

  const compute = async (parts: readonly Part[]): Promise<void> => {
    const { name, shape, weights } = parts[0]!.module;
    const updates = parts.map(({ module: { a, b, scale } }) => ({ a, b, subtracted: scale < 0 }));
    await fetching.bring(...weightsOf(parts));
    const result = await engine.compute({ name, shape, ...weights!, updates, replacement: DEFAULT_REPLACEMENT }, ended);
    bytesRead += result.bytesRead;
    bytesDone += weightBytes(parts);
    parts.forEach(({ plan, module }, i) => {
      modulesDone++;
      read[plan]! += result.bytesRead / parts.length;
      let finished: MeasuredModule;
      try {
        finished = { ...module, ...valueOf(result.updates[i]!) };
      } catch (error) {
        fail(plan, error);
        return;
      }
      if (finished.projected && !keep(finished)) finished.projected = { ...finished.projected, bytes: null };
      findings[plan]!.set(module.name, finished);
      onProgress?.({
        module: finished,
        plan,
        modulesDone,
        modulesTotal,
        bytesDone,
        bytesTotal,
        bytesRead,
        ...fetching.fetched,
      });
    });
  };
  const walk = async (parts: readonly Part[]): Promise<void> => {
    try {
      await compute(parts);
    } catch (error) {
      if (ended.aborted) throw error;
      for (const { plan } of parts) fail(plan, error);
    }
    // Every plan has failed.
    if (failures.size === plans.length) failed.abort([...failures.values()].at(-1));
  };
  try {
    await Promise.all(groups.map(walk));
  } catch (error) {
    if (failures.size < plans.length) throw error;
  } finally {
    await fetching.release();
  }
  const seconds = (performance.now() - started) / 1000 / plans.length;
  return plans.map((plan, i): Outcome => {
    if (failures.has(i)) return { failure: failures.get(i) };
    const modules = plan.modules.map(
      (module): MeasuredModule =>
        findings[i]!.get(module.name) ?? {
          ...module,
          ...(known?.get(module.name) ?? { measurement: null, projected: null }),
        },
    );
    try {
      refuseEqualModels(plan, modules);
      return { measured: { modules, bytesRead: Math.round(read[i]!), seconds } };
    } catch (failure) {
      return { failure };
    }
  });
}

/** The modules of one task: one name, the same weights, as many as their columns allow. */
function groupsOf(plans: readonly Plan[], memory: number, isKnown: (name: string) => boolean): Part[][] {
  const groups: Part[][] = [];
  const open = new Map<string, { parts: Part[]; columns: number }>();
  plans.forEach(({ modules }, plan) => {
    for (const module of modules) {
      if (!module.weights || isKnown(module.name)) continue;
      const { base, aligned, transposed } = module.weights;
      const key = JSON.stringify([module.name, base.path, base.offset, aligned.path, aligned.offset, transposed]);
      let group = open.get(key);
      if (!group || group.columns + module.rank > mostColumns(memory, module.shape)) {
        group = { parts: [], columns: 0 };
        open.set(key, group);
        groups.push(group.parts);
      }
      group.parts.push({ plan, module });
      group.columns += module.rank;
    }
  });
  return groups;
}

function weightsOf([first]: readonly Part[]): TensorInfo[] {
  const { base, aligned } = first!.module.weights!;
  return [base, aligned];
}

function weightBytes(parts: readonly Part[]): number {
  return weightsOf(parts).reduce((sum, { length }) => sum + length, 0);
}
