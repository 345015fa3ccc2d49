// A report that was read from a file: anybody may have edited it.
import { isObject } from './objects';
import { type ModuleReport, type Report, REPORT_SCHEMA } from './report';
import { isSelection, type Selection } from './selection';

/** True where every part that is shown or computed with has the type and the range that this tool writes. */
export function isReport(value: unknown): value is Report {
  return (
    isObject(value) &&
    value.schema === REPORT_SCHEMA &&
    [value.adapter, value.base, value.aligned].every((part) => isObject(part) && typeof part.name === 'string') &&
    isSelection(value.selection) &&
    isRule(value.selection) &&
    isObject(value.totals) &&
    isWithin(value.totals.direction, -1, 1) &&
    Array.isArray(value.modules) &&
    value.modules.every(isModule) &&
    Array.isArray(value.notices) &&
    value.notices.every(isNotice)
  );
}

function isModule(value: unknown): value is ModuleReport {
  return (
    isObject(value) &&
    typeof value.name === 'string' &&
    typeof value.kind === 'string' &&
    isText(value.stack) &&
    isText(value.notice) &&
    typeof value.selected === 'boolean' &&
    [value.layer, value.expert].every((index) => isWithin(index, 0, Number.MAX_SAFE_INTEGER)) &&
    [value.similarity, value.nullSimilarity].every((measure) => isWithin(measure, 0, 1)) &&
    isWithin(value.direction, -1, 1) &&
    [value.nullSpread, value.gain, value.alignmentNorm, value.updateNorm, value.participationRatio].every((measure) =>
      isWithin(measure, 0, Number.MAX_VALUE),
    )
  );
}

function isNotice(value: unknown): boolean {
  return isObject(value) && [value.code, value.message].every((text) => typeof text === 'string') && isTexts(value.modules); // prettier-ignore
}

function isRule(selection: Selection): boolean {
  return selection.mode === 'count' ? Number.isSafeInteger(selection.count) : isWithin(selection.threshold, 0, 1);
}

/** True for null, too: what is not defined, or has no place. */
function isWithin(value: unknown, low: number, high: number): boolean {
  return value === null || (typeof value === 'number' && value >= low && value <= high);
}

function isText(value: unknown): boolean {
  return value === null || typeof value === 'string';
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((text) => typeof text === 'string');
}
