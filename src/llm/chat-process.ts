// A model's tokenizer and chat template in a process of their own, as its host asks it. Both come with the model: a template is a program,
// and a tokenizer's expressions can take for ever. What does not end is ended, and what takes much memory takes only its own.
import { type SafeLoraError } from '../core/errors';
import { ChildProcess, type ChildOptions } from '../engine/child-process';
import { errorOf } from '../engine/protocol';
import { type ChatSource } from './chat-files';
import {
  type Begun,
  type ChatAnswer,
  type Conversation,
  type EncodedConversation,
  type FromChat,
  type ToChat,
} from './chat-protocol';
import { templateBroken, tokenizerBroken } from './failures';

export interface ChatProcessOptions extends ChildOptions {
  /** What has been waited for for two seconds. */
  onWait?: (text: string) => void;
  /** For tests: milliseconds between two looks at what the process does. */
  lookMs?: number;
}

const LOOK_MS = 1_000;

/** Looks at which the process still does the same before it is ended. A large tokenizer takes seconds to open. */
const MOST_LOOKS = { open: 120, encode: 20, decode: 20 };

const MEMORY_MIB = 1024;

/** Conversations, or answers, of one question. */
const CHUNK = 256;

interface Waiting {
  question: ToChat['type'];
  resolve: (answer: ChatAnswer) => void;
  reject: (reason: Error) => void;
}

export class ChatProcess {
  /** Any of them ends an answer. */
  stopTokens: readonly number[] = [];
  /** SHA-256 of all that a conversation's tokens depend on. */
  sha256 = '';
  private readonly process: ChildProcess<ToChat, FromChat>;
  private readonly watch: NodeJS.Timeout;
  private readonly lookMs: number;
  private waiting: Waiting | undefined;
  /** What the process does now, and how often it was seen at it. */
  private doing: Begun | undefined;
  private looks = 0;
  private isGone = false;
  /** A conversation or an answer of the question, for errors. */
  private nameOf: (index: number) => string = () => '';

  private constructor(
    { onWait, lookMs = LOOK_MS, ...options }: ChatProcessOptions,
    private readonly source: ChatSource,
  ) {
    this.process = new ChildProcess(
      { ...options, heapMib: MEMORY_MIB },
      {
        ready: () => undefined,
        stderr: () => undefined,
        waiting: (pid, how) => onWait?.(`waiting for the tokenizer's process ${pid}${how}`),
        isBusy: () => this.waiting !== undefined,
        answer: (message) => {
          this.receive(message);
        },
        ended: ({ how, outOfMemory }) => {
          clearInterval(this.watch);
          this.isGone = true;
          this.fail(this.broken(outOfMemory ? `takes more than ${MEMORY_MIB} MiB of memory` : `does not run: its process ${how}`)); // prettier-ignore
        },
      },
    );
    this.lookMs = lookMs;
    this.watch = setInterval(() => {
      this.look();
    }, lookMs).unref();
  }

  /**
   * Starts a process and opens the tokenizer and the template in it.
   * @throws SafeLoraError where they cannot be used; the signal's reason
   */
  static async start(options: ChatProcessOptions, source: ChatSource, signal?: AbortSignal): Promise<ChatProcess> {
    const chat = new ChatProcess(options, source);
    try {
      const opened = await chat.ask({ type: 'open', source }, 'opened', () => '', signal);
      ({ stopTokens: chat.stopTokens, sha256: chat.sha256 } = opened);
      return chat;
    } catch (error) {
      chat.end();
      throw error;
    }
  }

  /** Where the template comes from. */
  get templatePath(): string {
    return this.source.template.path;
  }

  /**
   * @param nameOf a conversation, for errors
   * @param onDone is called with the number of those that are done
   * @throws SafeLoraError where a conversation cannot be encoded; the signal's reason
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
      const answer = await this.ask({ type: 'encode', conversations: part }, 'encoded', name, signal);
      encoded.push(...answer.conversations);
      onDone?.(encoded.length);
    }
    return encoded;
  }

  /** Texts of answers, without special tokens. @throws SafeLoraError where one cannot be decoded; the signal's reason */
  async decode(answers: readonly (readonly number[])[], signal?: AbortSignal): Promise<string[]> {
    const texts: string[] = [];
    for (let begin = 0; begin < answers.length; begin += CHUNK) {
      const part = answers.slice(begin, begin + CHUNK);
      const answer = await this.ask({ type: 'decode', answers: part }, 'decoded', () => ' at an answer', signal);
      texts.push(...answer.texts);
    }
    return texts;
  }

  /** At once. */
  end(): void {
    clearInterval(this.watch);
    this.process.kill();
  }

  private async ask<T extends ChatAnswer['type']>(
    question: ToChat,
    type: T,
    nameOf: (index: number) => string,
    signal: AbortSignal | undefined,
  ): Promise<ChatAnswer & { type: T }> {
    signal?.throwIfAborted();
    if (this.waiting) throw new Error('one question at a time');
    if (this.isGone) throw this.broken('is asked again, and its process has ended');
    const giveUp = (): void => {
      this.end();
      this.fail(signal!.reason as Error);
    };
    signal?.addEventListener('abort', giveUp, { once: true });
    try {
      const answer = await new Promise<ChatAnswer>((resolve, reject) => {
        this.waiting = { question: question.type, resolve, reject };
        this.nameOf = nameOf;
        this.doing = undefined;
        this.looks = 0;
        this.process.ask(question);
      });
      if (answer.type !== type) throw new Error(`the process answers ${answer.type}, and ${type} was asked for`);
      return answer as ChatAnswer & { type: T };
    } finally {
      signal?.removeEventListener('abort', giveUp);
    }
  }

  private receive(message: FromChat): void {
    if (message.type === 'begun') {
      this.doing = message;
      this.looks = 0;
      return;
    }
    const { waiting } = this;
    this.waiting = undefined;
    if (message.type === 'failed') waiting?.reject(errorOf(message.error));
    else waiting?.resolve(message);
  }

  /** By this process's own looks, not by the clock, which goes on while the machine sleeps. */
  private look(): void {
    if (!this.waiting || ++this.looks < MOST_LOOKS[this.waiting.question]) return;
    this.end();
    this.fail(this.broken(`has not ended after ${Math.round((this.looks * this.lookMs) / 1000)} s`));
  }

  private fail(reason: Error): void {
    const { waiting } = this;
    this.waiting = undefined;
    waiting?.reject(reason);
  }

  private broken(how: string): SafeLoraError {
    const { template, tokenizer } = this.source;
    const what = `${how}${this.doing ? this.nameOf(this.doing.index) : ''}`;
    return this.doing?.what === 'template'
      ? templateBroken(template.path, what)
      : tokenizerBroken(tokenizer.path, what);
  }
}
