// Projects a selection: computes the projection with its report, and writes adapters as copies.
import { type Adapter } from '../core/adapter';
import { companions } from '../core/companions';
import { type Notice, SafeLoraError, someNames } from '../core/errors';
import { checkDestination, writeFolder } from '../core/output';
import { makeProjection, type Projection, writeAdapterFile } from '../core/patch';
import { type Plan } from '../core/plan';
import { buildReport, type Measured, type Report, selectable, travellingReport } from '../core/report';
import { mayTake, type Selection } from '../core/rules';
import { type Batch } from './batch';
import { type InspectRequest, planAll } from './inspect';
import { eachMeasured } from './measure';
import { type Ports, type Services } from './services';

/** The result of a selection on an adapter. */
export interface Projected {
  projection: Projection;
  report: Report;
}

/**
 * The projection of the selected modules, and its report.
 * @param measured every module, with the projections of selected ones
 * @throws SafeLoraError if a projected B does not fit its dtype
 */
export async function project(
  plan: Plan,
  measured: Measured,
  selection: Selection,
  context: { version: string; device: Report['device']; notices?: readonly Notice[] },
): Promise<Projected> {
  const report = buildReport(plan, measured, selection, context);
  const projection = await makeProjection(plan, measured.modules, selection, context.version);
  return { projection, report };
}

export interface CopyRequest extends InspectRequest {
  /** Destinations of the copies, in the adapters' order. */
  destinationsOf: (adapters: readonly Adapter[]) => readonly string[];
  /** Replaces earlier results. */
  force: boolean;
  /** Accepts adapters that were projected before. */
  again: boolean;
}

export interface CopyPorts extends Ports {
  /** A copy is written. */
  onWritten?: (report: Report, path: string) => void;
}

/**
 * Measures adapters on one pair of models and writes a projected copy of each. No source is changed.
 * @returns the reports of the written adapters, and the failures of the others
 * @throws SafeLoraError if a model cannot be opened, or the only adapter cannot be projected
 */
export async function projectCopies(
  request: CopyRequest,
  services: Services,
  { onWritten, ...ports }: CopyPorts,
): Promise<Batch<Report>> {
  const { selection, again, force } = request;
  const plans = await planAll(request, services, ports.signal);
  const destinations = request.destinationsOf(plans.values.map(({ plan }) => plan.adapter));
  const due = await plans.each(async ({ plan }, i) => {
    if (!again) refuseProjectedBefore(plan.adapter);
    return { plan, destination: await checkDestination(destinations[i]!, plan.adapter, force) };
  });
  const options: Parameters<typeof eachMeasured>[3] = {
    ...ports,
    keep: (module) => mayTake(selection, selectable(module)),
  };
  return eachMeasured(due, request.device, services, options, async ({ plan, destination }, measured, context) => {
    const { adapter } = plan;
    const { notices } = await companions(adapter);
    const { projection, report } = await project(plan, measured, selection, { ...context, notices });
    const write = (path: string): Promise<void> => writeAdapterFile(path, adapter, projection);
    await writeFolder(destination, adapter, write, (files) => travellingReport(report, files));
    onWritten?.(report, destination.path);
    return report;
  });
}

/** @throws SafeLoraError for an adapter whose originals are gone */
function refuseProjectedBefore({ file, modules }: Adapter): void {
  const before = modules.filter((module) => module.alreadyProjected).map((module) => module.name);
  if (before.length > 0) throw projectedBefore(file.path, before);
}

function projectedBefore(path: string, names: readonly string[]): SafeLoraError {
  return new SafeLoraError(
    'already-projected',
    `${path}: ${someNames(names)} ${names.length === 1 ? 'was' : 'were'} projected before and the originals are not there; project the original adapter, or give --again to project further modules and leave these as they are.`,
  );
}
