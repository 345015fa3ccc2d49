// The forked process that runs one language model: its tasks run one after the other.
import { READY } from '../engine/beats';
import { failureOfAny } from '../engine/protocol';
import { send, serve } from '../engine/serve';
import { type Decoder } from './decoder';
import { modelFailed, notFinite } from './failures';
import { NotFinite } from './forward';
import { loadModel } from './loading';
import { type FromModel, type ToModel } from './protocol';

let path = '';
let decoder: Decoder | undefined;

const reply: (message: FromModel) => void = send;

async function work(message: ToModel): Promise<void> {
  switch (message.type) {
    case 'load':
      ({ path } = message.task);
      decoder = await loadModel(message.task);
      return;
    case 'generate':
      return decoder!.generate(message.task, (answers) => {
        reply({ type: 'answers', answers });
      });
    case 'score':
      return decoder!.score(message.task, (scores) => {
        reply({ type: 'scores', scores });
      });
  }
}

async function answer(message: ToModel): Promise<void> {
  try {
    await work(message);
    reply({ type: 'done' });
  } catch (error) {
    const failure = failureOfAny(error, (message) =>
      error instanceof NotFinite ? notFinite(path) : modelFailed(path, message),
    );
    reply({ type: 'failed', error: failure });
  }
}

serve((message: ToModel) => void answer(message));
send(READY);
