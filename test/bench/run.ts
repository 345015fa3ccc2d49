// Runs cases one after the other; the files of a model go when its last case is done, so that only one model's take place.
import { type CaseSpec } from './cases';
import { type CaseResult, cpuSetup, type EngineSetup, measureCase } from './measure';
import { type Workspace } from './workspace';

export async function runCases(
  specs: readonly CaseSpec[],
  workspace: Workspace,
  { keep, log, setup = cpuSetup }: { keep: boolean; log: (line: string) => void; setup?: EngineSetup },
): Promise<CaseResult[]> {
  const results: CaseResult[] = [];
  for (const [i, spec] of specs.entries()) {
    const started = performance.now();
    const elapsed = (): string => `${((performance.now() - started) / 1000).toFixed(0)} s`;
    const tasks = await workspace.tasks(spec);
    log(`${spec.name}: files made in ${elapsed()}`);
    results.push(await measureCase(spec, tasks, setup));
    log(`${spec.name}: measured after ${elapsed()}`);
    if (!keep && specs[i + 1]?.model !== spec.model) workspace.removeModel(spec.model);
  }
  return results;
}
