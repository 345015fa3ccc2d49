// A language model's input that is none, although the schema asked for it.
import { SafeLoraError } from '../../core/errors';

export function wrongInput(message: string): SafeLoraError {
  return new SafeLoraError('wrong-input', message);
}
