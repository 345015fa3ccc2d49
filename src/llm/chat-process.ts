// The host's side of the process that runs a model's tokenizer and chat template. Both come with the model: a template is a program, and a
// tokenizer's expressions may never finish. A process that hangs is killed, and high memory use affects only itself.
import { type SafeLoraError } from '../core/errors';
import { type QuestionOptions, QuestionProcess } from '../engine/question-process';
import { type ChatSource } from './chat-files';
import { type Begun, type ChatAnswer, type Conversation, type EncodedConversation, type ToChat } from './chat-protocol';
import { chatProcessEnded, templateBroken, tokenizerBroken } from './failures';

export interface ChatProcessOptions extends QuestionOptions {
  /** Seconds without progress after which the process is killed. */
  limits?: Readonly<Record<ToChat['type'], number>>;
}

/** Opening a large tokenizer takes seconds. */
const LIMITS = { open: 120, encode: 20, decode: 20 };

/** Interval of progress checks. */
const LOOK_MS = 250;

const HEAP_MIB = 1024;

/** Conversations, or answers, in one question. */
const CHUNK = 256;

type Process = QuestionProcess<ToChat, Begun, ChatAnswer>;

export class ChatProcess {
  private constructor(
    private readonly process: Process,
    private readonly watch: Watch,
    /** The template's source. */
    readonly templatePath: string,
    /** Any of them ends an answer. */
    readonly stopTokens: readonly number[],
    /** SHA-256 of everything that affects a conversation's tokens. */
    readonly sha256: string,
  ) {}

  /**
   * Starts a process and opens the tokenizer and the template in it.
   * @throws SafeLoraError if they cannot be used; the signal's reason
   */
  static async start(
    { limits = LIMITS, ...options }: ChatProcessOptions,
    source: ChatSource,
    signal?: AbortSignal,
  ): Promise<ChatProcess> {
    const { template, tokenizer } = source;
    const watch = new Watch(limits, { template: template.path, tokenizer: tokenizer.path });
    const process: Process = new QuestionProcess(
      { ...options, heapMib: HEAP_MIB },
      {
        name: "the tokenizer's process",
        isTold: (message): message is Begun => message.type === 'begun',
        whyEnded: ({ how, outOfMemory }) =>
          outOfMemory
            ? watch.broken(`may take too much memory: its process ${how}, with ${HEAP_MIB} MiB at most,`)
            : chatProcessEnded(tokenizer.path, how),
      },
    );
    watch.onStuck = (error) => {
      process.end(error);
    };
    try {
      const opened = await watch.over('open', () => '', process.ask({ type: 'open', source }, watch.see, signal));
      if (opened.type !== 'opened') throw new Error(`the process answers ${opened.type}`);
      return new ChatProcess(process, watch, template.path, opened.stopTokens, opened.sha256);
    } catch (error) {
      process.end();
      throw error;
    }
  }

  /**
   * @param nameOf a conversation, for errors
   * @param onDone is called with the number of finished ones
   * @throws SafeLoraError if a conversation cannot be encoded; the signal's reason
   */
  async encode(
    conversations: readonly Conversation[],
    nameOf: (index: number) => string,
    onDone?: (done: number) => void,
    signal?: AbortSignal,
  ): Promise<EncodedConversation[]> {
    const encoded: EncodedConversation[] = [];
    for (let begin = 0; begin < conversations.length; begin += CHUNK) {
      const part = conversations.slice(begin, begin + CHUNK);
      const name = (index: number): string => ` at ${nameOf(begin + index)}`;
      const answer = await this.ask({ type: 'encode', conversations: part }, name, signal);
      if (answer.type !== 'encoded') throw new Error(`the process answers ${answer.type}`);
      encoded.push(...answer.conversations);
      onDone?.(encoded.length);
    }
    return encoded;
  }

  /** Decodes answers, without special tokens. @throws SafeLoraError if one cannot be decoded; the signal's reason */
  async decode(answers: readonly (readonly number[])[], signal?: AbortSignal): Promise<string[]> {
    const texts: string[] = [];
    for (let begin = 0; begin < answers.length; begin += CHUNK) {
      const part = answers.slice(begin, begin + CHUNK);
      const answer = await this.ask({ type: 'decode', answers: part }, () => ' at an answer', signal);
      if (answer.type !== 'decoded') throw new Error(`the process answers ${answer.type}`);
      texts.push(...answer.texts);
    }
    return texts;
  }

  get pid(): number | undefined {
    return this.process.pid;
  }

  /** Kills the process. */
  end(): void {
    this.process.end();
  }

  private ask(question: ToChat, nameOf: (index: number) => string, signal?: AbortSignal): Promise<ChatAnswer> {
    return this.watch.over(question.type, nameOf, this.process.ask(question, this.watch.see, signal));
  }
}

/** Watches the process during one question, and knows the cause if it never finishes. */
class Watch {
  onStuck: (error: SafeLoraError) => void = () => undefined;
  private doing: Begun | undefined;
  /** Checks since the last progress: counted, since the clock continues while the machine sleeps. */
  private looks = 0;
  private nameOf: (index: number) => string = () => '';

  constructor(
    private readonly limits: Readonly<Record<ToChat['type'], number>>,
    private readonly paths: Readonly<Record<Begun['what'], string>>,
  ) {}

  readonly see = (begun: Begun): void => {
    this.doing = begun;
    this.looks = 0;
  };

  /** @param nameOf the parts of the question, for errors */
  async over<T>(question: ToChat['type'], nameOf: (index: number) => string, asked: Promise<T>): Promise<T> {
    const limit = this.limits[question];
    this.nameOf = nameOf;
    this.doing = undefined;
    this.looks = 0;
    const timer = setInterval(() => {
      if (++this.looks * LOOK_MS >= limit * 1000) this.onStuck(this.broken(`has not ended after ${limit} s`));
    }, LOOK_MS);
    try {
      return await asked;
    } finally {
      clearInterval(timer);
    }
  }

  broken(how: string): SafeLoraError {
    const { doing, paths } = this;
    const what = `${how}${doing ? this.nameOf(doing.index) : ''}`;
    return doing?.what === 'template' ? templateBroken(paths.template, what) : tokenizerBroken(paths.tokenizer, what);
  }
}
