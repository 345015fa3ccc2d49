// Walks a plan through the engine: every measurable module once, results as they come.
import { type Plan } from '../core/plan';
import { type Measured, type MeasuredModule, type ModuleFinding, refuseEqualModels } from '../core/report';
import { type Engine, type Job } from './pool';

export interface Progress {
  /** The module that just finished. */
  module: MeasuredModule;
  modulesDone: number;
  modulesTotal: number;
  /** Bytes of both models' weights. */
  bytesDone: number;
  bytesTotal: number;
  /** What was read for it: more than `bytesDone` where weights go through twice. */
  bytesRead: number;
}

export interface MeasureOptions {
  onProgress?: (progress: Progress) => void;
  /** Gives the walk up, which then rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Results of an earlier walk over the same plan, by module; they are not computed again. */
  known?: ReadonlyMap<string, ModuleFinding>;
}

/**
 * Measures every module of a plan. The first failure ends the walk.
 * @returns the modules in the plan's order
 */
export async function measurePlan(
  plan: Plan,
  engine: Engine,
  { onProgress, signal, known }: MeasureOptions = {},
): Promise<Measured> {
  const started = performance.now();
  const job: Job = {};
  const giveUp = (): void => {
    engine.cancel(job, signal!.reason as Error);
  };
  signal?.throwIfAborted();
  signal?.addEventListener('abort', giveUp, { once: true });
  const measurable = plan.modules.filter((module) => module.weights !== null && !known?.has(module.name));
  const bytesTotal = measurable.reduce((sum, { weights }) => sum + weights!.base.length + weights!.aligned.length, 0);
  let [modulesDone, bytesDone, bytesRead] = [0, 0, 0];
  try {
    const modules = await Promise.all(
      plan.modules.map(async (module): Promise<MeasuredModule> => {
        const earlier = known?.get(module.name);
        if (earlier) return { ...module, ...earlier };
        if (!module.weights) return { ...module, measurement: null, projected: null };
        const { name, shape, a, b, weights } = module;
        const result = await engine.compute({ name, shape, ...weights, updates: [{ a, b }] }, job);
        const finished = { ...module, ...result.updates[0]! };
        bytesRead += result.bytesRead;
        bytesDone += weights.base.length + weights.aligned.length;
        modulesDone++;
        onProgress?.({
          module: finished,
          modulesDone,
          modulesTotal: measurable.length,
          bytesDone,
          bytesTotal,
          bytesRead,
        });
        return finished;
      }),
    );
    refuseEqualModels(plan, modules);
    return { modules, bytesRead, seconds: (performance.now() - started) / 1000 };
  } catch (error) {
    engine.cancel(job, error as Error);
    throw error;
  } finally {
    signal?.removeEventListener('abort', giveUp);
  }
}
