// Which modules are selected: a rule by what was measured, and what was added or removed by hand. A rule costs nothing to change, since it
// works on numbers that are there. Each is defined once, here; package.json and its texts say it to users.
import { type Measures } from './measure-names';
import { isObject } from './objects';
import { localised, format, type Translation } from './text';

export type SelectionRule = { mode: 'threshold'; threshold: number } | { mode: 'count'; count: number };
export type RuleMode = SelectionRule['mode'];

export type Selection = SelectionRule & {
  /** Modules added or removed by hand. */
  overrides: { added: string[]; removed: string[] };
};

/** The number that a rule is given by. */
export interface RuleNumber {
  kind: 'number' | 'integer';
  min: number;
  max: number;
  /** Taken where none is given. */
  usual: number;
}

/** What a rule knows of a module; a number is null where it is not measured or not defined. */
export interface Selectable extends Measures {
  name: string;
  /** False where projecting is undefined or was done before. */
  selectable: boolean;
}

/** A module that can be selected. */
export type Candidate = Selectable & { similarity: number };

interface RuleDefinition {
  number: RuleNumber;
  take: (candidates: readonly Candidate[], number: number) => readonly Candidate[];
  /** False for a candidate that the rule does not take, whatever the others are. */
  mayTake: (candidate: Candidate, number: number) => boolean;
  /** Where the rule parts the modules by similarity; null where that depends on them. */
  level: (number: number) => number | null;
  /** How many modules it asks for; null where it asks for no number of them. */
  asked: (number: number) => number | null;
}

/** As a count takes them: of equals the earlier one first. */
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
/** The rule where none is chosen. */
export const DEFAULT_MODE: RuleMode = 'threshold';

export function ruleNumber(mode: RuleMode): RuleNumber {
  return definitions[mode].number;
}

/** @param number without one, the usual */
export function ruleOf(mode: RuleMode, number = ruleNumber(mode).usual): SelectionRule {
  return { mode, [mode]: number } as unknown as SelectionRule;
}

/** With nothing added or removed by hand. */
export function selectionBy(rule: SelectionRule): Selection {
  return { ...rule, overrides: { added: [], removed: [] } };
}

function numberOf(rule: SelectionRule): number {
  return (rule as unknown as Record<RuleMode, number>)[rule.mode];
}

/** True for what the rule's number may be. */
export function fitsRule(mode: RuleMode, number: unknown): number is number {
  const { kind, min, max } = ruleNumber(mode);
  return (
    typeof number === 'number' && number >= min && number <= max && (kind === 'number' || Number.isSafeInteger(number))
  );
}

/** @returns null for a text that is not the rule's number */
export function parseRule(mode: RuleMode, text: string): SelectionRule | null {
  const isWritten = ruleNumber(mode).kind === 'integer' ? /^\d+$/.test(text) : text.trim() !== '';
  return isWritten && fitsRule(mode, Number(text)) ? ruleOf(mode, Number(text)) : null;
}

/** @returns null for what is no selection; files may hold anything */
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

/** The names of the selected modules. What was done by hand applies afterwards and reaches only modules that can be selected at all. */
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

/** False for a module that a selection does not take, whatever the others are. */
export function mayTake(selection: Selection, module: Selectable): boolean {
  const { added, removed } = selection.overrides;
  if (!isCandidate(module) || removed.includes(module.name)) return false;
  return added.includes(module.name) || definitions[selection.mode].mayTake(module, numberOf(selection));
}

/** The similarity at which a rule parts the modules; null where that depends on them. */
export function levelOf(rule: SelectionRule): number | null {
  return definitions[rule.mode].level(numberOf(rule));
}

/** More modules are asked for than there can be. @returns how many are asked for, else null */
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

/** Without the last digits of a sum of decimals, such as 0.1 + 0.2. */
function shownNumber(rule: SelectionRule): number {
  const number = numberOf(rule);
  return Number.isInteger(number) ? number : Number(number.toPrecision(6));
}

/** The texts of a finding: selected modules, all modules, and the rule's number. */
export interface FindingTexts extends RuleTexts {
  /** Where a rule takes every module, and would take more. */
  all: string;
  /** Where modules were added or removed by hand. */
  byHand: string;
}

export function findingTexts(l10n: Translation): FindingTexts {
  return {
    threshold: l10n.t('{0} of {1} modules at or below τ = {2}'),
    count: l10n.t('{0} of {1} modules, the {2} of lowest similarity'),
    all: l10n.t('{0} of {1} modules: fewer than K = {2} can be selected'),
    byHand: l10n.t('{0} of {1} modules selected'),
  };
}

/** As the command line and the exports say it. */
export const englishFindingTexts = findingTexts({ t: (text) => text });

/** "3 of 12 modules at or below τ = 0.35" */
export function findingSum(selection: Selection, selected: number, modules: number, texts: FindingTexts): string {
  const { added, removed } = selection.overrides;
  if (added.length + removed.length > 0) return format(texts.byHand, selected, modules);
  const text = excess(selection, selected) === null ? texts[selection.mode] : texts.all;
  return format(text, selected, modules, localised(shownNumber(selection)));
}
