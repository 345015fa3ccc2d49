// Measures adapters on one pair of models and reports on each; writes nothing to them.
import { openAdapter } from '../core/adapter';
import { makePlan, type Plan } from '../core/plan';
import { buildReport, type Report } from '../core/report';
import { type Selection } from '../core/rules';
import { type Device } from '../engine/providers';
import { Batch } from './batch';
import { eachMeasured, openPair, type Pair } from './measure';
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
 * @returns the reports of the measured adapters, and the failures of the others
 * @throws SafeLoraError if a model cannot be opened, or the only adapter cannot be measured
 */
export async function inspect(
  { selection, ...request }: InspectRequest,
  services: Services,
  { onReport, ...ports }: InspectPorts,
): Promise<Batch<Report>> {
  const due = await planAll(request, services, ports.signal);
  const options = { ...ports, keep: () => false };
  return eachMeasured(due, request.device, services, options, ({ plan }, measured, context) => {
    const report = buildReport(plan, measured, selection, context);
    onReport?.(report);
    return report;
  });
}

/** Opens every adapter, and both models once. */
export async function planAll(
  { adapters, ...pair }: Pair & { adapters: readonly string[] },
  services: Services,
  signal?: AbortSignal,
): Promise<Batch<{ plan: Plan }>> {
  const opened = await Batch.of(adapters).each((path) => openAdapter(path));
  const models = opened.values.length > 0 ? await openPair(pair, services, signal) : null;
  return opened.each((adapter) => ({ plan: makePlan(adapter, ...models!) }));
}
