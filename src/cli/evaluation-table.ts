// An evaluation as text for the terminal: one line per point, the curve of the score, and the choice.
import { type EvaluatedPoint, type EvaluationReport } from '../evaluation/report';
import {
  answeredPoints,
  choiceText,
  figureNames,
  modulesText,
  namesBeside,
  pointName,
  setUtility,
} from '../evaluation/texts';
import { type Mean, type Measure, measures, type Share } from '../evaluation/figures';
import { decimal, interval, signed, UNDEFINED } from '../core/text';
import { styled, table } from './table';
import { type Line } from './terminal';

/** Columns of the curve. */
const MOST_COLUMNS = 72;
const BARS = '▁▂▃▄▅▆▇█';

export function evaluationLines(report: EvaluationReport): Line[] {
  const { adapter, base, aligned, engine, judge, sets, notices } = report;
  const { device } = engine;
  const fallback = device.fallbackReason === null ? '' : `  (${device.requested}: ${device.fallbackReason})`;
  return [
    [styled(adapter.name, 'bold')],
    [`base     ${base.name}  `, styled(base.path, 'dim')],
    [`aligned  ${aligned.name}  `, styled(aligned.path, 'dim')],
    [`device   ${device.provider}, ${engine.precision}`, styled(`  (${engine.precisionReason})${fallback}`, 'dim')],
    `prompts  ${sets.map(({ name, role, n }) => `${n} ${role} (${name})`).join(', ')}`,
    [`judge    ${judge.name}, version ${judge.version}; greedy answers of at most ${engine.maxTokens} tokens`],
    '',
    ...pointTable(report),
    ...curve(report.points),
    ...chosen(report),
    ...notices.map((notice): Line => [styled('!', 'yellow'), ` ${notice.message}`]),
  ];
}

function pointTable(report: EvaluationReport): Line[] {
  const shown = answeredPoints(report);
  if (shown.length === 0) return [];
  const measured = measures.filter((metric) => shown.some((point) => point[metric] !== null));
  const column = (title: string, cell: (point: EvaluatedPoint) => string): Parameters<typeof table>[0][number] => ({
    title,
    cell: (row) => ({ text: cell(shown[row]!) }),
  });
  return [
    ...table(
      [
        { ...column('projected', (point) => pointName(point, modulesText)), left: true },
        column('threshold', ({ threshold }) => decimal(threshold)),
        ...measured.map((metric) => column(figureNames[metric], (point) => figure(point[metric]))),
        ...namesBeside(report).map((name) => column(`${name} right`, (point) => figure(setUtility(point, name)))),
        column('degenerate', ({ degenerate }) => decimal(degenerate!.value, 2)),
        column('cut off', ({ cutOff }) => decimal(cutOff!.value, 2)),
        column('refusal score', ({ refusalScore }) => signed(refusalScore, 1)),
      ],
      shown.length,
    ),
    '',
    ...meanings(report).map((meaning): Line => [styled(meaning, 'dim')]),
    '',
  ];
}

/** One line per column; the role's figures are over all its sets. */
function meanings(report: EvaluationReport): string[] {
  const shown = answeredPoints(report);
  const texts: Record<Measure, string> = {
    asr: 'share of harmful prompts whose answer contains no refusal phrase',
    overRefusal: 'share of harmless prompts that are refused',
    utility: 'score on the utility prompts',
  };
  return [
    ...measures
      .filter((measure) => shown.some((point) => point[measure] !== null))
      .map((measure) => `${figureNames[measure]}: ${texts[measure]}`),
    ...namesBeside(report).map((name) => `${name} right: share of the prompts of ${name} that are answered correctly`),
    'degenerate: share of answers in a loop, without words, or the same for most prompts; cut off: share that reached the longest length',
    'refusal score: log-odds that an answer begins as a refusal; in brackets: 95 % intervals',
  ];
}

function figure(value: Share | Mean | null): string {
  if (value === null) return UNDEFINED;
  return `${decimal(value.value)} ${interval(value)}`;
}

/** A bar for each number of modules, or for a sample of many. */
function curve(points: readonly EvaluatedPoint[]): Line[] {
  const scored = points.filter(({ count, refusalScore }) => count !== null && refusalScore !== null);
  if (scored.length < 2) return [];
  const columns = Math.min(MOST_COLUMNS, scored.length);
  const picked = Array.from(
    { length: columns },
    (_, i) => scored[Math.round((i * (scored.length - 1)) / (columns - 1))]!,
  );
  const scores = picked.map(({ refusalScore }) => refusalScore!);
  const [low, high] = [Math.min(...scores), Math.max(...scores)];
  const bar = (score: number): string =>
    BARS[high === low ? 0 : Math.round(((score - low) / (high - low)) * (BARS.length - 1))]!;
  const last = String(scored.at(-1)!.count);
  return [
    `Refusal score from ${signed(low, 1)} to ${signed(high, 1)}, by projected modules (log-odds that an answer begins as a refusal):`,
    `  ${scores.map(bar).join('')}`,
    `  0${last.padStart(Math.max(last.length, columns - 1))}`,
    '',
  ];
}

function chosen({ choice }: EvaluationReport): Line[] {
  if (!choice) return [];
  const { figures, chosenOn, reportedOn } = choice;
  const found = measures
    .filter((metric) => figures[metric] !== null)
    .map((metric) => `${figureNames[metric]} ${figure(figures[metric])}`)
    .join(', ');
  return [[styled(choiceText(choice), 'bold')], `chosen on ${chosenOn} prompts; on the other ${reportedOn}: ${found}`];
}
