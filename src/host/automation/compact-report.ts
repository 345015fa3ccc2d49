// A report for a language model: few characters, rounded numbers, the most important modules first.
import { type NoticeCode } from '../../core/errors';
import { type ModuleReport, noticesUnder, type Report, selectedIn } from '../../core/report';
import { type Selection } from '../../core/rules';

/** About 8 kB of rows; a model that needs more asks with another selection. */
export const MOST_ROWS = 100;

const COLUMNS = ['module', 'similarity', 'null', 'direction', 'gain', 'selected'] as const;
const NOTE =
  'similarity (0 to 1) is how far the update B·A of a module lies in the directions of the aligned model minus its base; ' +
  'it does not say what the model does or whether it is harmful, so read it beside null (what a random update of that module would have) and direction (negative: the update works against the alignment).';

export interface CompactReport {
  adapter: string;
  base: string;
  aligned: string;
  selection: object;
  totals: { modules: number; selected: number; direction: number | null };
  columns: readonly string[];
  modules: (string | number | boolean | null)[][];
  /** Omitted modules; those with the higher similarity. */
  leftOut?: number;
  /** Modules whose weights in the file are projected. */
  projected: { modules: number; names: string[] };
  notices: { code: NoticeCode; message: string }[];
  note: string;
}

/**
 * @param adapter its name
 * @param selection may differ from the report's own
 * @param projected modules whose weights in the file are projected
 */
export function compactReport(
  adapter: string,
  report: Report,
  selection: Selection,
  projected: readonly string[],
): CompactReport {
  const selected = selectedIn(report, selection);
  const rows = report.modules
    .toSorted(
      (a, b) =>
        Number(selected.has(b.name)) - Number(selected.has(a.name)) ||
        (a.similarity ?? Infinity) - (b.similarity ?? Infinity),
    )
    .slice(0, MOST_ROWS);
  const leftOut = report.modules.length - rows.length;
  return {
    adapter,
    base: report.base.name,
    aligned: report.aligned.name,
    selection: compactSelection(selection),
    totals: {
      modules: report.totals.modules,
      selected: selected.size,
      direction: rounded(report.totals.direction),
    },
    columns: COLUMNS,
    modules: rows.map((module) => row(module, selected.has(module.name))),
    ...(leftOut > 0 ? { leftOut } : {}),
    projected: { modules: projected.length, names: projected.slice(0, MOST_ROWS) },
    notices: compactNotices(report, selection),
    note: NOTE,
  };
}

export function compactSelection(selection: Selection): object {
  const { mode: _, overrides, ...rule } = selection;
  const { added, removed } = overrides;
  return {
    ...rule,
    ...(added.length > 0 ? { added } : {}),
    ...(removed.length > 0 ? { removed } : {}),
  };
}

export function compactNotices(report: Report, selection: Selection): CompactReport['notices'] {
  return noticesUnder(report, selection).map(({ code, message }) => ({ code, message }));
}

function row(module: ModuleReport, selected: boolean): (string | number | boolean | null)[] {
  const { name, similarity, nullSimilarity, direction, gain } = module;
  return [name, rounded(similarity), rounded(nullSimilarity), rounded(direction), rounded(gain), selected];
}

/** To four digits: more than two devices agree on. */
export function rounded<T extends number | null>(value: T): T {
  return (value === null ? null : Number(value.toPrecision(4))) as T;
}
