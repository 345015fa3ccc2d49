// Measures adapters on one pair of models and reports on each; nothing of theirs is written.
import { openAdapter } from '../core/adapter';
import { makePlan, type Plan } from '../core/plan';
import { buildReport, type Report } from '../core/report';
import { type Selection } from '../core/selection';
import { type Device } from '../engine/providers';
import { measuredOf } from '../engine/run';
import { Batch } from './batch';
import { measureTogether, type Pair, prepare } from './measure';
import { type Ports, type Services } from './services';

export interface InspectRequest extends Pair {
  /** Paths of adapters. */
  adapters: readonly string[];
  selection: Selection;
  device: Device;
}

export interface InspectPorts extends Ports {
  /** An adapter is done. */
  onReport?: (report: Report) => void;
}

/**
 * @returns the reports of the adapters that could be measured, and what kept the others from it
 * @throws SafeLoraError where a model cannot be opened, or the only adapter cannot be measured
 */
export async function inspect(
  request: InspectRequest,
  services: Services,
  ports: InspectPorts,
): Promise<Batch<Report>> {
  const plans = await planAll(request, services, ports.signal);
  const device = await prepare(plans.values, request.device, services, ports);
  const outcomes = await measureTogether(plans.values, device, services, { ...ports, keep: () => false });
  return plans.each((plan, i) => {
    const report = buildReport(plan, measuredOf(outcomes[i]!), request.selection, {
      version: services.version,
      device,
    });
    ports.onReport?.(report);
    return report;
  });
}

/** Opens every adapter, and the two models once. */
export async function planAll(
  { adapters, base, aligned }: Pair & { adapters: readonly string[] },
  { models }: Services,
  signal?: AbortSignal,
): Promise<Batch<Plan>> {
  const opened = await Batch.of(adapters).each((path) => openAdapter(path));
  const pair = opened.values.length > 0 ? ([await models.open(base, signal), await models.open(aligned, signal)] as const) : null; // prettier-ignore
  return opened.each((adapter) => makePlan(adapter, ...pair!));
}
