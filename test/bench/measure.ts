// Measures one case: reading, the engine and the reference's way in turn, so that what disturbs the machine disturbs all three.
import { LARGEST_ERROR } from '../../src/engine/devices';
import { type EngineOptions } from '../../src/engine/pool';
import { type ModuleTask } from '../../src/engine/protocol';
import { type Provider } from '../../src/engine/providers';
import { childPath } from '../fixtures/make';
import { type CaseSpec } from './cases';
import { Worker, withWorker } from './crew';
import { PeakMemory } from './memory';
import { type Way } from './reference';
import { type EngineRun, type Range } from './worker';

const FEWEST_ROUNDS = 3;
/** What `--memory` is without being given. */
const MEMORY = 2 ** 30;
/** Bytes of one read: a 4096 × 4096 weight. */
const PIECE = 2 ** 25;
/** What similarities may differ by between the engine and the reference's way. */
const TOLERANCE = 1e-3;

/** How an engine is started: as `Devices.process` says it, and with how many children where not as many as it takes by itself. */
export type EngineSetup = Pick<EngineOptions, 'environment' | 'workers'> & { provider: Provider };

export const cpuSetup: EngineSetup = { provider: 'cpu' };

/** As `--json` gives it; times are medians in milliseconds. */
export interface CaseFigures {
  name: string;
  readMs: number | null;
  engineMs: number;
  referenceMs: number | null;
  peakMiB: number | null;
  bytesRead: number;
  bytesNeeded: number;
  firstModuleMs: number;
  /** What the engine computed on. */
  provider: Provider;
  /** The same by the engine on the CPU, in the same rounds; null where it computed there anyway. */
  cpuMs: number | null;
}

/** What else the table says. */
export interface CaseResult {
  figures: CaseFigures;
  modules: number;
  rounds: number;
  /** Processes that computed. */
  children: number;
  /** Medians in milliseconds, of one process and of as many as computed. */
  reading: { alone: number; together: number };
  /** The largest difference between the engine's similarity and the reference's way's. */
  similarityError: number;
  /** The largest difference between the device's similarities and the CPU's, over all modules. */
  cpuDifference: number | null;
}

/** @throws Error where the engine's numbers are not the reference's, or a device's not the CPU's */
export async function measureCase(spec: CaseSpec, tasks: ModuleTask[], setup: EngineSetup): Promise<CaseResult> {
  const started = performance.now();
  const samples = onePerShape(tasks);
  const { run, peakMiB } = await warmUp(tasks, setup);
  const similarityError = await checkNumbers(samples, run, spec.referenceRounds > 0 ? 'published' : 'bracketed');
  const besideCpu = setup.provider !== 'cpu';
  const cpuDifference = besideCpu ? largestDifference(run, await runEngine(tasks, cpuSetup)) : null;

  const times = {
    readAlone: [] as number[],
    readTogether: [] as number[],
    engine: [] as EngineRun[],
    cpu: [] as number[],
  };
  const referenceTimes = samples.map((): number[] => []);
  let rounds = 0;
  for (; rounds < spec.rounds; rounds++) {
    if (rounds >= FEWEST_ROUNDS && performance.now() - started > spec.budget) break;
    times.readAlone.push(await timeReading(tasks, 1));
    times.readTogether.push(await timeReading(tasks, run.children));
    times.engine.push(await runEngine(tasks, setup));
    if (besideCpu) times.cpu.push((await runEngine(tasks, cpuSetup)).ms);
    if (rounds >= spec.referenceRounds) continue;
    for (const [i, { task }] of samples.entries()) {
      referenceTimes[i]!.push((await withWorker((worker) => worker.call('reference', task, 'published'))).ms);
    }
  }
  const reading = { alone: median(times.readAlone), together: median(times.readTogether) };
  return {
    figures: {
      name: spec.name,
      readMs: Math.min(reading.alone, reading.together),
      engineMs: median(times.engine.map(({ ms }) => ms)),
      referenceMs:
        spec.referenceRounds > 0
          ? samples.reduce((sum, { count }, i) => sum + count * median(referenceTimes[i]!), 0)
          : null,
      peakMiB,
      bytesRead: run.bytesRead,
      bytesNeeded: weightRanges(tasks).reduce((sum, { length }) => sum + length, 0),
      firstModuleMs: median(times.engine.map(({ firstMs }) => firstMs)),
      provider: setup.provider,
      cpuMs: besideCpu ? median(times.cpu) : null,
    },
    modules: tasks.length,
    rounds,
    children: run.children,
    reading,
    similarityError,
    cpuDifference,
  };
}

