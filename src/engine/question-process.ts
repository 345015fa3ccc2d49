// A forked program that is asked one question at a time, and that can be given up in the middle of one.
import { ChildProcess, type ChildOptions, type Ending } from './child-process';
import { errorOf, type Failure } from './protocol';

export interface QuestionOptions extends ChildOptions {
  /** What has been waited for for two seconds. */
  onWait?: (text: string) => void;
}

/** What a program says where it cannot answer. */
export interface Failed {
  type: 'failed';
  error: Failure;
}

interface Subject<Told> {
  /** The process, as the user is told of it. */
  name: string;
  /** Whether a message is no answer yet. */
  isTold: (message: { type: string }) => message is Told & { type: string };
  /** @returns what an end means that nobody asked for */
  whyEnded: (ending: Ending) => Error;
}

interface Waiting<Told, Answer> {
  onTold: (message: Told) => void;
  resolve: (answer: Answer) => void;
  reject: (reason: Error) => void;
}

/** `Told` is what it says before its answer. */
export class QuestionProcess<Question extends object, Told extends { type: string }, Answer extends { type: string }> {
  private readonly process: ChildProcess<Question, Told | Answer | Failed>;
  private waiting: Waiting<Told, Answer> | undefined;
  /** Why it can be asked no more. */
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
   * @param onTold is called with what comes before the answer
   * @throws SafeLoraError where there is no answer; the signal's reason, the process is killed then
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

  /** Kills the process. @param reason whoever waits for an answer, or asks again, is told this */
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
