// The command line's services: the engine of one run, its devices, and models from folders or the hub.
import { join } from 'node:path';
import { bytesText } from '../core/bytes';
import { type Travel } from '../core/checkpoint';
import { type Plan, remoteTensors } from '../core/plan';
import { type ChosenDevice, Devices } from '../engine/devices';
import { Engine } from '../engine/pool';
import { type Provider } from '../engine/providers';
import { Hub } from '../hub/checkpoint';
import { cacheLimit, endpointOf, isOffline, tokenOf } from '../hub/environment';
import { PairRegistry } from '../hub/pairs';
import { MOST_BYTES } from '../evaluation/prompts';
import { ChatProcess } from '../llm/chat-process';
import { ModelProcess } from '../llm/process';
import { type LanguageServices } from '../work/services';
import { openLine } from './network';
import { storageFolder } from './storage';
import { type Terminal } from './terminal';

/** The built program and its output. */
export interface Program {
  version: string;
  onnxruntimeVersion: string;
  /** The folder of the built programs. */
  folder: string;
  /** How a shell starts it. */
  name: string;
  terminal: Terminal;
}

function childPathIn({ folder }: Program): string {
  return join(folder, 'engine-child.js');
}

export function devicesOf(program: Program, onTry?: (provider: Provider) => void): Devices {
  const { version, onnxruntimeVersion } = program;
  const childPath = childPathIn(program);
  return new Devices({ childPath, storage: storageFolder(), version, onnxruntimeVersion, ...(onTry && { onTry }) });
}

export interface ServicesOptions {
  /** Maximum bytes of the engine. */
  memory: number;
  offline: boolean;
  quiet: boolean;
  /** Called before the engine starts. */
  onStart: () => void;
}

/** For one run; end it afterwards. */
export class RunServices implements LanguageServices {
  readonly version: string;
  readonly onnxruntimeVersion: string;
  private readonly line = openLine();
  private readonly hub: Hub;
  private running: Engine | undefined;
  private model: ModelProcess | undefined;
  private chat: ChatProcess | undefined;
  private readonly stopped = new AbortController();

  /** @throws SafeLoraError for an invalid environment */
  constructor(
    private readonly program: Program,
    private readonly devices: Devices,
    private readonly options: ServicesOptions,
  ) {
    this.version = program.version;
    this.onnxruntimeVersion = program.onnxruntimeVersion;
    const { env } = process;
    this.hub = new Hub({
      storage: storageFolder(env),
      limit: cacheLimit(env),
      offline: options.offline || isOffline(env),
      endpoint: endpointOf(env),
      token: () => tokenOf(env),
      line: { fetch: this.line.fetch },
      ...(options.quiet ? {} : { onNotice: program.terminal.notice }),
    });
  }

  readonly models: LanguageServices['models'] = {
    open: (given, signal) => this.hub.open(given, signal),
    remember: ({ base, aligned }) => new PairRegistry(storageFolder()).remember(base, aligned).catch(() => undefined),
  };

  readonly prompts: LanguageServices['prompts'] = {
    fetch: (given, signal) => this.hub.datasetFile(given, MOST_BYTES, signal),
  };

  readonly engine: LanguageServices['engine'] = {
    choose: (device, signal) => this.devices.choose(device, signal),
    on: (device) => this.start(device),
  };

  readonly language: LanguageServices['language'] = {
    chat: async (source, signal) => {
      const childPath = join(this.program.folder, 'chat-child.js');
      this.chat = await ChatProcess.start({ childPath, ...this.onWait }, source, this.orStopped(signal));
      return this.chat;
    },
    start: async (task, { provider }, signal) => {
      // Measuring is finished, and the model needs the memory.
      await this.running?.end();
      const childPath = join(this.program.folder, 'model-child.js');
      const { environment } = await this.devices.process(provider);
      const options = { childPath, environment, ...this.onWait };
      this.model = await ModelProcess.start(options, task, this.orStopped(signal));
      return this.model;
    },
  };

  /** Ends everything at once. */
  stop(): void {
    this.stopped.abort(new Error('stopped'));
    this.running?.dispose();
    this.model?.end();
    this.chat?.end();
  }

  async end(): Promise<void> {
    this.stop();
    await this.line.close();
  }

  private get onWait(): { onWait?: (text: string) => void } {
    return this.options.quiet ? {} : { onWait: this.program.terminal.notice };
  }

  /** Includes those still starting. */
  private orStopped(signal: AbortSignal | undefined): AbortSignal {
    return signal ? AbortSignal.any([signal, this.stopped.signal]) : this.stopped.signal;
  }

  private async start({ provider }: ChosenDevice): Promise<Engine> {
    const { memory, onStart } = this.options;
    const childPath = childPathIn(this.program);
    this.running = new Engine({ childPath, memory, ...this.onWait, ...(await this.devices.process(provider)) });
    onStart();
    return this.running;
  }
}

/** @param name of the model, with its purpose unless it is measured */
export function travelLine(name: string, { bytes, cached, modelBytes }: Travel): string {
  return `hf://${name}: ${bytesText(bytes)} of ${bytesText(modelBytes)} to fetch; ${bytesText(cached)} cached`;
}

/** One line for each model with missing weights. */
export async function travelLines(plans: readonly Plan[]): Promise<string[]> {
  const lines: string[] = [];
  for (const [model, tensors] of remoteTensors(plans)) {
    lines.push(travelLine(model.name, await model.remote!.needed(tensors)));
  }
  return lines;
}
