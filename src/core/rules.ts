// Selects modules: by a rule on the measurements, and by hand. Changing a rule is free, since it uses existing numbers. Each is defined
// once, here; package.json and its texts describe it to users.
import { type Measures } from './measure-names';
import { isObject } from './objects';
import { localised, format, type Translation } from './text';

export type SelectionRule = { mode: 'threshold'; threshold: number } | { mode: 'count'; count: number };
export type RuleMode = SelectionRule['mode'];

export type Selection = SelectionRule & {
  /** Modules added or removed by hand. */
  overrides: { added: string[]; removed: string[] };
};

/** The rule's number. */
export interface RuleNumber {
  kind: 'number' | 'integer';
  min: number;
  max: number;
  /** Used if none is given. */
  usual: number;
}

/** A rule's input for a module; a number is null if not measured or undefined. */
export interface Selectable extends Measures {
  name: string;
  /** False if projecting is undefined or already done. */
  selectable: boolean;
}

/** A module that can be selected. */
export type Candidate = Selectable & { similarity: number };

interface RuleDefinition {
  number: RuleNumber;
  take: (candidates: readonly Candidate[], number: number) => readonly Candidate[];
  /** False for a candidate that the rule rejects, whatever the others are. */
  mayTake: (candidate: Candidate, number: number) => boolean;
  /** The rule's similarity threshold; null if it depends on the modules. */
  level: (number: number) => number | null;
  /** How many modules it requests; null if it requests no fixed number. */
  asked: (number: number) => number | null;
}

/** Order for counts: of equals the earlier one first. */
export function byRisingSimilarity(candidates: readonly Candidate[]): Candidate[] {
  return candidates.toSorted((a, b) => a.similarity - b.similarity);
}

const definitions: Readonly<Record<RuleMode, RuleDefinition>> = {
  /** Those at or below it. 0.35 is the paper's for Llama-2 (arXiv 2405.16833, §4); the level that fits depends on V. */
  threshold: {
    number: { kind: 'number', min: 0, max: 1, usual: 0.35 },
    take: (candidates, threshold) => candidates.filter(({ similarity }) => similarity <= threshold),
    mayTake: ({ similarity }, threshold) => similarity <= threshold,
    level: (threshold) => threshold,
    asked: () => null,
  },
  /** The lowest. */
  count: {
    number: { kind: 'integer', min: 1, max: Infinity, usual: 8 },
    take: (candidates, count) => byRisingSimilarity(candidates).slice(0, count),
    mayTake: () => true,
    level: () => null,
    asked: (count) => count,
  },
};

export const ruleModes = Object.keys(definitions) as readonly RuleMode[];
/** The default rule. */
export const DEFAULT_MODE: RuleMode = 'threshold';

export function ruleNumber(mode: RuleMode): RuleNumber {
  return definitions[mode].number;
}

/** @param number defaults to the usual one */
export function ruleOf(mode: RuleMode, number = ruleNumber(mode).usual): SelectionRule {
  return { mode, [mode]: number } as unknown as SelectionRule;
}

/** Without manual changes. */
export function selectionBy(rule: SelectionRule): Selection {
  return { ...rule, overrides: { added: [], removed: [] } };
}

/** Selects so many modules with the lowest similarity. The rule has at least 1, so that none is a threshold. */
export function selectionOfCount(count: number): Selection {
  return selectionBy(count === 0 ? ruleOf('threshold', 0) : ruleOf('count', count));
}

function numberOf(rule: SelectionRule): number {
  return (rule as unknown as Record<RuleMode, number>)[rule.mode];
}

/** True for a valid number of the rule. */
export function fitsRule(mode: RuleMode, number: unknown): number is number {
  const { kind, min, max } = ruleNumber(mode);
  return (
    typeof number === 'number' && number >= min && number <= max && (kind === 'number' || Number.isSafeInteger(number))
  );
}

