// A pool of engine children that compute modules in parallel. A child that dies fails only its own module.
import { availableParallelism } from 'node:os';
import { type ChildEvents, type ChildOptions, ChildProcess, type Ending } from './child-process';
import { processEnded } from './failure';
import { LARGEST_BLOCK, workingMemory } from './memory';
import { type Provider } from './providers';
import {
  type FromChild,
  type ModuleResult,
  type ModuleTask,
  type Reply,
  type Start,
  type ToChild,
  valueOf,
} from './protocol';

/** `childPath` names the built engine-child.js. */
export interface EngineOptions extends ChildOptions {
  /** Bytes for all children together. */
  memory: number;
  /** Defaults to the CPU. */
  provider?: Provider;
  /** On a device two at most, since more do not help there. */
  workers?: number;
  /** For tests: maximum elements of V in one run on a device. */
  largestBlock?: number;
  /** What the children write to standard error: native causes appear only there. */
  onStderr?: (text: string) => void;
  /** Called for waits longer than two seconds. */
  onWait?: (text: string) => void;
}

interface Pending {
  task: ModuleTask;
  /** Modules with the same signal are a job: they are cancelled together. */
  signal: AbortSignal;
  /** Its child already died once. */
  tried: boolean;
  resolve: (result: ModuleResult) => void;
  reject: (reason: Error) => void;
}

/** More children than this gain nothing: the walk is bound by memory bandwidth (three were no faster than two on two cores). */
const MAX_WORKERS = 4;

/** On a device one reads and uploads while the other computes. */
const DEVICE_WORKERS = 2;

/** Default number of processes on the CPU. */
export function cpuWorkers(): number {
  return Math.max(1, Math.min(availableParallelism(), MAX_WORKERS));
}

export class Engine {
  private readonly queue: Pending[] = [];
  private readonly children = new Set<Child>();
  private readonly provider: Provider;
  private readonly workers: number;
  private disposed = false;
  /** For children started from now on. */
  private largestBlock: number | undefined;
  /** The turn in which each job last started a module; 0 before the first. */
  private readonly served = new WeakMap<AbortSignal, number>();
  private turns = 0;

  constructor(private readonly options: EngineOptions) {
    const { provider = 'cpu', workers, largestBlock } = options;
    this.provider = provider;
    this.largestBlock = largestBlock;
    this.workers = provider === 'cpu' ? (workers ?? cpuWorkers()) : Math.min(workers ?? DEVICE_WORKERS, DEVICE_WORKERS);
  }

