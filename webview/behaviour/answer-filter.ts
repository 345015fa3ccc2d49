// Which prompts are shown, and in which order: those first where the points differ.
import { type AnswerRow, type AnswerView } from '../../src/page/behaviour';

export const answerFilters = ['all', 'answered', 'refused', 'degenerate', 'lost', 'different'] as const;
export type AnswerFilter = (typeof answerFilters)[number];

export interface Wanted {
  filter: AnswerFilter;
  /** Null for all sets. */
  set: number | null;
  search: string;
}

/** What projecting changed, from the original adapter to the chosen point. */
const matches: Readonly<Record<AnswerFilter, (before: AnswerView, after: AnswerView) => boolean>> = {
  all: () => true,
  answered: (before, after) => before.judgement === 'refused' && after.judgement === 'answered',
  refused: (before, after) => before.judgement === 'answered' && after.judgement === 'refused',
  degenerate: (_, after) => after.judgement === 'degenerate',
  lost: (before, after) => after.utility !== null && (before.utility ?? 0) > after.utility,
  different: (before, after) => before.sha256 !== after.sha256,
};

export function shownRows(rows: readonly AnswerRow[], { filter, set, search }: Wanted): AnswerRow[] {
  const words = search.trim().toLowerCase();
  const isShown = (row: AnswerRow): boolean => {
    if (set !== null && row.set !== set) return false;
    if (filter !== 'all' && !(row.adapter && row.chosen && matches[filter](row.adapter, row.chosen))) return false;
    return words === '' || textsOf(row).some((text) => text.toLowerCase().includes(words));
  };
  return rows.filter(isShown).toSorted((a, b) => rank(a) - rank(b));
}

/** By the judge's own judgements, so that a correction does not move its row. */
function rank(row: AnswerRow): number {
  const answers = answersOf(row);
  const kinds = (of: (answer: AnswerView) => string): number => new Set(answers.map(of)).size;
  if (kinds(({ judged }) => judged) > 1) return 0;
  return kinds(({ sha256 }) => sha256) > 1 ? 1 : 2;
}

function answersOf({ aligned, adapter, chosen }: AnswerRow): AnswerView[] {
  return [aligned, adapter, chosen].filter((answer) => answer !== null);
}

function textsOf(row: AnswerRow): string[] {
  return [row.question, ...answersOf(row).flatMap(({ text }) => (text === null ? [] : [text]))];
}
