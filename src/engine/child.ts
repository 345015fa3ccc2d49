// The forked process in which onnxruntime runs: session.run blocks its thread, and a crash must end nothing else.
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
    // Here, since its buffers may be refused, which the module's result says.
    engine ??= new ModuleEngine(InferenceSession, start);
    reply({ type: 'result', reply: { ok: true, value: await engine.compute(task) } });
  } catch (error) {
    const failure = failureOfAny(error, (message) => gaveUp(task.name, message));
    reply({ type: 'result', reply: { ok: false, error: failure } });
  }
}

serve((message: ToChild) => void answer(message));
