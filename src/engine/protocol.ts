// Messages between the host and an engine child. Weights are never sent: a child reads them itself, by range.
import { type ErrorCode, SafeLoraError } from '../core/errors';
import { type Measurement } from '../core/measure';
import { type WeightPair } from '../core/plan';
import { type ProjectedB, type ReplacementName } from '../core/replacement';
import { type TensorInfo } from '../core/safetensors';
import { EngineError } from './failure';
import { type Provider } from './providers';

/** One adapter's update on a module. */
export interface Update {
  a: TensorInfo;
  b: TensorInfo;
  /** The running model subtracts B·A (alpha below 0): the direction is that of −B·A. */
  subtracted?: boolean;
}

export interface ModuleTask extends WeightPair {
  name: string;
  /** [out, in] */
  shape: [number, number];
  updates: Update[];
  /** How each B is replaced. */
  replacement: ReplacementName;
}

export interface UpdateResult {
  measurement: Measurement;
  /** Null if the projection is undefined (V = 0 or ΔW = 0). */
  projected: ProjectedB | null;
}

export interface Failure {
  code: ErrorCode;
  message: string;
  /** Of an `EngineError`. */
  reason?: string;
}

/** @param strange wraps the message of an error that the user cannot act on */
export function failureOfAny(thrown: unknown, strange: (message: string) => SafeLoraError): Failure {
  if (thrown instanceof SafeLoraError) return failureOf(thrown);
  return failureOf(strange(thrown instanceof Error ? thrown.message : String(thrown)));
}

/** The serialised form of an error that the user can act on. */
export function failureOf(error: SafeLoraError): Failure {
  const { code, message } = error;
  return error instanceof EngineError ? { code, message, reason: error.reason } : { code, message };
}

export type Reply<T> = { ok: true; value: T } | { ok: false; error: Failure };

/** @throws SafeLoraError where the reply is a failure */
export function valueOf<T>(reply: Reply<T>): T {
  if (!reply.ok) throw errorOf(reply.error);
  return reply.value;
}

/** The error sent as a failure. */
export function errorOf({ code, message, reason }: Failure): SafeLoraError {
  return reason === undefined ? new SafeLoraError(code, message) : new EngineError(message, reason);
}

export interface ModuleResult {
  /** In the order of the task's updates: a failure of one adapter does not affect the others. */
  updates: Reply<UpdateResult>[];
  /** Bytes of base and aligned weights read. */
  bytesRead: number;
}

export interface Start {
  provider: Provider;
  /** Maximum bytes of the process. */
  memory: number;
  /** Maximum elements of V in one run on a device, if fewer than its memory allows. */
  largestBlock?: number;
}

export type ToChild = ({ type: 'start' } & Start) | { type: 'module'; task: ModuleTask };

export interface FromChild {
  type: 'result';
  reply: Reply<ModuleResult>;
}
