// The forked process that runs a model's tokenizer and chat template.
import { quoted } from '../core/errors';
import { READY } from '../engine/beats';
import { failureOfAny } from '../engine/protocol';
import { send, serve } from '../engine/serve';
import { ChatFormat } from './chat';
import { type Begun, type ChatAnswer, type FromChat, type ToChat } from './chat-protocol';
import { tokenizerBroken } from './failures';

let path = '';
let chat: ChatFormat;

const reply: (message: FromChat) => void = send;

function begun(what: Begun['what'], index: number): void {
  reply({ type: 'begun', what, index });
}

function work(question: ToChat): ChatAnswer {
  switch (question.type) {
    case 'open': {
      ({ path } = question.source.tokenizer);
      begun('tokenizer', 0);
      chat = new ChatFormat(question.source, () => {
        begun('template', 0);
      });
      const { stopTokens, sha256 } = chat;
      return { type: 'opened', stopTokens, sha256 };
    }
    case 'encode': {
      const conversations = question.conversations.map(({ messages, reference }, index) => {
        begun('template', index);
        const text = chat.render(messages);
        begun('tokenizer', index);
        return { tokens: chat.tokens(text), reference: reference === null ? [] : chat.tokens(reference) };
      });
      return { type: 'encoded', conversations };
    }
    case 'decode': {
      const texts = question.answers.map((tokens, index) => {
        begun('tokenizer', index);
        return chat.decode(tokens);
      });
      return { type: 'decoded', texts };
    }
  }
}

serve((question: ToChat) => {
  try {
    reply(work(question));
  } catch (error) {
    const failure = failureOfAny(error, (message) => tokenizerBroken(path, `fails with ${quoted(message)}`));
    reply({ type: 'failed', error: failure });
  }
});
send(READY);
