// How a child shows that it lives. session.run blocks its process's first thread for as long as a large module takes, so that a thread
// of its own writes to a pipe; one that is stopped, or whose machine no longer runs it, falls silent with all its threads.
import { Worker } from 'node:worker_threads';

/** The child's file descriptor. */
export const BEAT_PIPE = 4;

/** In milliseconds. */
export const BEAT_MS = 5_000;

/** A child that misses so many in a row is taken for dead: a minute, which no busy machine keeps a thread from running. */
export const MISSED_BEATS = 12;

/** A child that has missed so many is told of. */
export const TOLD_BEATS = 3;

/** What a child says once it can be asked. */
export const READY = { type: 'ready' } as const;

/** CommonJS, as a worker's text is read. Without its host the process ends, whatever its first thread does. */
const PROGRAM = `
const { writeSync } = require('node:fs');
const { pipe, every } = require('node:worker_threads').workerData;
const beat = () => {
  try {
    writeSync(pipe, '.');
  } catch (error) {
    if (error.code === 'EPIPE') process.kill(process.pid, 'SIGKILL');
  }
};
beat();
setInterval(beat, every);
`;

/** Of the child. */
export function beat(every: number): void {
  new Worker(PROGRAM, { eval: true, workerData: { pipe: BEAT_PIPE, every }, env: {}, execArgv: [] }).unref();
}
