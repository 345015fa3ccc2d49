// Walks a plan through the engine: every measurable module once, results as they come.
import { type Plan } from '../core/plan';
import { type Measured, type MeasuredModule, refuseEqualModels } from '../core/report';
import { type Engine } from './pool';

export interface Progress {
  /** The module that just finished. */
  module: MeasuredModule;
  modulesDone: number;
  modulesTotal: number;
  /** Bytes of both models' weights. */
  bytesDone: number;
  bytesTotal: number;
}

/**
 * Measures every module of a plan. The first failure ends the walk.
 * @returns the modules in the plan's order
 */
export async function measurePlan(
  plan: Plan,
  engine: Engine,
  onProgress?: (progress: Progress) => void,
): Promise<Measured> {
  const started = performance.now();
  const measurable = plan.modules.filter((module) => module.weights !== null);
  const bytesTotal = measurable.reduce((sum, { weights }) => sum + weights!.base.length + weights!.aligned.length, 0);
  let [modulesDone, bytesDone, bytesRead] = [0, 0, 0];
  const modules = await Promise.all(
    plan.modules.map(async (module): Promise<MeasuredModule> => {
      if (!module.weights) return { ...module, measurement: null, projected: null };
      const { name, shape, a, b, weights } = module;
      const result = await engine.compute({ name, shape, ...weights, updates: [{ a, b }] });
      const finished = { ...module, ...result.updates[0]! };
      bytesRead += result.bytesRead;
      bytesDone += weights.base.length + weights.aligned.length;
      modulesDone++;
      onProgress?.({ module: finished, modulesDone, modulesTotal: measurable.length, bytesDone, bytesTotal });
      return finished;
    }),
  );
  refuseEqualModels(plan, modules);
  return { modules, bytesRead, seconds: (performance.now() - started) / 1000 };
}
