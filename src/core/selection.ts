// Which modules are projected. Every rule works on measured similarities alone, so that a change of threshold costs nothing.
import { isObject } from './objects';

/** The paper's threshold for Llama-2 (arXiv 2405.16833, §4). The level that fits depends on V. */
export const DEFAULT_THRESHOLD = 0.35;

export type SelectionRule = { mode: 'threshold'; threshold: number } | { mode: 'count'; count: number };

export type Selection = SelectionRule & {
  /** Modules added or removed by hand. */
  overrides: { added: string[]; removed: string[] };
};

/** What a rule needs to know of a module. */
export interface Selectable {
  name: string;
  similarity: number | null;
  /** False where projecting is undefined or was done before. */
  selectable: boolean;
}

/**
 * The names of the selected modules: those at or below the threshold, or the `count` lowest (the earlier one of equals).
 * Overrides apply afterwards and reach only modules that can be selected at all.
 */
export function select(modules: readonly Selectable[], selection: Selection): Set<string> {
  const candidates = modules.filter(
    (module): module is Selectable & { similarity: number } => module.selectable && module.similarity !== null,
  );
  const ruled =
    selection.mode === 'threshold'
      ? candidates.filter((module) => module.similarity <= selection.threshold)
      : candidates.toSorted((a, b) => a.similarity - b.similarity).slice(0, selection.count);
  const names = new Set(ruled.map((module) => module.name));
  const [added, removed] = [new Set(selection.overrides.added), new Set(selection.overrides.removed)];
  for (const { name } of candidates) {
    if (added.has(name)) names.add(name);
    if (removed.has(name)) names.delete(name);
  }
  return names;
}

/** False for a module that a selection does not take, whatever the others are. */
export function mayTake(selection: Selection, name: string, similarity: number | null): boolean {
  if (similarity === null || selection.overrides.removed.includes(name)) return false;
  const { mode, overrides } = selection;
  return mode === 'count' || similarity <= selection.threshold || overrides.added.includes(name);
}

/** True for what can be used as a selection; files may hold anything, also numbers that JSON cannot give back. */
export function isSelection(value: unknown): value is Selection {
  if (!isObject(value) || !isObject(value.overrides)) return false;
  const { added, removed } = value.overrides;
  const names = [added, removed].every((list) => Array.isArray(list) && list.every((name) => typeof name === 'string'));
  const { mode, threshold, count } = value;
  return names && (mode === 'threshold' ? Number.isFinite(threshold) : mode === 'count' && Number.isSafeInteger(count));
}

/** A selection from a file without what else stands there. */
export function plainSelection(selection: Selection): Selection {
  const overrides = { added: selection.overrides.added, removed: selection.overrides.removed };
  return selection.mode === 'threshold'
    ? { mode: 'threshold', threshold: selection.threshold, overrides }
    : { mode: 'count', count: selection.count, overrides };
}
