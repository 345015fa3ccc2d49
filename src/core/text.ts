// Sentences that several surfaces say alike; their words come from whoever shows them, in the language of the editor.
import { type Selection } from './selection';

/** Puts values into a text's `{0}`, `{1}` …. */
export function format(text: string, ...values: (string | number)[]): string {
  return text.replace(/\{(\d+)\}/g, (_, index: string) => String(values[Number(index)]));
}

/** The words of a finding: selected modules, all modules, and the rule's number. */
export interface FindingTexts {
  threshold: string;
  count: string;
  all: string;
  /** Where modules were added or removed by hand. */
  byHand: string;
}

/** "3 of 12 modules at or below τ = 0.35" */
export function findingSum(selection: Selection, selected: number, modules: number, texts: FindingTexts): string {
  const { added, removed } = selection.overrides;
  if (added.length + removed.length > 0) return format(texts.byHand, selected, modules);
  if (selection.mode === 'threshold') {
    return format(texts.threshold, selected, modules, Number(selection.threshold.toFixed(6)));
  }
  return format(selected < selection.count ? texts.all : texts.count, selected, modules, selection.count);
}

/** With a true minus or a plus, unless it rounds to zero. */
export function signed(value: number | null, digits = 3): string {
  if (value === null || Number.isNaN(value)) return '–';
  const size = Math.abs(value).toFixed(digits);
  return Number(size) === 0 ? size : `${value < 0 ? '−' : '+'}${size}`;
}

export function decimal(value: number | null, digits = 3): string {
  return value === null || Number.isNaN(value) ? '–' : value.toFixed(digits);
}
