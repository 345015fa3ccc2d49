// safe-lora, from its arguments to its exit status: the editor's work on a command line.
import { basename, join } from 'node:path';
import { type Adapter } from '../core/adapter';
import { announceWaits } from '../core/claims';
import { SafeLoraError } from '../core/errors';
import { removeUnfinished } from '../core/output';
import { type Report } from '../core/report';
import { type Devices } from '../engine/devices';
import { examine } from '../engine/doctor';
import { type Batch } from '../work/batch';
import { inspect } from '../work/inspect';
import { projectCopies } from '../work/project';
import { type Ports } from '../work/services';
import {
  type Arguments,
  type EvaluateArguments,
  type InspectArguments,
  MissingModel,
  type ProjectArguments,
  UsageError,
} from './arguments';
import { DEFAULT_MEMORY, parseArguments } from './command-line';
import { installCuda } from './cuda';
import { doctorLines } from './doctor';
import { evaluateCommand } from './evaluate';
import { checkHtmlTarget, checkJsonTarget, writeHtml, writeJson } from './targets';
import { pairs } from './pairs';
import { ProgressLine } from './progress';
import { quoted, withProposals } from './proposals';
import { devicesOf, type Program, RunServices, travelLines } from './services';
import { onEndingSignal } from './signals';
import { storageFolder } from './storage';
import { reportLines } from './table';
import { type Terminal } from './terminal';

/**
 * One call of the command line, in this process.
 * @param argv without the names of Node and of the program
 * @returns the exit status
 */
export async function run(argv: readonly string[], program: Program): Promise<number> {
  const call = new Call(program);
  const stopListening = onEndingSignal((status) => {
    call.interrupt(status);
  });
  try {
    return await call.run(await readArguments(argv, program.name));
  } catch (error) {
    return statusOf(error, program);
  } finally {
    stopListening();
  }
}

async function readArguments(argv: readonly string[], name: string): Promise<Arguments> {
  try {
    return parseArguments(argv);
  } catch (error) {
    throw error instanceof MissingModel ? await withProposals(error, [name, ...argv.map(quoted)].join(' ')) : error;
  }
}

class Interrupted extends Error {
  constructor(readonly status: number) {
    super('interrupted');
  }
}

class Call {
  private readonly line: ProgressLine;
  private readonly devices: Devices;
  private services: RunServices | undefined;
  /** Work that cleans up before it ends. */
  private tidy: AbortController | undefined;
  private isQuiet = false;

  constructor(private readonly program: Program) {
    this.line = new ProgressLine(program.terminal);
    this.devices = devicesOf(program, (provider) => {
      if (!this.isQuiet) this.line.show(`trying the device ${provider}`);
    });
  }

  async run(args: Arguments): Promise<number> {
    this.isQuiet = 'quiet' in args && args.quiet;
    if (!this.isQuiet) announceWaits(this.terminal.notice);
    switch (args.command) {
      case 'help':
        this.terminal.printExactly(args.text);
        return 0;
      case 'version':
        this.terminal.print([this.program.version]);
        return 0;
      case 'doctor':
        return this.doctor(args.json);
      case 'install-cuda':
        return this.tidily((signal) =>
          installCuda({
            ...args,
            storage: storageFolder(),
            onnxruntime: this.program.onnxruntimeVersion,
            signal,
            terminal: this.terminal,
          }),
        );
      case 'pairs':
        await checkJsonTarget(args.json);
        await pairs(args, this.terminal);
        return 0;
      case 'evaluate':
        return this.tidily((signal) => this.evaluate(args, signal));
      case 'inspect':
      case 'project':
        return this.work(args);
    }
  }

  /** The first signal ends such work in order; a second one, or one during other work, ends it at once. */
  interrupt(status: number): void {
    if (this.tidy && !this.tidy.signal.aborted) {
      this.tidy.abort(new Interrupted(status));
      return;
    }
    this.services?.stop();
    this.devices.dispose();
    removeUnfinished();
    process.exit(status);
  }

  private get terminal(): Terminal {
    return this.program.terminal;
  }

  private async work(args: InspectArguments | ProjectArguments): Promise<number> {
    await checkJsonTarget(args.json);
    await checkHtmlTarget(args.html);
    this.services = new RunServices(this.program, this.devices, { ...args, onStart: () => this.line.begin() });
    try {
      return await finish(await this.reports(args, this.services), args, this.terminal);
    } finally {
      this.line.clear();
      await this.services.end();
    }
  }

