// Measures an adapter's projected modules as they are now, in the same way as any others.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { refuseOutdated } from '../core/identity';
import { type Plan } from '../core/plan';
import { type MeasuredModule, totalDirection } from '../core/report';
import { openSafetensors } from '../core/safetensors';
import { writeSafetensors } from '../core/safetensors-writer';
import { type Device } from '../engine/providers';
import { measuredOf } from '../engine/run';
import { measureTogether, prepare } from './measure';
import { type Ports, type Services } from './services';

export interface ProjectionNumbers {
  /** The projected modules. */
  modules: readonly MeasuredModule[];
  /** The cosine of the whole update with the whole alignment, including other modules. */
  direction: number | null;
}

/**
 * Measures only the projected modules. Copies A and B of each first, so that the adapter may be saved meanwhile.
 * @param measured every module of the plan, with its original numbers
 * @param tensors the projected lora_B's bytes, by module
 * @throws SafeLoraError; the signal's reason
 */
export async function measureProjection(
  plan: Plan,
  measured: readonly MeasuredModule[],
  tensors: ReadonlyMap<string, Uint8Array>,
  requested: Device,
  services: Services,
  ports: Ports,
): Promise<ProjectionNumbers> {
  const folder = await mkdtemp(join(tmpdir(), 'safe-lora-projection-'));
  try {
    const projected = await projectedPlan(plan, tensors, join(folder, 'projected.safetensors'));
    const device = await prepare([projected], requested, services, ports);
    const [outcome] = await measureTogether([projected], device, services, { ...ports, keep: () => false });
    const { modules } = measuredOf(outcome!);
    const now = new Map(modules.map((module) => [module.name, module]));
    return { modules, direction: totalDirection(measured.map((module) => now.get(module.name) ?? module)) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function projectedPlan(plan: Plan, tensors: ReadonlyMap<string, Uint8Array>, path: string): Promise<Plan> {
  const modules = plan.modules.filter(({ name }) => tensors.has(name));
  const sources = modules.flatMap(({ name, a, b }, i) => [
    { name: `${i}.a`, dtype: a.dtype, shape: a.shape, from: a },
    { name: `${i}.b`, dtype: b.dtype, shape: b.shape, from: tensors.get(name)! },
  ]);
  await writeSafetensors(path, sources, new Map());
  // A file that was replaced meanwhile may have its tensors elsewhere.
  await refuseOutdated(plan.adapter);
  const file = await openSafetensors(path);
  const stored = (name: string) => file.tensors.get(name)!;
  return {
    ...plan,
    modules: modules.map((module, i) => ({ ...module, a: stored(`${i}.a`), b: stored(`${i}.b`) })),
  };
}
