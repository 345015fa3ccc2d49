// A saved safe_lora_report.json as the lenses show it: anybody may have edited it, and what cannot be is not shown.
import { findNodeAtLocation, getNodeValue, type Node } from 'jsonc-parser';
import { isObject } from '../../core/objects';
import { type ModuleReport, type Report, REPORT_SCHEMA } from '../../core/report';
import { isSelection, type Selection } from '../../core/selection';
import { jsonTree } from '../json-tree';

/** As much of a report as the lenses show. */
export type ShownReport = Pick<Report, 'selection' | 'modules'> & { totals: Pick<Report['totals'], 'direction'> };

/** A report of 560 modules has 300 kB; a text far beyond is none, and parsing it would hold the host up. */
const MAX_LENGTH = 10_000_000;

/**
 * @returns with where each module begins in the text; null where the text is no whole report, or holds what no measurement gives
 */
export function readReportText(text: string): { report: ShownReport; offsets: number[] } | null {
  const root = jsonTree(text, MAX_LENGTH);
  if (root?.type !== 'object') return null;
  const at = (...path: string[]): Node | undefined => findNodeAtLocation(root, path);
  const valueAt = (...path: string[]): unknown => {
    const node = at(...path);
    // The parser's objects have no prototype.
    return node && structuredClone(getNodeValue(node) as unknown);
  };
  const [selection, direction] = [valueAt('selection'), valueAt('totals', 'direction')];
  const nodes = at('modules')?.children ?? [];
  const modules = nodes.map((node) => getNodeValue(node) as unknown);
  const isReport = valueAt('schema') === REPORT_SCHEMA && at('modules')?.type === 'array' && isWithin(direction, -1, 1);
  if (!isReport || !isSelection(selection) || !isRule(selection) || !modules.every(isModule)) return null;
  return { report: { selection, modules, totals: { direction } }, offsets: nodes.map(({ offset }) => offset) };
}

function isModule(value: unknown): value is ModuleReport {
  return (
    isObject(value) &&
    typeof value.name === 'string' &&
    typeof value.kind === 'string' &&
    (value.stack === null || typeof value.stack === 'string') &&
    typeof value.selected === 'boolean' &&
    [value.layer, value.expert].every((index) => isWithin(index, 0, Number.MAX_SAFE_INTEGER)) &&
    [value.similarity, value.nullSimilarity].every((measure) => isWithin(measure, 0, 1)) &&
    isWithin(value.direction, -1, 1)
  );
}

function isRule(selection: Selection): boolean {
  return selection.mode === 'count' ? Number.isSafeInteger(selection.count) : isWithin(selection.threshold, 0, 1);
}

/** True for null, too: what is not defined, or has no place. */
function isWithin(value: unknown, low: number, high: number): value is number | null {
  return value === null || (typeof value === 'number' && value >= low && value <= high);
}