  private reports(args: InspectArguments | ProjectArguments, services: RunServices): Promise<Batch<Report>> {
    const show = (report: Report, ...more: string[]): void => {
      this.line.clear();
      // With `--json -`, standard output contains only the report.
      if (!args.quiet && args.json !== '-')
        this.terminal.print([...reportLines(report, args.selectionIsDefault), ...more]);
    };
    const ports = this.ports(args.quiet);
    if (args.command === 'inspect') return inspect(args, services, { ...ports, onReport: show });
    const destinationsOf = (adapters: readonly Adapter[]): string[] => destinationsIn(args, adapters);
    return projectCopies({ ...args, destinationsOf }, services, {
      ...ports,
      onWritten: (report, path) => {
        show(report, `written  ${path}`);
      },
    });
  }

  private ports(isQuiet: boolean): Ports {
    if (isQuiet) return { agree: () => Promise.resolve() };
    return {
      agree: async (plans) => {
        for (const line of await travelLines(plans)) this.terminal.tell(line);
      },
      onProgress: (progress) => {
        this.line.update(progress);
      },
      onFetched: (fetched) => {
        this.line.fetched(fetched);
      },
    };
  }

  private async evaluate(args: EvaluateArguments, signal: AbortSignal): Promise<void> {
    const { quiet, offline } = args;
    const onStart = (): void => {
      this.line.begin();
    };
    const services = new RunServices(this.program, this.devices, { memory: DEFAULT_MEMORY, quiet, offline, onStart });
    this.services = services;
    try {
      await evaluateCommand({ args, services, ports: { ...this.ports(quiet), signal }, terminal: this.terminal });
    } finally {
      this.line.clear();
      await services.end();
    }
  }

  private async doctor(json: string | undefined): Promise<number> {
    await checkJsonTarget(json);
    const found = await examine(this.devices, {
      tool: this.program.version,
      onnxruntime: this.program.onnxruntimeVersion,
      gpusProgram: join(this.program.folder, 'gpus.js'),
    });
    this.line.clear();
    if (json !== '-') this.terminal.print(doctorLines(found));
    await writeJson(json, found, this.terminal);
    return 0;
  }

  private async tidily(work: (signal: AbortSignal) => Promise<void>): Promise<number> {
    this.tidy = new AbortController();
    await work(this.tidy.signal);
    return 0;
  }
}

/**
 * Folders for the adapters' copies: the given one for a single adapter, a subfolder for each of several.
 * @throws UsageError if two would have the same name
 */
function destinationsIn({ out, adapters: paths }: ProjectArguments, adapters: readonly Adapter[]): string[] {
  if (paths.length === 1) return adapters.map(() => out);
  const byDestination = new Map<string, Adapter>();
  for (const adapter of adapters) {
    const destination = join(out, basename(adapter.name));
    const other = byDestination.get(destination);
    if (other) throw new UsageError(`${other.path} and ${adapter.path} would both be written to ${destination}`);
    byDestination.set(destination, adapter);
  }
  return [...byDestination.keys()];
}

/** Prints failures, one line each, and writes the output of --json: for one adapter its report. */
async function finish(
  { values, failures }: Batch<Report>,
  { adapters, json, html }: InspectArguments | ProjectArguments,
  terminal: Terminal,
): Promise<number> {
  const failed = [...failures].map(([adapter, { code, message }]) => ({ adapter, code, message }));
  for (const { message } of failed) terminal.complain(message);
  const all = { schema: 'safe-lora/reports@1', reports: values, failures: failed };
  await writeJson(json, adapters.length === 1 ? values[0]! : all, terminal);
  await writeHtml(
    html,
    values.map((report) => ({ report, evaluation: null })),
  );
  return failed.length > 0 ? 1 : 0;
}

function statusOf(error: unknown, { name, terminal }: Program): number {
  if (error instanceof Interrupted) {
    terminal.complain('interrupted; downloaded and evaluated data is kept; run it again to resume.');
    return error.status;
  }
  if (error instanceof UsageError) {
    const { message, hints, command } = error;
    terminal.complain(message);
    for (const hint of hints) terminal.tell(hint);
    terminal.tell(`Run ${[name, ...(command === null ? [] : [command]), '--help'].join(' ')} to see the options.`);
    return 2;
  }
  if (error instanceof SafeLoraError) {
    terminal.complain(error.message);
    return error.code === 'engine-failed' ? 3 : 1;
  }
  terminal.complainUnexpected(error);
  return 3;
}
