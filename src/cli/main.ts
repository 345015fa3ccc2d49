#!/usr/bin/env node
// safe-lora: the same core and engine as the editor's, from a command line.
import { join } from 'node:path';
import { isatty } from 'node:tty';
import { createColors } from 'picocolors';
import { openAdapter } from '../core/adapter';
import { openCheckpoint } from '../core/checkpoint';
import { SafeLoraError, someNames } from '../core/errors';
import { checkDestination, companions, removeUnfinished, writeFolder } from '../core/output';
import { makeProjection, writeAdapterFile } from '../core/patch';
import { makePlan, type Plan } from '../core/plan';
import { buildReport, type Measured, type Report, travellingReport } from '../core/report';
import { Engine } from '../engine/pool';
import { type ChosenDevice, chooseDevice } from '../engine/providers';
import { measurePlan } from '../engine/run';
import { selfTest } from '../engine/selftest';
import { HELP, type InspectArguments, parseArguments, type ProjectArguments, UsageError } from './arguments';
import { checkJsonTarget, writeJson } from './json';
import { ProgressLine } from './progress';
import { reportLines } from './table';

declare const SAFE_LORA_VERSION: string;
declare const ONNXRUNTIME_VERSION: string;

const { NO_COLOR, FORCE_COLOR } = process.env;
const stdoutColors = createColors(!NO_COLOR && (FORCE_COLOR ? FORCE_COLOR !== '0' : isatty(1)));
const childPath = join(__dirname, 'engine-child.js');
const DOCTOR_MEMORY = 512 * 2 ** 20;
let engine: Engine | undefined;

async function main(): Promise<void> {
  const args = parseArguments(process.argv.slice(2));
  switch (args.command) {
    case 'help':
      process.stdout.write(HELP);
      return;
    case 'version':
      process.stdout.write(`${SAFE_LORA_VERSION}\n`);
      return;
    case 'doctor':
      return doctor(args.json);
    case 'inspect':
      return inspect(args);
    case 'project':
      return project(args);
  }
}

async function inspect(args: InspectArguments): Promise<void> {
  await checkJsonTarget(args.json);
  const device = chooseDevice(args.device);
  const plan = await openPlan(args);
  const measured = await measureWithProgress(plan, args);
  const report = buildReport(plan, measured, args.selection, { version: SAFE_LORA_VERSION, device });
  show(report, args);
  await writeJson(args.json, report);
}

async function project(args: ProjectArguments): Promise<void> {
  await checkJsonTarget(args.json);
  const device: ChosenDevice = chooseDevice(args.device);
  const plan = await openPlan(args);
  const { adapter } = plan;
  const before = adapter.modules.filter((module) => module.alreadyProjected).map((module) => module.name);
  if (before.length > 0 && !args.again) {
    throw new SafeLoraError(
      'already-projected',
      `${adapter.file.path}: ${someNames(before)} ${before.length === 1 ? 'was' : 'were'} projected before and the originals are not there; project the original adapter, or give --again to project further modules and leave these as they are.`,
    );
  }
  const destination = await checkDestination(args.out, adapter, args.force);
  const { notices } = await companions(adapter);
  const measured = await measureWithProgress(plan, args);
  const report = buildReport(plan, measured, args.selection, { version: SAFE_LORA_VERSION, device, notices });
  const projection = await makeProjection(plan, measured.modules, args.selection, SAFE_LORA_VERSION);
  await writeFolder(
    destination,
    adapter,
    (path) => writeAdapterFile(path, adapter, projection),
    travellingReport(report),
  );
  show(report, args, `written  ${destination.path}`);
  await writeJson(args.json, report);
}

async function openPlan(args: { adapter: string; base: string; aligned: string }): Promise<Plan> {
  const adapter = await openAdapter(args.adapter);
  return makePlan(adapter, await openCheckpoint(args.base), await openCheckpoint(args.aligned));
}

async function measureWithProgress(
  plan: Plan,
  { memory, quiet }: { memory: number; quiet: boolean },
): Promise<Measured> {
  const line = new ProgressLine(process.stderr);
  engine = new Engine({ childPath, memory });
  try {
    return await measurePlan(plan, engine, {
      onProgress: (progress) => {
        if (!quiet) line.update(progress);
      },
    });
  } finally {
    line.clear();
    engine.dispose();
  }
}

/** For people; with `--json -` standard output belongs to the report. */
function show(
  report: Report,
  { quiet, json, selectionIsDefault }: Omit<InspectArguments, 'command'>,
  ...more: string[]
): void {
  if (quiet || json === '-') return;
  process.stdout.write(`${[...reportLines(report, stdoutColors, selectionIsDefault), ...more].join('\n')}\n`);
}

async function doctor(json: string | undefined): Promise<void> {
  await checkJsonTarget(json);
  engine = new Engine({ childPath, memory: DOCTOR_MEMORY, workers: 1 });
  try {
    const test = await selfTest(engine);
    const found = {
      schema: 'safe-lora/doctor@1',
      tool: { version: SAFE_LORA_VERSION },
      node: process.versions.node,
      platform: `${process.platform}-${process.arch}`,
      onnxruntime: ONNXRUNTIME_VERSION,
      providers: [{ provider: 'cpu', usable: true, reason: null, selfTest: test }],
    };
    if (json !== '-') {
      process.stdout.write(
        `safe-lora ${found.tool.version}, onnxruntime ${found.onnxruntime}, node ${found.node}, ${found.platform}\n` +
          `cpu  usable: similarity within ${test.similarityError.toExponential(1)} of double precision, ` +
          `${test.milliseconds.toFixed(0)} ms a 256 x 256 module (the first ${test.firstMilliseconds.toFixed(0)} ms)\n`,
      );
    }
    await writeJson(json, found);
  } finally {
    engine.dispose();
  }
}

function fail(error: unknown): void {
  if (error instanceof UsageError) {
    process.stderr.write(`safe-lora: ${error.message} (safe-lora --help shows how)\n`);
    process.exitCode = 2;
  } else if (error instanceof SafeLoraError) {
    process.stderr.write(`safe-lora: ${error.message}\n`);
    process.exitCode = error.code === 'engine-failed' ? 3 : 1;
  } else {
    process.stderr.write(
      `safe-lora: unexpected: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    process.exitCode = 3;
  }
}

for (const [signal, status] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  // prettier-ignore
  process.on(signal, () => {
    engine?.dispose();
    removeUnfinished();
    process.exit(status);
  });
}
// A reader that closes early (`safe-lora inspect … | head`) wants no more, which is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

main().catch(fail);
