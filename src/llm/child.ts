// The forked process that runs a language model: one model, whose tasks come one after the other.
import { SafeLoraError } from '../core/errors';
import { beat, READY } from '../engine/beats';
import { failureOf } from '../engine/protocol';
import { type Decoder } from './decoder';
import { modelFailed, notFinite } from './failures';
import { NotFinite } from './forward';
import { loadModel } from './loading';
import { type FromModel, type ToModel } from './protocol';

let path = '';
let decoder: Decoder | undefined;

function send(message: FromModel | typeof READY): void {
  process.send?.(message);
}

async function work(message: ToModel): Promise<void> {
  switch (message.type) {
    case 'load':
      ({ path } = message.task);
      decoder = await loadModel(message.task);
      return;
    case 'generate':
      return decoder!.generate(message.task, (answers) => {
        send({ type: 'answers', answers });
      });
    case 'score':
      return decoder!.score(message.task, (scores) => {
        send({ type: 'scores', scores });
      });
  }
}

async function answer(message: ToModel): Promise<void> {
  try {
    await work(message);
    send({ type: 'done' });
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const failure =
      error instanceof SafeLoraError ? error : error instanceof NotFinite ? notFinite(path) : modelFailed(path, text);
    send({ type: 'failed', error: failureOf(failure) });
  }
}

beat(Number(process.argv[2]));
process.on('message', (message: ToModel) => void answer(message));
// The host decides when a child ends; an interrupt at the terminal reaches the whole process group.
process.on('SIGINT', () => undefined);
process.on('disconnect', () => process.exit());
send(READY);
