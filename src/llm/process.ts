// A language model in a process of its own, as its host asks it.
import { ChildProcess, type ChildOptions, type Ending } from '../engine/child-process';
import { errorOf } from '../engine/protocol';
import { modelProcessEnded } from './failures';
import {
  type Answer,
  type FromModel,
  type GenerateTask,
  type ModelTask,
  type Scores,
  type ScoreTask,
  type ToModel,
} from './protocol';

export interface ModelProcessOptions extends ChildOptions {
  /** What has been waited for for two seconds. */
  onWait?: (text: string) => void;
}

interface Waiting {
  onAnswers?: (answers: Answer[]) => void;
  onScores?: (scores: Scores[]) => void;
  resolve: () => void;
  reject: (reason: Error) => void;
}

export class ModelProcess {
  private readonly process: ChildProcess<ToModel, FromModel>;
  private waiting: Waiting | undefined;
  private ending: Ending | undefined;

  private constructor(
    options: ModelProcessOptions,
    private readonly path: string,
  ) {
    this.process = new ChildProcess(options, {
      ready: () => undefined,
      stderr: () => undefined,
      waiting: (pid, how) => options.onWait?.(`waiting for the model's process ${pid}${how}`),
      isBusy: () => this.waiting !== undefined,
      answer: (message) => {
        this.receive(message);
      },
      ended: (ending) => {
        this.ending = ending;
        this.fail(modelProcessEnded(path, ending.how, ending.outOfMemory));
      },
    });
  }

  /**
   * Starts a process and loads the model into it.
   * @throws SafeLoraError where it cannot be run; the signal's reason
   */
  static async start(options: ModelProcessOptions, task: ModelTask, signal?: AbortSignal): Promise<ModelProcess> {
    const started = new ModelProcess(options, task.path);
    try {
      await started.ask({ type: 'load', task }, {}, signal);
      return started;
    } catch (error) {
      started.end();
      throw error;
    }
  }

  /**
   * Greedy decoding.
   * @param onAnswers is called as rows end, in any order
   * @throws SafeLoraError where the model fails; the signal's reason
   */
  generate(task: GenerateTask, onAnswers: (answers: Answer[]) => void, signal?: AbortSignal): Promise<void> {
    return this.ask({ type: 'generate', task }, { onAnswers }, signal);
  }

  /** Log-probabilities from prefill alone. */
  score(task: ScoreTask, onScores: (scores: Scores[]) => void, signal?: AbortSignal): Promise<void> {
    return this.ask({ type: 'score', task }, { onScores }, signal);
  }

  /** At once. */
  end(): void {
    this.process.kill();
  }

  get pid(): number | undefined {
    return this.process.pid;
  }

  private ask(message: ToModel, listeners: Partial<Waiting>, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.waiting) throw new Error('one task at a time');
      if (this.ending) throw modelProcessEnded(this.path, this.ending.how, this.ending.outOfMemory);
      // A run cannot be interrupted: the process ends.
      const giveUp = (): void => {
        this.end();
        this.fail(signal!.reason as Error);
      };
      signal?.addEventListener('abort', giveUp, { once: true });
      const settled = (): void => signal?.removeEventListener('abort', giveUp);
      this.waiting = {
        ...listeners,
        resolve: () => {
          settled();
          resolve();
        },
        reject: (reason) => {
          settled();
          reject(reason);
        },
      };
      this.process.ask(message);
    });
  }

  private receive(message: FromModel): void {
    switch (message.type) {
      case 'answers':
        this.waiting?.onAnswers?.(message.answers);
        return;
      case 'scores':
        this.waiting?.onScores?.(message.scores);
        return;
      case 'done': {
        const { waiting } = this;
        this.waiting = undefined;
        waiting?.resolve();
        return;
      }
      case 'failed':
        this.fail(errorOf(message.error));
    }
  }

  private fail(reason: Error): void {
    const { waiting } = this;
    this.waiting = undefined;
    waiting?.reject(reason);
  }
}
