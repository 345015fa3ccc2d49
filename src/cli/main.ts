#!/usr/bin/env node
// safe-lora: the same core and engine as the editor's, from a command line.
import { join } from 'node:path';
import { type Adapter } from '../core/adapter';
import { announceWaits } from '../core/claims';
import { companions } from '../core/companions';
import { SafeLoraError, someNames } from '../core/errors';
import { checkDestination, type Destination, removeUnfinished, writeFolder } from '../core/output';
import { makeProjection, writeAdapterFile } from '../core/patch';
import { buildReport, type MeasuredModule, type Report, travellingReport } from '../core/report';
import { mayTake } from '../core/selection';
import { type ChosenDevice, Devices } from '../engine/devices';
import { examine } from '../engine/doctor';
import { Engine } from '../engine/pool';
import { type Device } from '../engine/providers';
import { measurePlans, type Outcome } from '../engine/run';
import {
  type Arguments,
  HELP,
  type InspectArguments,
  MissingModel,
  parseArguments,
  type ProjectArguments,
  UsageError,
} from './arguments';
import { Batch, type Item } from './batch';
import { installCuda } from './cuda';
import { doctorLines } from './doctor';
import { Models, rememberPair, travelLines } from './hub';
import { checkJsonTarget, writeJson } from './json';
import { pairs } from './pairs';
import { ProgressLine } from './progress';
import { withProposals } from './proposals';
import { onEndingSignal } from './signals';
import { storageFolder } from './storage';
import { reportLines } from './table';
import {
  allowClosedOutput,
  complain,
  complainUnexpected,
  notice,
  print,
  printExactly,
  StatusLine,
  tell,
} from './terminal';

declare const SAFE_LORA_VERSION: string;
declare const ONNXRUNTIME_VERSION: string;

const childPath = join(__dirname, 'engine-child.js');
const statusLine = new StatusLine();
let showsProgress = true;
const devices = new Devices({
  childPath,
  storage: storageFolder(),
  version: SAFE_LORA_VERSION,
  onnxruntimeVersion: ONNXRUNTIME_VERSION,
  onTry: (provider) => {
    if (showsProgress) statusLine.show(`trying the device ${provider}`);
  },
});
let engine: Engine | undefined;
/** Of work that tidies up before it ends. */
let interrupt: AbortController | undefined;

async function main(): Promise<void> {
  const args = await readArguments();
  if (!('quiet' in args && args.quiet)) announceWaits(notice);
  switch (args.command) {
    case 'help':
      printExactly(HELP);
      return;
    case 'version':
      print([SAFE_LORA_VERSION]);
      return;
    case 'doctor':
      return doctor(args.json);
    case 'install-cuda':
      return interruptible((signal) =>
        installCuda({ ...args, storage: storageFolder(), onnxruntime: ONNXRUNTIME_VERSION, signal }),
      );
    case 'pairs':
      await checkJsonTarget(args.json);
      return pairs(args);
    case 'inspect':
      return withModels(args, inspect);
    case 'project':
      return withModels(args, project);
  }
}

async function readArguments(): Promise<Arguments> {
  try {
    return parseArguments(process.argv.slice(2));
  } catch (error) {
    throw error instanceof MissingModel ? await withProposals(error) : error;
  }
}

async function withModels<T extends { offline: boolean; quiet: boolean }>(
  args: T,
  work: (args: T, models: Models) => Promise<void>,
): Promise<void> {
  const models = new Models(args);
  try {
    await work(args, models);
  } finally {
    await models.close();
  }
}

async function inspect(args: InspectArguments, models: Models): Promise<void> {
  await checkJsonTarget(args.json);
  const batch = await Batch.open(args, (given) => models.open(given));
  const device = await chooseDevice(args);
  const outcomes = await measure(batch, device, args, () => false);
  const reports = await batch.eachMeasured(outcomes, ({ plan }, measured) => {
    const report = buildReport(plan, measured, args.selection, { version: SAFE_LORA_VERSION, device });
    show(report, args);
    return Promise.resolve(report);
  });
  await finish(batch, reports, args);
}

