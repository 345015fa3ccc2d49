// Modules for an engine: those of the sample.
import { join } from 'node:path';
import { openAdapter } from '../../src/core/adapter';
import { openCheckpoint } from '../../src/core/checkpoint';
import { makePlan } from '../../src/core/plan';
import { type ModuleTask } from '../../src/engine/protocol';
import { sample } from '../fixtures/make';

export async function sampleTasks(): Promise<ModuleTask[]> {
  const [base, aligned] = [await openCheckpoint(join(sample, 'base')), await openCheckpoint(join(sample, 'aligned'))];
  const { modules } = makePlan(await openAdapter(join(sample, 'adapters', 'mixed-all')), base, aligned);
  return modules.map(({ name, shape, weights, a, b }) => ({
    name,
    shape,
    ...weights!,
    updates: [{ a, b }],
    replacement: 'safe-lora',
  }));
}
