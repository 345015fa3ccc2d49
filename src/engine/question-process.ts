// A forked program that answers one question at a time, and can be killed during one.
import { ChildProcess, type ChildOptions, type Ending } from './child-process';
import { errorOf, type Failure } from './protocol';

export interface QuestionOptions extends ChildOptions {
  /** Called for waits longer than two seconds. */
  onWait?: (text: string) => void;
}

/** Sent by a program that cannot answer. */
export interface Failed {
  type: 'failed';
  error: Failure;
}

interface Subject<Told> {
  /** The process's name in messages. */
  name: string;
  /** Whether a message is not the answer yet. */
  isTold: (message: { type: string }) => message is Told & { type: string };
  /** @returns the error for an unexpected end */
  whyEnded: (ending: Ending) => Error;
}

interface Waiting<Told, Answer> {
  onTold: (message: Told) => void;
  resolve: (answer: Answer) => void;
  reject: (reason: Error) => void;
}

/** `Told` is the type of messages before the answer. */
export class QuestionProcess<Question extends object, Told extends { type: string }, Answer extends { type: string }> {
  private readonly process: ChildProcess<Question, Told | Answer | Failed>;
  private waiting: Waiting<Told, Answer> | undefined;
  /** Why it accepts no more questions. */
  private over: Error | undefined;

  constructor({ onWait, ...options }: QuestionOptions, { name, isTold, whyEnded }: Subject<Told>) {
    this.process = new ChildProcess(options, {
      ready: () => undefined,
      stderr: () => undefined,
      waiting: (pid, how) => onWait?.(`waiting for ${name} ${pid}${how}`),
      isBusy: () => this.waiting !== undefined,
      answer: (message) => {
        if (isTold(message)) this.waiting?.onTold(message);
        else if (message.type === 'failed') this.settle()?.reject(errorOf((message as Failed).error));
        else this.settle()?.resolve(message as Answer);
      },
      ended: (ending) => {
        this.over ??= whyEnded(ending);
        this.settle()?.reject(this.over);
      },
    });
  }

  get pid(): number | undefined {
    return this.process.pid;
  }

  /**
   * @param onTold is called with messages before the answer
   * @throws SafeLoraError if there is no answer; the signal's reason, after killing the process
   */
  async ask(question: Question, onTold: (message: Told) => void, signal?: AbortSignal): Promise<Answer> {
    signal?.throwIfAborted();
    if (this.waiting) throw new Error('one question at a time');
    if (this.over) throw this.over;
    const giveUp = (): void => {
      this.end(signal!.reason as Error);
    };
    signal?.addEventListener('abort', giveUp, { once: true });
    try {
      return await new Promise<Answer>((resolve, reject) => {
        this.waiting = { onTold, resolve, reject };
        this.process.ask(question);
      });
    } finally {
      this.waiting = undefined;
      signal?.removeEventListener('abort', giveUp);
    }
  }

  /** Kills the process. @param reason the error for pending and later questions */
  end(reason = new Error('the process was ended')): void {
    this.over ??= reason;
    this.process.kill();
    this.settle()?.reject(this.over);
  }

  private settle(): Waiting<Told, Answer> | undefined {
    const { waiting } = this;
    this.waiting = undefined;
    return waiting;
  }
}
