// The host's side of a language model's process.
import { type QuestionOptions, QuestionProcess } from '../engine/question-process';
import { modelProcessEnded } from './failures';
import {
  type Answer,
  type Done,
  type GenerateTask,
  type ModelTask,
  type Scores,
  type ScoreTask,
  type ToldByModel,
  type ToModel,
} from './protocol';

/**
 * The GNU C library keeps freed memory between other blocks, up to a fifth after loading a model: large blocks get pages of their own,
 * which return to the system.
 */
const ALLOCATION = { MALLOC_ARENA_MAX: '1', MALLOC_MMAP_THRESHOLD_: '1048576' };

export class ModelProcess {
  private readonly process: QuestionProcess<ToModel, ToldByModel, Done>;

  private constructor(options: QuestionOptions, path: string) {
    const environment = { ...ALLOCATION, ...options.environment };
    this.process = new QuestionProcess(
      { ...options, environment },
      {
        name: "the model's process",
        isTold: (message): message is ToldByModel => message.type === 'answers' || message.type === 'scores',
        whyEnded: ({ how, outOfMemory }) => modelProcessEnded(path, how, outOfMemory),
      },
    );
  }

  /**
   * Starts a process and loads the model into it.
   * @throws SafeLoraError if it cannot run; the signal's reason
   */
  static async start(options: QuestionOptions, task: ModelTask, signal?: AbortSignal): Promise<ModelProcess> {
    const started = new ModelProcess(options, task.path);
    try {
      await started.process.ask({ type: 'load', task }, () => undefined, signal);
      return started;
    } catch (error) {
      started.end();
      throw error;
    }
  }

  /**
   * Greedy decoding.
   * @param onAnswers is called as rows finish, in any order
   * @throws SafeLoraError if the model fails; the signal's reason
   */
  async generate(task: GenerateTask, onAnswers: (answers: Answer[]) => void, signal?: AbortSignal): Promise<void> {
    const onTold = (message: ToldByModel): void => {
      if (message.type === 'answers') onAnswers(message.answers);
    };
    await this.process.ask({ type: 'generate', task }, onTold, signal);
  }

  /** Log-probabilities from prefill alone. */
  async score(task: ScoreTask, onScores: (scores: Scores[]) => void, signal?: AbortSignal): Promise<void> {
    const onTold = (message: ToldByModel): void => {
      if (message.type === 'scores') onScores(message.scores);
    };
    await this.process.ask({ type: 'score', task }, onTold, signal);
  }

  /** Kills the process. */
  end(): void {
    this.process.end();
  }

  get pid(): number | undefined {
    return this.process.pid;
  }
}
