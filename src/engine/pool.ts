// A pool of engine children that compute modules in parallel. A child that dies takes its own module with it and nothing else.
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
  /** By default the processor. */
  provider?: Provider;
  /** On a device no more than two, which is what helps there. */
  workers?: number;
  /** For tests: elements of V that go through a device in one run at most. */
  largestBlock?: number;
  /** What the children write to standard error: native causes appear only there. */
  onStderr?: (text: string) => void;
  /** What has been waited for for two seconds. */
  onWait?: (text: string) => void;
}

interface Pending {
  task: ModuleTask;
  /** Modules of one signal are a job: they are given up together. */
  signal: AbortSignal;
  /** Its child died once already. */
  tried: boolean;
  resolve: (result: ModuleResult) => void;
  reject: (reason: Error) => void;
}

/** More children than this gain nothing: the walk is bound by memory bandwidth (three were no faster than two on two cores). */
const MAX_WORKERS = 4;

/** On a device one reads and uploads while the other computes. */
const DEVICE_WORKERS = 2;

/** So many processes compute on the processor, where nothing else is asked for. */
export function cpuWorkers(): number {
  return Math.max(1, Math.min(availableParallelism(), MAX_WORKERS));
}

export class Engine {
  private readonly queue: Pending[] = [];
  private readonly children = new Set<Child>();
  private readonly provider: Provider;
  private readonly workers: number;
  private disposed = false;
  /** Of the children that are started from now on. */
  private largestBlock: number | undefined;
  /** When each job last had a module taken up, in turns; 0 before the first. */
  private readonly served = new WeakMap<AbortSignal, number>();
  private turns = 0;

  constructor(private readonly options: EngineOptions) {
    const { provider = 'cpu', workers, largestBlock } = options;
    this.provider = provider;
    this.largestBlock = largestBlock;
    this.workers = provider === 'cpu' ? (workers ?? cpuWorkers()) : Math.min(workers ?? DEVICE_WORKERS, DEVICE_WORKERS);
  }

  /**
   * @param signal of all modules that are given up together, which are served in turn with those of other signals
   * @throws SafeLoraError, with the code `engine-failed` where the child died or onnxruntime gave up; the signal's reason where it
   * was aborted
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

  /** At once: a run cannot be interrupted, so the children that compute the job's modules end, and others take their place. */
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

  /** Ends every child at once; whatever is pending is rejected. */
  dispose(): void {
    this.disposed = true;
    for (const pending of this.queue.splice(0)) pending.reject(processEnded('was stopped', pending.task.name));
    for (const child of this.children) child.kill();
  }

  /** Ends every child and waits until all that they wrote to standard error is there. */
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

  /** The next module of the job that waits the longest: a short job does not wait for a long one's end. */
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

  /** A child may die of what had nothing to do with its module, memory that another process took, say. */
  private retry(pending: Pending): boolean {
    if (pending.tried || pending.signal.aborted || this.disposed) return false;
    // A driver may not survive that its memory runs out.
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
  /** @returns whether the module under way is taken up by another */
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

  /** @param reason what the module under way is rejected with, if not the process's end */
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
    // A device may be lost, or a session broken: the next module begins in a process of its own.
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
