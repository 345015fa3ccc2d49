// From adapters and two models to numbers: plans, asks for consent, chooses a device, and shares passes over common weights.
import { type Adapter } from '../core/adapter';
import { type Checkpoint } from '../core/checkpoint';
import { makePlan, type Plan } from '../core/plan';
import { type Measured } from '../core/report';
import { type ChosenDevice } from '../engine/devices';
import { type Device } from '../engine/providers';
import { measuredOf, measurePlans, type MeasureOptions, type Outcome } from '../engine/run';
import { type Batch } from './batch';
import { type Ports, type Services } from './services';

/** The two models as they were given. */
export interface Pair {
  base: string;
  aligned: string;
}

/** What to measure, and where. */
export interface Due {
  plan: Plan;
  device: ChosenDevice;
}

/** @throws SafeLoraError if a model cannot be opened or does not fit the adapter; the signal's reason */
export async function planFor(
  adapter: Adapter,
  pair: Pair,
  services: Pick<Services, 'models'>,
  signal?: AbortSignal,
): Promise<Plan> {
  return makePlan(adapter, ...(await openPair(pair, services, signal)));
}

/** @returns base and aligned */
export async function openPair(
  { base, aligned }: Pair,
  { models }: Pick<Services, 'models'>,
  signal?: AbortSignal,
): Promise<[Checkpoint, Checkpoint]> {
  return [await models.open(base, signal), await models.open(aligned, signal)];
}

/** Asks for consent to downloads, then chooses the device. @throws the errors of both */
export async function prepare(
  plans: readonly Plan[],
  device: Device,
  { engine }: Services,
  { agree, signal }: Ports,
): Promise<ChosenDevice> {
  await agree(plans, signal);
  return engine.choose(device, signal);
}

/**
 * Measures plans in one pass over their shared weights.
 * @param options `keep` tells whether to keep a module's projection
 * @returns the result of each, in their order
 */
export async function measureTogether(
  plans: readonly Plan[],
  device: ChosenDevice,
  { models, engine }: Services,
  options: MeasureOptions,
): Promise<Outcome[]> {
  if (plans.length === 0) return [];
  const running = await engine.on(device);
  // Before the first download: an interrupted run's cached data can then be found and removed.
  for (const plan of new Map(plans.map((one) => [pairKey(one), one])).values()) await models.remember(plan);
  return measurePlans(plans, running, options);
}

/**
 * Measures all remaining adapters in one pass, and runs the next step for each measured one.
 * @param options `keep` as for `measureTogether`
 */
export async function eachMeasured<T extends { plan: Plan }, U>(
  batch: Batch<T>,
  requested: Device,
  services: Services,
  options: Ports & Pick<MeasureOptions, 'keep'>,
  step: (value: T, measured: Measured, context: { version: string; device: ChosenDevice }) => U | Promise<U>,
): Promise<Batch<U>> {
  const plans = batch.values.map(({ plan }) => plan);
  const device = await prepare(plans, requested, services, options);
  const outcomes = await measureTogether(plans, device, services, options);
  const { version } = services;
  return batch.each((value, i) => step(value, measuredOf(outcomes[i]!), { version, device }));
}

/** Measures the pending ones, grouped by device and pass. */
export async function* passesOf<T extends Due>(due: AsyncIterable<T>, most: number): AsyncGenerator<T[]> {
  let pass: T[] = [];
  for await (const one of due) {
    if (pass[0] && pass[0].device.provider !== one.device.provider) {
      yield pass;
      pass = [];
    }
    pass.push(one);
    if (pass.length === most) {
      yield pass;
      pass = [];
    }
  }
  if (pass.length > 0) yield pass;
}

/** Equal for plans with the same two models. */
export function pairKey({ base, aligned }: Plan): string {
  return JSON.stringify([base.realPath, aligned.realPath]);
}
