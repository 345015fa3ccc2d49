// Reasons why a model cannot run, in words for the user who waits for its answers.
import { SafeLoraError } from '../core/errors';
import { EngineError } from '../engine/failure';
import { type Provider } from '../engine/providers';

export function notFinite(path: string): SafeLoraError {
  return new SafeLoraError(
    'non-finite',
    `${path}: the model's logits are not finite numbers: a weight of the model or the adapter is NaN or infinite, or too large for single precision; check the files, or download the model again.`,
  );
}

/** @param reason why the provider cannot run the model */
export function cannotRun(path: string, provider: Provider, reason: string): SafeLoraError {
  return new SafeLoraError(
    'device-unavailable',
    `${path}: ${provider} cannot run the model: ${reason}; run it with --device cpu.`,
  );
}

/** @param thrown the value thrown by onnxruntime or the code around it */
export function modelFailed(path: string, thrown: string): EngineError {
  return new EngineError(`${path}: running the model failed: ${thrown}`, thrown);
}

/** @param how such as "was ended by SIGKILL" */
export function modelProcessEnded(path: string, how: string, outOfMemory: boolean): EngineError {
  const advice = outOfMemory
    ? 'memory may have run out: run it again with --precision int8 or a smaller --memory'
    : 'run it again';
  return new EngineError(`${path}: the process that ran the model ${how}; ${advice}.`, `its process ${how}`);
}

/** @param how such as "was ended by SIGTERM" */
export function chatProcessEnded(path: string, how: string): EngineError {
  return new EngineError(`${path}: the process that ran the tokenizer ${how}; run it again.`, `its process ${how}`);
}

/** @param hasSystem a system message was given, which some templates reject */
export function templateBroken(path: string, how: string, hasSystem = false): SafeLoraError {
  const next = hasSystem
    ? 'leave --system out if the template takes none, or give another one with --template FILE'
    : 'give another one with --template FILE';
  return new SafeLoraError('chat-template', `${path}: the chat template ${how}; ${next}.`);
}

export function tokenizerBroken(path: string, how: string): SafeLoraError {
  return new SafeLoraError(
    'model-config',
    `${path}: the tokenizer ${how}; download the model again, or evaluate it on a server that runs it, such as vLLM.`,
  );
}
