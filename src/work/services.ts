// What all work on adapters uses and whom it asks: each surface gives its own.
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
  /** Of the tool, as reports and provenance name it. */
  readonly version: string;
  readonly models: {
    /**
     * @param given a folder, hf://org/name[@revision], or org/name where no folder is called so
     * @throws SafeLoraError, or the signal's reason
     */
    open(given: string, signal?: AbortSignal): Promise<Checkpoint>;
    /** Notes that these two were measured. Where it cannot be written down, only that is lost. */
    remember(plan: Plan): Promise<void>;
  };
  readonly engine: {
    /** @throws SafeLoraError where a device that was asked for by name cannot run; the signal's reason */
    choose(device: Device, signal?: AbortSignal): Promise<ChosenDevice>;
    /** The engine on a device that can run. */
    on(device: ChosenDevice): Promise<Engine>;
  };
}

/** The same where language models can be run, too. */
export interface LanguageServices extends Services {
  readonly prompts: {
    /**
     * Fetches a file of a dataset, hf://datasets/org/name[@revision]/file.
     * @returns where it lies
     * @throws SafeLoraError, or the signal's reason
     */
    fetch(given: string, signal?: AbortSignal): Promise<string>;
  };
  readonly onnxruntimeVersion: string;
  /** Runs language models, each in a process of its own. */
  readonly language: {
    /** @throws SafeLoraError where the tokenizer or the template cannot be used; the signal's reason */
    chat(source: ChatSource, signal?: AbortSignal): Promise<ChatProcess>;
    /** @throws SafeLoraError where the model cannot be run; the signal's reason */
    start(task: ModelTask, device: ChosenDevice, signal?: AbortSignal): Promise<ModelProcess>;
  };
}

/** Decides whether the weights that plans lack may travel. @throws what keeps them from it */
export type Agree = (plans: readonly Plan[], signal?: AbortSignal) => Promise<void>;

/** What a piece of work tells, asks and is given up by. */
export interface Ports extends Pick<MeasureOptions, 'onProgress' | 'onFetched' | 'signal'> {
  agree: Agree;
}
