// Services and questions of all work on adapters: each surface provides its own.
import { type Checkpoint } from '../core/checkpoint';
import { type Plan } from '../core/plan';
import { type ChosenDevice } from '../engine/devices';
import { type Engine } from '../engine/pool';
import { type Device } from '../engine/providers';
import { type MeasureOptions } from '../engine/run';
import { type ChatSource } from '../llm/chat-files';
import { type ChatProcess } from '../llm/chat-process';
import { type ModelProcess } from '../llm/process';
import { type ModelTask } from '../llm/protocol';

/** Given once by each surface. */
export interface Services {
  /** Of the tool, for reports and provenance. */
  readonly version: string;
  readonly models: {
    /**
     * @param given a folder, hf://org/name[@revision], or org/name if no folder has that name
     * @throws SafeLoraError, or the signal's reason
     */
    open(given: string, signal?: AbortSignal): Promise<Checkpoint>;
    /** Records that these two were measured; write failures are ignored. */
    remember(plan: Plan): Promise<void>;
  };
  readonly engine: {
    /** @throws SafeLoraError if an explicitly named device cannot run; the signal's reason */
    choose(device: Device, signal?: AbortSignal): Promise<ChosenDevice>;
    /** The engine on a device that can run. */
    on(device: ChosenDevice): Promise<Engine>;
  };
}

/** The same, but language models must run, too. */
export interface LanguageServices extends Services {
  readonly prompts: {
    /**
     * Fetches a file of a dataset, hf://datasets/org/name[@revision]/file.
     * @returns its path
     * @throws SafeLoraError, or the signal's reason
     */
    fetch(given: string, signal?: AbortSignal): Promise<string>;
  };
  readonly onnxruntimeVersion: string;
  /** Runs language models, each in a process of its own. */
  readonly language: {
    /** @throws SafeLoraError if the tokenizer or the template cannot be used; the signal's reason */
    chat(source: ChatSource, signal?: AbortSignal): Promise<ChatProcess>;
    /** @throws SafeLoraError if the model cannot run; the signal's reason */
    start(task: ModelTask, device: ChosenDevice, signal?: AbortSignal): Promise<ModelProcess>;
  };
}

/** Decides whether to download the plans' missing weights. @throws if they must not be downloaded */
export type Agree = (plans: readonly Plan[], signal?: AbortSignal) => Promise<void>;

/** Progress, questions and the cancel signal of a task. */
export interface Ports extends Pick<MeasureOptions, 'onProgress' | 'onFetched' | 'signal'> {
  agree: Agree;
}
