// What runs in a process of its own, so that one run leaves nothing behind for the next: reading, the engine, the reference.
import { closeSync, openSync, readSync } from 'node:fs';
import { type TensorInfo } from '../../src/core/safetensors';
import { Engine, type EngineOptions } from '../../src/engine/pool';
import { type ModuleTask, valueOf } from '../../src/engine/protocol';
import { type ReferenceResult, type Way } from './reference';

export type Range = Pick<TensorInfo, 'path' | 'offset' | 'length'>;

export interface EngineRun {
  /** From the engine's start to the last module's result, in milliseconds. */
  ms: number;
  /** From the engine's start to the first module's result, in milliseconds. */
  firstMs: number;
  bytesRead: number;
  /** Processes that computed. */
  children: number;
  /** Of each module's first update. */
  similarities: Record<string, number | null>;
}

/** What a worker can be asked for. */
export interface Calls {
  /** Makes the buffer that `read` uses, of so many bytes. */
  prepare: (bytes: number) => void;
  read: (ranges: Range[]) => void;
  engine: (options: EngineOptions, tasks: ModuleTask[]) => Promise<EngineRun>;
  reference: (task: ModuleTask, way: Way) => Promise<ReferenceResult>;
}

let buffer = new Uint8Array();

const calls: Calls = {
  prepare: (bytes) => {
    // Filled, so that its pages exist.
    buffer = new Uint8Array(bytes).fill(1);
  },
  read: (ranges) => {
    for (const { path, offset, length } of ranges) {
      const file = openSync(path, 'r');
      for (let done = 0; done < length;) done += readSync(file, buffer, done, length - done, offset + done);
      closeSync(file);
    }
  },
  engine: async (options, tasks) => {
    const started = performance.now();
    const engine = new Engine(options);
    let firstMs: number | undefined;
    try {
      const results = await Promise.all(
        tasks.map(async (task) => {
          const result = await engine.compute(task);
          firstMs ??= performance.now() - started;
          return result;
        }),
      );
      return {
        ms: performance.now() - started,
        firstMs: firstMs!,
        bytesRead: results.reduce((sum, { bytesRead }) => sum + bytesRead, 0),
        children: engine.pids.length,
        similarities: Object.fromEntries(
          results.map(({ updates }, i) => [tasks[i]!.name, valueOf(updates[0]!).measurement.similarity]),
        ),
      };
    } finally {
      engine.dispose();
    }
  },
  // Only here: a real host never loads onnxruntime into itself.
  reference: async (task, way) => (await import('./reference')).referenceSimilarity(task, way),
};

export type Request = { [K in keyof Calls]: { call: K; args: Parameters<Calls[K]> } }[keyof Calls];
export type Reply = { ok: true; value: unknown } | { ok: false; error: string };

process.on('message', (request: Request) => {
  const call = calls[request.call] as (...args: unknown[]) => unknown;
  void Promise.resolve(request.args)
    .then((args) => call(...args))
    .then(
      (value): Reply => ({ ok: true, value }),
      (error: unknown): Reply => ({ ok: false, error: String(error) }),
    )
    .then((reply) => process.send?.(reply));
});
process.on('disconnect', () => process.exit());
