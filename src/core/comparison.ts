// Two reports side by side, module by module.
import { comparePositions, type Position, positions } from './naming';
import { type ModuleReport, type Report } from './report';

/** A module that either adapter has. */
export interface ComparedModule extends Position {
  name: string;
  /** Null if the adapter lacks the module. */
  a: ModuleReport | null;
  b: ModuleReport | null;
}

/** The modules of both, paired by name, in the order of a model. */
export function alignModules(a: readonly ModuleReport[], b: readonly ModuleReport[]): ComparedModule[] {
  const [ofA, ofB] = [a, b].map((modules) => new Map(modules.map((module) => [module.name, module])));
  // The length of a kind's name depends on all modules around it, so it may differ between the reports.
  return [...positions([...new Set([...ofA!.keys(), ...ofB!.keys()])])]
    .map(([name, position]) => ({ name, ...position, a: ofA!.get(name) ?? null, b: ofB!.get(name) ?? null }))
    .sort(comparePositions);
}

/** Whether two adapters were measured on the same base and the same aligned model. */
export function onSameModels(a: Pick<Report, 'base' | 'aligned'>, b: Pick<Report, 'base' | 'aligned'>): boolean {
  return a.base.path === b.base.path && a.aligned.path === b.aligned.path;
}