/** @returns null for text that is no valid number of the rule */
export function parseRule(mode: RuleMode, text: string): SelectionRule | null {
  const isWritten = ruleNumber(mode).kind === 'integer' ? /^\d+$/.test(text) : text.trim() !== '';
  return isWritten && fitsRule(mode, Number(text)) ? ruleOf(mode, Number(text)) : null;
}

/** @returns null for an invalid selection; files may contain anything */
export function readSelection(value: unknown): Selection | null {
  if (!isObject(value) || !isObject(value.overrides)) return null;
  const { added, removed } = value.overrides;
  const mode = ruleModes.find((known) => known === value.mode);
  if (mode === undefined || !fitsRule(mode, value[mode]) || !areNames(added) || !areNames(removed)) return null;
  return { ...ruleOf(mode, value[mode]), overrides: { added, removed } };
}

function areNames(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((name) => typeof name === 'string');
}

/** The names of the selected modules. Manual changes apply afterwards, and only to selectable modules. */
export function select(modules: readonly Selectable[], selection: Selection): Set<string> {
  const candidates = modules.filter(isCandidate);
  const taken = definitions[selection.mode].take(candidates, numberOf(selection));
  const names = new Set(taken.map((module) => module.name));
  const [added, removed] = [new Set(selection.overrides.added), new Set(selection.overrides.removed)];
  for (const { name } of candidates) {
    if (added.has(name)) names.add(name);
    if (removed.has(name)) names.delete(name);
  }
  return names;
}

export function isCandidate(module: Selectable): module is Candidate {
  return module.selectable && module.similarity !== null;
}

/** False for a module that a selection rejects, whatever the others are. */
export function mayTake(selection: Selection, module: Selectable): boolean {
  const { added, removed } = selection.overrides;
  if (!isCandidate(module) || removed.includes(module.name)) return false;
  return added.includes(module.name) || definitions[selection.mode].mayTake(module, numberOf(selection));
}

/** The similarity threshold of a rule; null if it depends on the modules. */
export function levelOf(rule: SelectionRule): number | null {
  return definitions[rule.mode].level(numberOf(rule));
}

/** Detects requests for too many modules. @returns how many are requested, else null */
export function excess(rule: SelectionRule, candidates: number): number | null {
  const asked = definitions[rule.mode].asked(numberOf(rule));
  return asked !== null && asked > candidates ? asked : null;
}

/** A text by rule. */
export type RuleTexts = Readonly<Record<RuleMode, string>>;

/** @param texts with the rule's number as {0} */
export function ruleText(rule: SelectionRule, texts: RuleTexts): string {
  return format(texts[rule.mode], localised(shownNumber(rule)));
}

/** Without rounding errors of decimal sums, such as 0.1 + 0.2. */
function shownNumber(rule: SelectionRule): number {
  const number = numberOf(rule);
  return Number.isInteger(number) ? number : Number(number.toPrecision(6));
}

/** The texts of a finding: selected modules, all modules, and the rule's number. */
export interface FindingTexts extends RuleTexts {
  /** For a rule that takes every module, and would take more. */
  all: string;
  /** For selections with manual changes. */
  byHand: string;
}

export function findingTexts(l10n: Translation): FindingTexts {
  return {
    threshold: l10n.t('{0} of {1} modules at or below τ = {2}'),
    count: l10n.t('{0} of {1} modules, those with the lowest similarity'),
    all: l10n.t('{0} of {1} modules: fewer than K = {2} can be selected'),
    byHand: l10n.t('{0} of {1} modules selected'),
  };
}

/** As the command line and the exports show it. */
export const englishFindingTexts = findingTexts({ t: (text) => text });

/** "3 of 12 modules at or below τ = 0.35" */
export function findingSum(selection: Selection, selected: number, modules: number, texts: FindingTexts): string {
  const { added, removed } = selection.overrides;
  if (added.length + removed.length > 0) return format(texts.byHand, selected, modules);
  const text = excess(selection, selected) === null ? texts[selection.mode] : texts.all;
  return format(text, selected, modules, localised(shownNumber(selection)));
}
