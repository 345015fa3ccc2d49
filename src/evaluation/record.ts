// An evaluation as it is kept: the judge's report, every verdict without its answer, and what a person corrected since.
import { isObject } from '../core/objects';
import { parseDemands } from './choice';
import { type Correction } from './corrections';
import { type JudgedSet, type Verdict } from './figures';
import { type ModelJudgement } from './model-judge';
import {
  type Corrected,
  correctedResults,
  type Demands,
  EVALUATION_SCHEMA,
  type EvaluationReport,
  resultsOf,
  type RunPoint,
} from './report';

export interface EvaluationRecord {
  /** SHA-256 of everything that affects the answers. */
  key: string;
  /** Its points name no modules: `order` does. */
  report: EvaluationReport;
  sets: JudgedSet[];
  points: RunPoint[];
  corrections: Correction[];
  modelJudgement: ModelJudgement | null;
}

export function recordOf(
  key: string,
  report: EvaluationReport,
  sets: readonly JudgedSet[],
  points: readonly RunPoint[],
): EvaluationRecord {
  return {
    key,
    report: { ...report, points: report.points.map((point) => ({ ...point, modules: [] })) },
    sets: sets.map(({ name, role, metric, prompts }) => ({
      name,
      role,
      metric,
      prompts: prompts.map(({ group }) => ({ group })),
    })),
    points: points.map((point) => ({
      ...point,
      modules: [],
      verdicts: point.verdicts?.map((ofSet) => ofSet.map(bare)) ?? null,
    })),
    corrections: [],
    modelJudgement: null,
  };
}

function bare({ refused, degenerate, cutOff, utility, sha256 }: Verdict): Verdict {
  return { refused, degenerate, cutOff, utility, sha256 };
}

/** The report with the modules of its points, and with corrected figures where a person corrected something. */
export function reportOf(record: EvaluationRecord): EvaluationReport {
  const { report } = record;
  const withModules = <T extends { count: number | null }>(all: readonly T[]): T[] =>
    all.map((point) => ({ ...point, modules: report.order.slice(0, point.count ?? 0) }));
  const corrected = correctedIn(record);
  return {
    ...report,
    points: withModules(report.points),
    corrected: corrected && { ...corrected, points: withModules(corrected.points) },
  };
}

/** Figures after corrections, without the modules of their points; null without corrections. */
export function correctedIn({ report, sets, points, corrections }: EvaluationRecord): Corrected | null {
  return correctedResults(sets, points, demandsOf(report), corrections);
}

/** The record under other demands. @param demands null for none */
export function withDemands(record: EvaluationRecord, demands: Demands | null): EvaluationRecord {
  const { choice } = resultsOf(record.sets, record.points, demands);
  return { ...record, report: { ...record.report, choice } };
}

/** @returns null for anything that is no record of this version's reports */
export function readRecord(value: unknown): EvaluationRecord | null {
  const isRecord =
    isObject(value) &&
    isObject(value.report) &&
    value.report.schema === EVALUATION_SCHEMA &&
    [value.sets, value.points, value.corrections, value.report.points, value.report.order].every(Array.isArray);
  return isRecord ? (value as unknown as EvaluationRecord) : null;
}

function demandsOf({ choice }: EvaluationReport): Demands | null {
  const demands = choice && parseDemands(choice.demands);
  return demands && { text: choice.demands, demands };
}
