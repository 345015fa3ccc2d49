// A finished run as it is cached: its report, and the few numbers not in the report.
import { type Measurement } from './measure';
import { measureNames } from './measure-names';
import { isObject } from './objects';
import { type MeasuredModule, type ModuleReport, type ModuleFinding, type Report } from './report';
import { readReport } from './saved-report';

const SCHEMA = 'safe-lora/inspection@1';

export interface Inspection {
  schema: typeof SCHEMA;
  report: Report;
  /** By name, measured modules only. */
  details: Record<string, InspectionDetails>;
}

export interface InspectionDetails {
  updateDotAlignment: number;
  /** Of the projection, which is recomputed when needed; null if undefined. */
  rounding: { roundingLoss: number; overflow: boolean } | null;
}

export function makeInspection(report: Report, modules: readonly MeasuredModule[]): Inspection {
  const details = new Map<string, InspectionDetails>();
  for (const { name, measurement, projected } of modules) {
    if (!measurement) continue;
    const rounding = projected && { roundingLoss: projected.roundingLoss, overflow: projected.overflow };
    details.set(name, { updateDotAlignment: measurement.updateDotAlignment, rounding });
  }
  return { schema: SCHEMA, report, details: Object.fromEntries(details) };
}

/** @returns null for text that this version did not write */
export function parseInspection(text: string): Inspection | null {
  try {
    const value: unknown = JSON.parse(text);
    if (!isObject(value) || value.schema !== SCHEMA || !isObject(value.details)) return null;
    const report = readReport(value.report);
    const details = value.details as Inspection['details'];
    return report && Object.values(details).every(isObject) ? { schema: SCHEMA, report, details } : null;
  } catch {
    return null;
  }
}

/** The measurements by module, without the projections' bytes. */
export function resultsOf({ report, details }: Inspection): Map<string, ModuleFinding> {
  return new Map(
    report.modules
      .filter(({ name }) => Object.hasOwn(details, name))
      .map((module) => {
        const { updateDotAlignment, rounding } = details[module.name]!;
        return [
          module.name,
          {
            measurement: { ...measurementOf(module), updateDotAlignment },
            projected: rounding && { ...rounding, bytes: null },
          },
        ];
      }),
  );
}

/** Every measured module has both norms. */
function measurementOf(module: ModuleReport): Omit<Measurement, 'updateDotAlignment'> {
  const measures = Object.fromEntries(measureNames.map((name) => [name, module[name]]));
  return measures as unknown as Omit<Measurement, 'updateDotAlignment'>;
}
