// What the command line works with: the engine of one run, its devices, and models wherever they are.
import { join } from 'node:path';
import { bytesText } from '../core/bytes';
import { type Plan, remoteTensors } from '../core/plan';
import { type ChosenDevice, Devices } from '../engine/devices';
import { Engine } from '../engine/pool';
import { type Provider } from '../engine/providers';
import { Hub } from '../hub/checkpoint';
import { cacheLimit, endpointOf, isOffline, tokenOf } from '../hub/environment';
import { PairRegistry } from '../hub/pairs';
import { type Services } from '../work/services';
import { openLine } from './network';
import { storageFolder } from './storage';
import { type Terminal } from './terminal';

/** The program as it was built, and where it speaks. */
export interface Program {
  version: string;
  onnxruntimeVersion: string;
  /** The folder of the built programs. */
  folder: string;
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
  /** Bytes for the engine. */
  memory: number;
  offline: boolean;
  quiet: boolean;
  /** The engine begins. */
  onStart: () => void;
}

/** Of one run; to be ended with it. */
export class RunServices implements Services {
  readonly version: string;
  private readonly line = openLine();
  private readonly hub: Hub;
  private running: Engine | undefined;

  /** @throws SafeLoraError where the environment is wrong */
  constructor(
    private readonly program: Program,
    private readonly devices: Devices,
    private readonly options: ServicesOptions,
  ) {
    this.version = program.version;
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

  readonly models: Services['models'] = {
    open: (given, signal) => this.hub.open(given, signal),
    remember: ({ base, aligned }) => new PairRegistry(storageFolder()).remember(base, aligned).catch(() => undefined),
  };

  readonly engine: Services['engine'] = {
    choose: (device, signal) => this.devices.choose(device, signal),
    on: (device) => this.start(device),
  };

  /** At once, whatever is going on. */
  stop(): void {
    this.running?.dispose();
  }

  async end(): Promise<void> {
    this.stop();
    await this.line.close();
  }

  private async start({ provider }: ChosenDevice): Promise<Engine> {
    const { memory, quiet, onStart } = this.options;
    const childPath = childPathIn(this.program);
    const onWait = quiet ? {} : { onWait: this.program.terminal.notice };
    this.running = new Engine({ childPath, memory, ...onWait, ...(await this.devices.process(provider)) });
    onStart();
    return this.running;
  }
}

/** One line for each model that is not here. */
export async function travelLines(plans: readonly Plan[]): Promise<string[]> {
  const lines: string[] = [];
  for (const [model, tensors] of remoteTensors(plans)) {
    const { bytes, cached, modelBytes } = await model.remote!.needed(tensors);
    lines.push(
      `hf://${model.name}: ${bytesText(bytes)} of ${bytesText(modelBytes)} to fetch; ${bytesText(cached)} cached`,
    );
  }
  return lines;
}
