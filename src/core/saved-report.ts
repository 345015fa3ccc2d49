// A report read from a file: anybody may have edited it.
import { isObject } from './objects';
import { DEFAULT_REPLACEMENT, isReplacement } from './replacement';
import { type ModuleReport, type Report, REPORT_SCHEMA } from './report';
import { readSelection } from './rules';

/** Earlier versions named no replacement, since only one existed. */
const FIRST_SCHEMA = 'safe-lora/report@1';

/** @returns null unless every part that is shown or computed with has a valid type and range */
export function readReport(value: unknown): Report | null {
  if (!isObject(value)) return null;
  const isFirst = value.schema === FIRST_SCHEMA;
  const report = isFirst ? { ...value, schema: REPORT_SCHEMA, replacement: DEFAULT_REPLACEMENT } : value;
  return isSound(report) ? (report as unknown as Report) : null;
}

function isSound(value: Readonly<Record<string, unknown>>): boolean {
  return (
    value.schema === REPORT_SCHEMA &&
    isReplacement(value.replacement) &&
    [value.adapter, value.base, value.aligned].every((part) => isObject(part) && typeof part.name === 'string') &&
    readSelection(value.selection) !== null &&
    isObject(value.totals) &&
    isWithin(value.totals.direction, -1, 1) &&
    Array.isArray(value.modules) &&
    value.modules.every(isModule) &&
    Array.isArray(value.notices) &&
    value.notices.every(isNotice) &&
    (value.behaviour === undefined || isBehaviour(value.behaviour))
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

function isBehaviour(value: unknown): boolean {
  return (
    isObject(value) &&
    Array.isArray(value.sets) &&
    value.sets.every((set) => isObject(set) && typeof set.role === 'string' && isWithin(set.n, 0, 1e9)) &&
    Array.isArray(value.points) &&
    value.points.every(
      (point) =>
        isObject(point) &&
        isWithin(point.count, 0, Number.MAX_SAFE_INTEGER) &&
        [point.asr, point.overRefusal, point.utility].every(isFigure),
    )
  );
}

function isFigure(value: unknown): boolean {
  return value === null || (isObject(value) && typeof value.value === 'number' && Number.isFinite(value.value));
}

function isNotice(value: unknown): boolean {
  return (
    isObject(value) && [value.code, value.message].every((text) => typeof text === 'string') && isTexts(value.modules)
  );
}

/** Also true for null: undefined, or without a position. */
function isWithin(value: unknown, low: number, high: number): boolean {
  return value === null || (typeof value === 'number' && value >= low && value <= high);
}

function isText(value: unknown): boolean {
  return value === null || typeof value === 'string';
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((text) => typeof text === 'string');
}
