// The forked process in which onnxruntime runs: session.run blocks its thread, and a crash must end nothing else.
import { env, InferenceSession } from 'onnxruntime-node';
import { SafeLoraError } from '../core/errors';
import { ModuleEngine } from './module';
import { type Failure, type FromChild, type ToChild } from './protocol';

let memory: number | undefined;
let engine: ModuleEngine | undefined;

function send(message: FromChild): void {
  process.send?.(message);
}

async function answer(message: ToChild): Promise<void> {
  if (message.type === 'start') {
    memory = message.memory;
    send({ type: 'ready', runtime: env.versions.node ?? 'unknown' });
    return;
  }
  const { task } = message;
  try {
    if (memory === undefined) throw new Error('a module came before the start');
    // Here, since its buffers may be refused, which the module's result says.
    engine ??= new ModuleEngine(InferenceSession, memory);
    send({ type: 'result', reply: { ok: true, value: await engine.compute(task) } });
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const failure: Failure =
      error instanceof SafeLoraError
        ? { code: error.code, message: text }
        : { code: 'engine-failed', message: `The engine failed at ${task.name}: ${text}` };
    send({ type: 'result', reply: { ok: false, error: failure } });
  }
}

process.on('message', (message: ToChild) => void answer(message));
// The host decides when a child ends; an interrupt at the terminal reaches the whole process group.
process.on('SIGINT', () => undefined);
process.on('disconnect', () => process.exit());