async function project(args: ProjectArguments, models: Models): Promise<void> {
  await checkJsonTarget(args.json);
  const batch = await Batch.open(args, (given) => models.open(given));
  const device = await chooseDevice(args);
  const outputs = batch.outputs(args.out);
  const destinations = new Map<Item, Destination>();
  await batch.each(async (item) => {
    const { adapter } = item.plan;
    if (!args.again) refuseProjectedBefore(adapter);
    destinations.set(item, await checkDestination(outputs.get(item)!, adapter, args.force));
  });
  const outcomes = await measure(batch, device, args, ({ name, measurement }) =>
    mayTake(args.selection, name, measurement?.similarity ?? null),
  );
  const reports = await batch.eachMeasured(outcomes, async (item, measured) => {
    const { plan } = item;
    const destination = destinations.get(item)!;
    const { notices } = await companions(plan.adapter);
    const report = buildReport(plan, measured, args.selection, { version: SAFE_LORA_VERSION, device, notices });
    const projection = await makeProjection(plan, measured.modules, args.selection, SAFE_LORA_VERSION);
    await writeFolder(
      destination,
      plan.adapter,
      (path) => writeAdapterFile(path, plan.adapter, projection),
      travellingReport(report),
    );
    show(report, args, `written  ${destination.path}`);
    return report;
  });
  await finish(batch, reports, args);
}

/** @throws SafeLoraError for an adapter whose originals are gone */
function refuseProjectedBefore({ file, modules }: Adapter): void {
  const before = modules.filter((module) => module.alreadyProjected).map((module) => module.name);
  if (before.length === 0) return;
  throw new SafeLoraError(
    'already-projected',
    `${file.path}: ${someNames(before)} ${before.length === 1 ? 'was' : 'were'} projected before and the originals are not there; project the original adapter, or give --again to project further modules and leave these as they are.`,
  );
}

async function chooseDevice({ device, quiet }: { device: Device; quiet: boolean }): Promise<ChosenDevice> {
  showsProgress = !quiet;
  try {
    return await devices.choose(device);
  } finally {
    statusLine.clear();
  }
}

/** @param keep whether a module's projection is wanted */
async function measure(
  { plans }: Batch,
  { provider }: ChosenDevice,
  { memory, quiet }: { memory: number; quiet: boolean },
  keep: (module: MeasuredModule) => boolean,
): Promise<Outcome[]> {
  if (!quiet) (await travelLines(plans)).forEach(tell);
  const line = new ProgressLine();
  const onWait = quiet ? {} : { onWait: notice };
  engine = new Engine({ childPath, memory, ...onWait, ...(await devices.process(provider)) });
  try {
    await rememberPair(plans);
    return await measurePlans(plans, engine, {
      keep,
      onProgress: (progress) => {
        if (!quiet) line.update(progress);
      },
      onFetched: (fetched) => {
        if (!quiet) line.fetched(fetched);
      },
    });
  } finally {
    line.clear();
    engine.dispose();
  }
}

/** Says what could not be done, one line each, and writes the report. */
async function finish(batch: Batch, reports: readonly Report[], args: { json: string | undefined }): Promise<void> {
  const { failures } = batch;
  for (const { message } of failures) complain(message);
  if (failures.length > 0) process.exitCode = 1;
  await writeJson(args.json, batch.json(reports));
}

/** For people; with `--json -` standard output belongs to the report. */
function show(
  report: Report,
  { quiet, json, selectionIsDefault }: Omit<InspectArguments, 'command'>,
  ...more: string[]
): void {
  if (quiet || json === '-') return;
  print([...reportLines(report, selectionIsDefault), ...more]);
}

async function doctor(json: string | undefined): Promise<void> {
  await checkJsonTarget(json);
  const found = await examine(devices, {
    tool: SAFE_LORA_VERSION,
    onnxruntime: ONNXRUNTIME_VERSION,
    gpusProgram: join(__dirname, 'gpus.js'),
  });
  statusLine.clear();
  if (json !== '-') print(doctorLines(found));
  await writeJson(json, found);
}

class Interrupted extends Error {
  constructor(readonly status: number) {
    super('interrupted');
  }
}

/** A signal ends the work in its own order; a second one ends it at once. */
async function interruptible(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  interrupt = new AbortController();
  try {
    await work(interrupt.signal);
  } finally {
    interrupt = undefined;
  }
}

function fail(error: unknown): void {
  if (error instanceof Interrupted) {
    complain('interrupted; what has been downloaded is kept, run it again to go on.');
    process.exitCode = error.status;
  } else if (error instanceof UsageError) {
    complain(`${error.message} (safe-lora --help shows how)`);
    process.exitCode = 2;
  } else if (error instanceof SafeLoraError) {
    complain(error.message);
    process.exitCode = error.code === 'engine-failed' ? 3 : 1;
  } else {
    complainUnexpected(error);
    process.exitCode = 3;
  }
}

onEndingSignal((status) => {
  if (interrupt && !interrupt.signal.aborted) {
    interrupt.abort(new Interrupted(status));
    return;
  }
  engine?.dispose();
  devices.dispose();
  removeUnfinished();
  process.exit(status);
});
allowClosedOutput();

main().catch(fail);
