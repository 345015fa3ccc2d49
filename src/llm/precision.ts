// Chooses how to store a model's weights: in single precision if memory allows it, else in 8 bits; in 4 only on request.
import { bytesText } from '../core/bytes';
import { SafeLoraError } from '../core/errors';
import { type Architecture } from './architecture';
import { type Precision } from './graph';
import { parameterCount } from './parameters';

export interface ChosenPrecision {
  precision: Precision;
  /** Why this one. */
  reason: string;
  /** Bytes left for computing. */
  workspace: number;
}

/** Bytes per parameter. A block of 32 has a scale of four bytes; a rounded model is in memory twice while it loads. */
const PER_PARAMETER: Readonly<Record<Precision, number>> = {
  float32: 4,
  int8: 2 * (1 + 4 / 32),
  int4: 2 * (0.5 + 4 / 32),
};

/** Node, onnxruntime and the graph. */
const BASE_MEMORY = 200 * 2 ** 20;

/**
 * For keys, values and hidden states, in bytes. It determines how many rows run together, which affects the last bits of a logit: constant
 * whenever there is enough, whatever else runs on the machine.
 */
const WORKSPACE = { least: 64 * 2 ** 20, usual: 384 * 2 ** 20 };

/**
 * @param memory bytes for the model's process
 * @param asked null for the default
 * @throws SafeLoraError where the model does not fit
 */
export function choosePrecision(
  architecture: Architecture,
  memory: number,
  asked: Precision | null,
  path: string,
): ChosenPrecision {
  const parameters = parameterCount(architecture);
  const needed = (precision: Precision): number =>
    parameters * PER_PARAMETER[precision] + BASE_MEMORY + WORKSPACE.least;
  const chosen = (precision: Precision, reason: string): ChosenPrecision => {
    const left = memory - needed(precision) + WORKSPACE.least;
    return { precision, reason, workspace: left < WORKSPACE.usual ? WORKSPACE.least : WORKSPACE.usual };
  };
  const size = (precision: Precision): string => bytesText(needed(precision));
  if (asked) {
    if (needed(asked) > memory) throw doesNotFit(path, `${asked} weights need ${size(asked)}`, memory);
    return chosen(asked, 'asked for');
  }
  if (needed('float32') <= memory) return chosen('float32', 'single precision fits into memory');
  if (needed('int8') <= memory)
    return chosen('int8', `single precision needs ${size('float32')}, more than the ${bytesText(memory)} of memory`);
  throw doesNotFit(
    path,
    `single precision needs ${size('float32')}, int8 ${size('int8')} and int4 ${size('int4')}`,
    memory,
  );
}

function doesNotFit(path: string, what: string, memory: number): SafeLoraError {
  return new SafeLoraError(
    'no-memory',
    `${path}: ${what}, and ${bytesText(memory)} may be used; give more with --memory, or a lower --precision, or evaluate the model on a server.`,
  );
}