  /**
   * @param signal of all modules that are cancelled together; signals are served in turn
   * @throws SafeLoraError, with the code `engine-failed` if the child died or onnxruntime failed; the signal's reason if it was aborted
   */
  compute(task: ModuleTask, signal: AbortSignal = new AbortController().signal): Promise<ModuleResult> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      if (this.disposed) throw processEnded('was stopped', task.name);
      if (!this.served.has(signal)) {
        this.served.set(signal, 0);
        signal.addEventListener('abort', () => {
          this.giveUp(signal);
        });
      }
      this.queue.push({ task, signal, tried: false, resolve, reject });
      this.next();
    });
  }

  /** Immediate: a run cannot be interrupted, so the children that compute the job's modules are killed and replaced. */
  private giveUp(signal: AbortSignal): void {
    const reason = signal.reason as Error;
    const queued = this.queue.filter((pending) => pending.signal === signal);
    for (const pending of queued) {
      this.queue.splice(this.queue.indexOf(pending), 1);
      pending.reject(reason);
    }
    for (const child of this.children) {
      if (child.signal !== signal) continue;
      this.children.delete(child);
      child.kill(reason);
    }
    this.next();
  }

  /** Kills every child at once; rejects everything pending. */
  dispose(): void {
    this.disposed = true;
    for (const pending of this.queue.splice(0)) pending.reject(processEnded('was stopped', pending.task.name));
    for (const child of this.children) child.kill();
  }

  /** Ends every child and waits for the rest of their standard error. */
  async end(): Promise<void> {
    const closed = [...this.children].map((child) => child.closed);
    this.dispose();
    await Promise.all(closed);
  }

  get isIdle(): boolean {
    return this.queue.length === 0 && [...this.children].every((child) => child.idle);
  }

  /** Bytes for the weights and matrices of one child. */
  get workingMemory(): number {
    return workingMemory(this.childMemory, this.provider);
  }

  private get childMemory(): number {
    return this.options.memory / this.workers;
  }

  /** Process ids of the running children. */
  get pids(): number[] {
    return [...this.children].map((child) => child.pid).filter((pid) => pid !== undefined);
  }

  private next(): void {
    while (this.queue.length > 0) {
      const child = [...this.children].find((candidate) => candidate.idle) ?? this.start();
      if (!child) return;
      child.run(this.takeFairly());
    }
  }

  /** The next module of the job that has waited longest: a short job does not wait for the end of a long one. */
  private takeFairly(): Pending {
    const jobs = [...new Set(this.queue.map(({ signal }) => signal))];
    const served = (job: AbortSignal): number => this.served.get(job)!;
    const next = jobs.reduce((longest, job) => (served(job) < served(longest) ? job : longest));
    this.served.set(next, ++this.turns);
    return this.queue.splice(
      this.queue.findIndex(({ signal }) => signal === next),
      1,
    )[0]!;
  }

  /** Retries once: a child may die for reasons unrelated to its module, such as another process's memory use. */
  private retry(pending: Pending): boolean {
    if (pending.tried || pending.signal.aborted || this.disposed) return false;
    // A driver may not survive running out of memory.
    this.largestBlock = (this.largestBlock ?? LARGEST_BLOCK) / 4;
    this.queue.unshift({ ...pending, tried: true });
    return true;
  }

  private start(): Child | undefined {
    if (this.children.size >= this.workers) return undefined;
    const { provider, childMemory: memory, largestBlock } = this;
    const start: Start = { provider, memory, ...(largestBlock === undefined ? {} : { largestBlock }) };
    const child: Child = new Child(this.options, start, {
      stderr: (text) => this.options.onStderr?.(text),
      waiting: (pid, how) => this.options.onWait?.(`waiting for the engine's process ${pid}${how}`),
      idle: () => {
        this.next();
      },
      gone: () => {
        this.children.delete(child);
        this.next();
      },
      died: (pending) => this.retry(pending),
    });
    this.children.add(child);
    return child;
  }
}

interface PoolEvents extends Pick<ChildEvents<FromChild>, 'stderr' | 'waiting'> {
  idle: () => void;
  gone: () => void;
  /** @returns whether another child retries the current module */
  died: (pending: Pending) => boolean;
}

class Child {
  private readonly process: ChildProcess<ToChild, FromChild>;
  private current: Pending | undefined;

  constructor(
    options: EngineOptions,
    start: Start,
    private readonly events: PoolEvents,
  ) {
    this.process = new ChildProcess(options, {
      ...events,
      ready: () => undefined,
      answer: ({ reply }) => {
        this.finish(reply);
      },
      isBusy: () => this.current !== undefined,
      ended: (ending) => {
        this.end(ending);
      },
    });
    this.process.ask({ type: 'start', ...start });
  }

  get closed(): Promise<void> {
    return this.process.closed;
  }

  get idle(): boolean {
    return this.current === undefined && this.process.isAlive;
  }

  get pid(): number | undefined {
    return this.process.pid;
  }

  get signal(): AbortSignal | undefined {
    return this.current?.signal;
  }

  run(pending: Pending): void {
    this.current = pending;
    this.process.ask({ type: 'module', task: pending.task });
  }

  /** @param reason rejects the current module, instead of the process's end */
  kill(reason?: Error): void {
    if (reason) {
      this.current?.reject(reason);
      this.current = undefined;
    }
    this.process.kill();
  }

  private finish(reply: Reply<ModuleResult>): void {
    const pending = this.current;
    this.current = undefined;
    // A device may be lost, or a session broken: the next module starts in a new process.
    if (!reply.ok && reply.error.code === 'engine-failed') this.kill();
    try {
      pending?.resolve(valueOf(reply));
    } catch (error) {
      pending?.reject(error as Error);
    }
    this.events.idle();
  }

  private end({ how, outOfMemory }: Ending): void {
    const pending = this.current;
    this.current = undefined;
    if (pending && !this.events.died(pending)) pending.reject(processEnded(how, pending.task.name, outOfMemory));
    this.events.gone();
  }
}
