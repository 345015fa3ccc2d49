// The engines of all editors: one per device in use, started for its first module, stopped some seconds after its last user.
import { join } from 'node:path';
import * as vscode from 'vscode';
import { type ChosenDevice, Devices } from '../../engine/devices';
import { Engine } from '../../engine/pool';
import { type Device, type Provider } from '../../engine/providers';
import { SECTION } from '../common/contributions';
import { Disposable } from '../common/dispose';
import { setting } from '../settings/settings';
import { type Log } from '../common/surface';

declare const SAFE_LORA_VERSION: string;
declare const ONNXRUNTIME_VERSION: string;

/** Long enough to close one editor and open the next without a restart (about 150 ms). */
const LINGER_MS = 5000;

export class EngineService extends Disposable {
  readonly devices: Devices;
  private readonly childPath: string;
  private readonly engines = new Map<Provider, Engine>();
  private users = 0;
  private stopping: NodeJS.Timeout | undefined;

  /** @param storage of the installed providers and cached results */
  constructor(
    extensionPath: string,
    storage: string,
    private readonly log: Log,
  ) {
    super();
    this.childPath = join(extensionPath, 'dist', 'engine-child.js');
    this.devices = new Devices({
      childPath: this.childPath,
      storage,
      version: SAFE_LORA_VERSION,
      onnxruntimeVersion: ONNXRUNTIME_VERSION,
    });
    this._register(
      vscode.workspace.onDidChangeConfiguration((change) => {
        const affects = ['memoryBudget', 'workers'].some((name) => change.affectsConfiguration(`${SECTION}.${name}`));
        if (affects && this.users === 0) this.stop();
      }),
    );
  }

  /** The engines run while they have users. */
  hold(): vscode.Disposable {
    this.users++;
    clearTimeout(this.stopping);
    let held = true;
    return new vscode.Disposable(() => {
      if (!held) return;
      held = false;
      if (--this.users > 0) return;
      this.stopping = setTimeout(() => {
        this.stop();
      }, LINGER_MS);
    });
  }

  /** @throws SafeLoraError if an explicitly named device cannot run; the signal's reason */
  choose(device: Device, signal?: AbortSignal): Promise<ChosenDevice> {
    return this.devices.choose(device, signal);
  }

  /** The engine on a device that can run. */
  async on({ provider }: ChosenDevice): Promise<Engine> {
    const running = this.engines.get(provider);
    if (running) return running;
    const started = await this.devices.process(provider);
    let engine = this.engines.get(provider);
    if (!engine) {
      // Each may use the whole memory budget.
      this.rest();
      const workers = setting('workers');
      engine = new Engine({
        ...started,
        childPath: this.childPath,
        memory: setting('memoryBudget') * 2 ** 20,
        ...(workers > 0 ? { workers } : {}),
        background: true,
        onStderr: (text) => {
          this.log.warn(`engine: ${text.trimEnd()}`);
        },
        onWait: (text) => {
          this.log.info(text);
        },
      });
      this.engines.set(provider, engine);
    }
    return engine;
  }

  /** Ends the engines that compute nothing: something else needs the memory. */
  rest(): void {
    for (const [provider, engine] of this.engines) if (engine.isIdle) this.end(provider, engine);
  }

  override dispose(): void {
    clearTimeout(this.stopping);
    this.stop();
    this.devices.dispose();
    super.dispose();
  }

  private stop(): void {
    for (const [provider, engine] of this.engines) this.end(provider, engine);
  }

  private end(provider: Provider, engine: Engine): void {
    engine.dispose();
    this.engines.delete(provider);
  }
}
