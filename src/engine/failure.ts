// A failure of the engine itself, not of its input.
import { oneLine, SafeLoraError } from '../core/errors';

export class EngineError extends SafeLoraError {
  /** The cause alone, without the sentence about the ended run. */
  readonly reason: string;

  constructor(message: string, reason: string) {
    super('engine-failed', message);
    this.reason = oneLine(reason);
  }
}

/** @param thrown the value thrown by onnxruntime or the code around it */
export function gaveUp(module: string, thrown: string): EngineError {
  return new EngineError(`The engine failed at ${module}: ${thrown}`, thrown);
}

/** @param how such as "was ended by SIGKILL" */
export function processEnded(how: string, module: string, outOfMemory = false): EngineError {
  const advice = outOfMemory ? 'try again, with a smaller --memory if memory ran out' : 'try again';
  return new EngineError(
    `The engine's process ${how} while it computed ${module}; nothing was written; ${advice}.`,
    `its process ${how}`,
  );
}
