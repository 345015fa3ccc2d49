// One forked program of the engine: its environment, heartbeat, last output and end. Its owner sends the requests.
import { type ChildProcess as NodeProcess, fork } from 'node:child_process';
import { constants, setPriority } from 'node:os';
import { TOLD_AFTER_MS } from '../core/aborting';
import { childEnvironment } from '../core/child-environment';
import { BEAT_MS, BEAT_PIPE, MISSED_BEATS, type READY, TOLD_BEATS } from './beats';

export interface ChildOptions {
  /** The built program. */
  childPath: string;
  /** Additions to the environment that it gets from this process. */
  environment?: NodeJS.ProcessEnv;
  /** Lowers its priority: an editor must respond while the engine computes. */
  background?: boolean;
  /** V8's heap limit in MiB; Node's default if omitted. */
  heapMib?: number;
  /** For tests: milliseconds between two beats. */
  beatMs?: number;
}

/** How a program ended. */
export interface Ending {
  /** Such as `was ended by SIGKILL, saying "…",`. */
  how: string;
  outOfMemory: boolean;
}

export interface ChildEvents<Answer> {
  /** It runs, and accepts requests. */
  ready: () => void;
  answer: (answer: Answer) => void;
  stderr: (text: string) => void;
  /** It takes long. */
  waiting: (pid: number, how: string) => void;
  /** Whether a caller waits for an answer. */
  isBusy: () => boolean;
  ended: (ending: Ending) => void;
}

/** A process that waits in a driver ends only when that returns: do not wait for it. */
const KILL_GRACE_MS = 5_000;

/**
 * onnxruntime's builds can send usage data to Microsoft, and CUDA's products round their factors to ten bits (TF32) by default.
 */
const FORBIDDING = { ORT_DISABLE_TELEMETRY: '1', NVIDIA_TF32_OVERRIDE: '0' };

export class ChildProcess<Question extends object, Answer extends { type: string }> {
  /** Resolves once it has exited. */
  readonly closed: Promise<void>;
  private readonly process: NodeProcess;
  private readonly timers: NodeJS.Timeout[];
  private said = '';
  private failure: Error | undefined;
  private isClosed = false;
  /** Beats missed since the last one. */
  private missed = 0;
  private settle!: () => void;

  constructor(
    { childPath, background, environment, heapMib, beatMs = BEAT_MS }: ChildOptions,
    private readonly events: ChildEvents<Answer>,
  ) {
    this.process = fork(childPath, [String(beatMs)], {
      serialization: 'advanced',
      execArgv: heapMib === undefined ? [] : [`--max-old-space-size=${heapMib}`],
      env: { ...childEnvironment(), ...FORBIDDING, ...environment },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc', 'pipe'],
    });
    const { pid } = this.process;
    if (background && pid !== undefined) {
      try {
        setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL);
      } catch {
        // A child that has exited reports itself; one whose priority cannot be lowered runs as it is.
      }
    }
    this.closed = new Promise((resolve) => {
      this.settle = resolve;
    });
    const slow = setTimeout(() => {
      if (pid !== undefined) events.waiting(pid, ' to start');
    }, TOLD_AFTER_MS).unref();
    // Counts this process's own timer, not the clock: while the machine sleeps, or this process is stopped, no beat is missed.
    const limit = `${(MISSED_BEATS * beatMs) / 1000} seconds`;
    const watch = setInterval(() => {
      if (++this.missed === TOLD_BEATS && events.isBusy() && pid !== undefined)
        events.waiting(pid, `, which does not respond; it is stopped after ${limit}`);
      if (this.missed > MISSED_BEATS) this.lose(`did not respond for ${limit}`);
    }, beatMs).unref();
    this.timers = [slow, watch];
    this.process.stdio[BEAT_PIPE]?.on('data', () => (this.missed = 0));
    this.process.stderr?.on('data', (chunk: Buffer) => {
      this.said = (this.said + chunk.toString()).slice(-4000);
      events.stderr(chunk.toString());
    });
    this.process.on('message', (message: Answer | typeof READY) => {
      if (message.type === 'ready') {
        clearTimeout(slow);
        events.ready();
      } else {
        events.answer(message as Answer);
      }
    });
    this.process.on('error', (error) => {
      this.failure = error;
      if (pid === undefined) this.close('could not run');
    });
    this.process.on('close', (code, signal) => {
      const how = signal ? `was ended by ${signal}` : `ended with status ${String(code)}`;
      this.close(how, signal === 'SIGKILL');
    });
  }

  get isAlive(): boolean {
    return this.process.connected && !this.process.killed;
  }

  get pid(): number | undefined {
    return this.process.pid;
  }

  ask(question: Question): void {
    // If sending fails, the child has exited; `ended` reports it, with the reason.
    this.process.send(question, () => undefined);
  }

  kill(): void {
    if (this.isClosed) return;
    this.process.kill('SIGKILL');
    const grace = setTimeout(() => {
      this.lose('did not end');
    }, KILL_GRACE_MS);
    this.timers.push(grace);
  }

  /** Kills it without waiting for its end. */
  private lose(how: string): void {
    this.process.kill('SIGKILL');
    this.process.unref();
    for (const stream of this.process.stdio) stream?.destroy();
    if (this.process.connected) this.process.disconnect();
    this.close(how);
  }

  private close(how: string, wasKilled = false): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.timers.forEach(clearTimeout);
    const reason = this.failure ? `could not run (${this.failure.message})` : how;
    const outOfMemory = wasKilled || /heap out of memory|bad_alloc/i.test(this.said);
    const last = this.said.trim().split('\n').at(-1);
    this.events.ended({ how: `${reason}${last ? `, saying "${last.slice(0, 200)}",` : ''}`, outOfMemory });
    this.settle();
  }
}
