// The forked process that runs onnxruntime: session.run blocks its thread, and a crash must end nothing else.
import { InferenceSession } from 'onnxruntime-node';
import { READY } from './beats';
import { gaveUp } from './failure';
import { ModuleEngine } from './module';
import { failureOfAny, type FromChild, type Start, type ToChild } from './protocol';
import { send, serve } from './serve';

let start: Start | undefined;
let engine: ModuleEngine | undefined;

const reply: (message: FromChild) => void = send;

async function answer(message: ToChild): Promise<void> {
  if (message.type === 'start') {
    start = message;
    send(READY);
    return;
  }
  const { task } = message;
  try {
    if (!start) throw new Error('a module came before the start');
    // Allocated here, so that a refused allocation becomes the module's result.
    engine ??= new ModuleEngine(InferenceSession, start);
    reply({ type: 'result', reply: { ok: true, value: await engine.compute(task) } });
  } catch (error) {
    const failure = failureOfAny(error, (message) => gaveUp(task.name, message));
    reply({ type: 'result', reply: { ok: false, error: failure } });
  }
}

serve((message: ToChild) => void answer(message));