/** One pass of the engine in a fresh host process, which brings the weights into the page cache; memory is watched, nothing is timed. */
export async function warmUp(
  tasks: ModuleTask[],
  setup: EngineSetup,
): Promise<{ run: EngineRun; peakMiB: number | null }> {
  return withWorker(async (worker) => {
    const memory = new PeakMemory(worker.pid);
    try {
      const run = await callEngine(worker, tasks, setup);
      return { run, peakMiB: memory.stop() };
    } finally {
      memory.stop();
    }
  });
}

/** One pass of the engine in a fresh host process. */
export function runEngine(tasks: ModuleTask[], setup: EngineSetup): Promise<EngineRun> {
  return withWorker((worker) => callEngine(worker, tasks, setup));
}

function callEngine(worker: Worker, tasks: ModuleTask[], setup: EngineSetup): Promise<EngineRun> {
  return worker.call('engine', { childPath, memory: MEMORY, ...setup }, tasks);
}

interface Sample {
  task: ModuleTask;
  /** Modules of this shape. */
  count: number;
}

function onePerShape(tasks: readonly ModuleTask[]): Sample[] {
  const samples = new Map<string, Sample>();
  for (const task of tasks) {
    const shape = task.shape.join();
    const sample = samples.get(shape);
    if (sample) sample.count++;
    else samples.set(shape, { task, count: 1 });
  }
  return [...samples.values()];
}

async function checkNumbers(samples: readonly Sample[], { similarities }: EngineRun, way: Way): Promise<number> {
  let largest = 0;
  for (const { task } of samples) {
    const { similarity } = await withWorker((worker) => worker.call('reference', task, way));
    const found = similarities[task.name] ?? NaN;
    const error = Math.abs(found - similarity);
    if (!(error <= TOLERANCE)) {
      throw new Error(`${task.name}: the engine's similarity is ${found}, the reference's ${similarity}`);
    }
    largest = Math.max(largest, error);
  }
  return largest;
}

function largestDifference(device: EngineRun, cpu: EngineRun): number {
  let largest = 0;
  for (const [module, similarity] of Object.entries(cpu.similarities)) {
    const found = device.similarities[module] ?? NaN;
    const difference = Math.abs(found - (similarity ?? NaN));
    if (!(difference <= LARGEST_ERROR)) {
      throw new Error(`${module}: the device's similarity is ${found}, the CPU's ${similarity}`);
    }
    largest = Math.max(largest, difference);
  }
  return largest;
}

function weightRanges(tasks: readonly ModuleTask[]): Range[] {
  return tasks.flatMap(({ base, aligned }) => [base, aligned]);
}

/** Reads every weight once with so many processes, each into one buffer that it made before. */
async function timeReading(tasks: readonly ModuleTask[], processes: number): Promise<number> {
  const pieces = weightRanges(tasks).flatMap(inPieces);
  const workers = Array.from({ length: processes }, () => new Worker());
  try {
    await Promise.all(workers.map((worker) => worker.call('prepare', PIECE)));
    const shares = workers.map((_, i) => pieces.filter((_piece, at) => at % processes === i));
    const started = performance.now();
    await Promise.all(workers.map((worker, i) => worker.call('read', shares[i]!)));
    return performance.now() - started;
  } finally {
    for (const worker of workers) worker.end();
  }
}

function inPieces({ path, offset, length }: Range): Range[] {
  return Array.from({ length: Math.ceil(length / PIECE) }, (_, i) => ({
    path,
    offset: offset + i * PIECE,
    length: Math.min(PIECE, length - i * PIECE),
  }));
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
