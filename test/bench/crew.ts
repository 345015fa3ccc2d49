// The bench's side of its worker processes.
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { root } from '../fixtures/make';
import { type Calls, type Reply } from './worker';

/** A bundle, so that the process that stands for the host is as small as the command line's. */
const workerPath = join(root, 'dist/bench-worker.cjs');

const running = new Set<Worker>();

export class Worker {
  private readonly process: ChildProcess;

  constructor() {
    this.process = fork(workerPath, [], {
      serialization: 'advanced',
      execArgv: [],
      // As the engine does for its own children: onnxruntime's builds can send usage data to Microsoft.
      env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' },
    });
    running.add(this);
  }

  get pid(): number {
    return this.process.pid!;
  }

  /** One call at a time. */
  call<K extends keyof Calls>(call: K, ...args: Parameters<Calls[K]>): Promise<Awaited<ReturnType<Calls[K]>>> {
    return new Promise((resolve, reject) => {
      const ended = (code: number | null, signal: string | null): void => {
        reject(new Error(`a worker of the bench ended (${signal ?? String(code)}) at "${call}"`));
      };
      this.process.once('exit', ended);
      this.process.once('message', (reply: Reply) => {
        this.process.off('exit', ended);
        if (reply.ok) resolve(reply.value as Awaited<ReturnType<Calls[K]>>);
        else reject(new Error(reply.error));
      });
      this.process.send({ call, args });
    });
  }

  end(): void {
    this.process.kill('SIGKILL');
    running.delete(this);
  }
}

/** Lends a fresh worker. */
export async function withWorker<T>(use: (worker: Worker) => Promise<T>): Promise<T> {
  const worker = new Worker();
  try {
    return await use(worker);
  } finally {
    worker.end();
  }
}

/** Ends what is under way; an engine's children follow their host. */
export function endWorkers(): void {
  for (const worker of running) worker.end();
}
