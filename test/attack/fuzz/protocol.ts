// What workers are told and what they say.
import { join } from 'node:path';
import { type Oracle } from './oracles';
import { type Plant } from './plants';
import { type Target } from './targets';

/** What a worker is to do. */
export interface Plan {
  /** Its own folder. */
  folder: string;
  seed: number;
  first: number;
  /** After the last. */
  end: number;
  step: number;
  /** Oracles whose word does not count. */
  without: readonly Oracle[];
  only?: Target;
  /** A known fault instead of a target. */
  plant?: Plant;
}

export interface Failure {
  oracle: Oracle;
  case: number;
  target: string;
  message: string;
  trace: readonly string[];
}

export type FromWorker =
  | { type: 'failure'; failure: Failure }
  | { type: 'done'; outcomes: Record<string, number>; mostCpu: number; memory: number };

/** Where a worker says which case it is at: what it does not survive is that case's. */
export const progressFile = (folder: string): string => join(folder, 'progress');
