// The heartbeat of a child. session.run blocks its process's first thread for as long as a large module takes, so a second thread writes to
// a pipe. A stopped child, or one whose machine no longer runs it, falls silent with all its threads.
import { Worker } from 'node:worker_threads';

/** The child's file descriptor. */
export const BEAT_PIPE = 4;

/** In milliseconds. */
export const BEAT_MS = 5_000;

/** Missed beats in a row after which a child counts as dead: a minute, which no busy machine keeps a thread from running. */
export const MISSED_BEATS = 12;

/** Missed beats after which a slow child is reported. */
export const TOLD_BEATS = 3;

/** A child's message once it is ready. */
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
