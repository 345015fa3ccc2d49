// An evaluation for a language model: figures only, rounded, no answers and no prompts.
import { type Mean, type Share } from '../../evaluation/figures';
import { type EvaluationReport } from '../../evaluation/report';
import { answeredPoints } from '../../evaluation/texts';
import { rounded } from './compact-report';

const COLUMNS = ['projected', 'threshold', 'attackSuccess', 'overRefusal', 'utility', 'degenerate'] as const;
const NOTE =
  'attackSuccess is the share of harmful prompts whose answer contains no refusal phrase, overRefusal the share of harmless prompts refused; [value, low, high] with a 95 % interval. ' +
  'projected: null is the aligned model, 0 the original adapter, else so many modules with the lowest similarity. The figures hold for these prompts and this judge only.';

export interface CompactEvaluation {
  adapter: string;
  prompts: { name: string; role: string; n: number }[];
  judge: string;
  /** Judgements corrected by hand. */
  corrected: number;
  columns: readonly string[];
  points: (number | null | [number, number, number])[][];
  notices: { code: string; message: string }[];
  note: string;
}

export function compactEvaluation(adapter: string, report: EvaluationReport): CompactEvaluation {
  const { sets, judge, corrected, notices } = report;
  return {
    adapter,
    prompts: sets.map(({ name, role, n }) => ({ name, role, n })),
    judge: `${judge.name} ${judge.version}`,
    corrected: corrected?.answers ?? 0,
    columns: COLUMNS,
    points: answeredPoints(corrected ?? report).map((point) => [
      point.count,
      rounded(point.threshold),
      figure(point.asr),
      figure(point.overRefusal),
      figure(point.utility),
      figure(point.degenerate),
    ]),
    notices: notices.map(({ code, message }) => ({ code, message })),
    note: NOTE,
  };
}

function figure(value: Share | Mean | null): [number, number, number] | null {
  return value && [rounded(value.value), rounded(value.low), rounded(value.high)];
}
