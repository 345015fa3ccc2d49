// Detects the devices that can compute here. Each provider is tested with the real graphs, in a process of its own, once per state of this
// machine; the results are cached, and `auto` chooses by them.
import { rmSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { release, tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { readOwnText } from '../core/files';
import { orAborted } from '../core/aborting';
import { isObject } from '../core/objects';
import { replaceFile } from '../core/atomic';
import { type CudaState, cudaState, linkRuntime } from '../cuda/state';
import { causeOf, lackOf, noVulkanDriver, nvidiaDriver, sentence, type Unusable, unavailable } from './device-reasons';
import { cpuWorkers, Engine } from './pool';
import { type Device, type Provider, providers, traits } from './providers';
import { type SelfTest, selfTest, TIMED } from './selftest';
import { vulkanDrivers } from './vulkan';

export interface ChosenDevice {
  requested: Device;
  provider: Provider;
  /** Why `auto` did not choose a faster one; null if the requested one runs. */
  fallbackReason: string | null;
}

export type DeviceCheck = { usable: true; selfTest: SelfTest } | Unusable;

export interface DevicesOptions {
  /** The built engine-child.js. */
  childPath: string;
  /** The folder of CUDA's provider and of cached results. */
  storage: string;
  version: string;
  onnxruntimeVersion: string;
  /** A device is being tested, which takes seconds. */
  onTry?: (provider: Provider) => void;
}

/** Start options of a provider's processes. */
export interface ProviderProcess {
  provider: Provider;
  environment: NodeJS.ProcessEnv;
}

/** Largest error of a usable device, in similarity: as strict as the accuracy tests. */
export const LARGEST_ERROR = 1e-5;

const MEMORY = 512 * 2 ** 20;

/** Timeout for a device that does not answer; compiling for it may take a while. */
const DEADLINE_MS = 60_000;

/** A failure may be temporary, such as a busy GPU. */
const FAILURE_KEPT_MS = 3_600_000;

interface KeptCheck {
  /** Everything that the result depends on, see `machine`. */
  machine: string;
  /** Milliseconds since 1970. */
  at: number;
  check: DeviceCheck;
}

type Kept = Partial<Record<Provider, KeptCheck>>;

export class Devices {
  private readonly known: Kept = {};
  private keeping: Promise<void> = Promise.resolve();
  private readonly trying = new Map<Provider, Promise<DeviceCheck>>();
  private readonly engines = new Set<Engine>();
  private readonly folders = new Set<string>();

  constructor(private readonly options: DevicesOptions) {}

  /**
   * @param signal cancels the wait for a device
   * @throws SafeLoraError where an explicitly named device cannot run; the signal's reason
   */
  async choose(requested: Device, signal?: AbortSignal): Promise<ChosenDevice> {
    if (requested === 'auto') return this.chooseFastest(signal);
    const check = requested === 'cpu' ? null : await this.checkNamed(requested, signal);
    if (check && !check.usable) {
      const { reason, remedy } = check;
      throw unavailable(requested, reason, remedy);
    }
    return { requested, provider: requested, fallbackReason: null };
  }

  /** How to start the engine on a provider that can run. */
  async process(provider: Provider): Promise<ProviderProcess> {
    const state = provider === 'cuda' ? await this.cuda() : null;
    if (state === null || state instanceof Error || state.state !== 'ready') return { provider, environment: {} };
    await linkRuntime(state.folder, runtimeLibrary(this.options.childPath));
    const path = [...state.searchPath, process.env.LD_LIBRARY_PATH].filter(Boolean).join(delimiter);
    return { provider, environment: { LD_LIBRARY_PATH: path } };
  }

  /** CUDA's provider and libraries; an error if the install is damaged or unreadable. */
  cuda(): Promise<CudaState | Error> {
    return cudaState(this.options.storage, this.options.onnxruntimeVersion).catch((error: unknown) => error as Error);
  }

  /** The cached result of a provider on this machine, or that of a new test. */
  private async check(provider: Provider, machine: Promise<string>): Promise<DeviceCheck> {
    return (await this.recall(provider, machine)) ?? this.checkAgain(provider);
  }

  /** Tests a provider, whatever is cached. */
  checkAgain(provider: Provider): Promise<DeviceCheck> {
    let trying = this.trying.get(provider);
    if (!trying) {
      trying = this.tryAndKeep(provider).finally(() => this.trying.delete(provider));
      this.trying.set(provider, trying);
    }
    return trying;
  }

  /** Cancels running tests, and discards their results. */
  dispose(): void {
    for (const engine of this.engines) engine.dispose();
    for (const folder of this.folders) rmSync(folder, { recursive: true, force: true });
  }

  /** A device named explicitly is retried: the user may have just fixed it. */
  private async checkNamed(provider: Provider, signal: AbortSignal | undefined): Promise<DeviceCheck> {
    const known = await this.recall(provider, this.machine());
    return known?.usable ? known : orAborted(this.checkAgain(provider), signal);
  }

  private async chooseFastest(signal: AbortSignal | undefined): Promise<ChosenDevice> {
    const reasons: string[] = [];
    const machine = this.machine();
    for (const provider of providers) {
      if (provider === 'cpu' || !traits[provider].isBuiltFor(process.platform, process.arch)) continue;
      const check = await orAborted(this.check(provider, machine), signal);
      const against = check.usable
        ? await orAborted(this.slowerThanCpu(check.selfTest, machine), signal)
        : check.reason;
      if (against === null) return { requested: 'auto', provider, fallbackReason: reasons.join('; ') || null };
      reasons.push(`${provider}: ${against}`);
    }
    const none = `onnxruntime for Node.js has only the CPU on ${process.platform}-${process.arch}`;
    return { requested: 'auto', provider: 'cpu', fallbackReason: reasons.join('; ') || none };
  }

  /** A Vulkan driver may run on the CPU, and onnxruntime does not distinguish it from a GPU. */
  private async slowerThanCpu({ milliseconds }: SelfTest, machine: Promise<string>): Promise<string | null> {
    const cpu = await this.check('cpu', machine);
    if (!cpu.usable) return null;
    // Its processes each compute a module at the same time.
    const perModule = cpu.selfTest.milliseconds / cpuWorkers();
    if (milliseconds <= perModule) return null;
    const [there, here] = [milliseconds, perModule].map((value) => value.toFixed(0));
    return `slower than the CPU here, ${there} ms against ${here} ms a ${TIMED} x ${TIMED} module`;
  }

  private async recall(provider: Provider, machine: Promise<string>): Promise<DeviceCheck | null> {
    const known = this.known[provider] ?? (await this.kept())[provider];
    if (known?.machine !== (await machine)) return null;
    return known.check.usable || Date.now() - known.at < FAILURE_KEPT_MS ? known.check : null;
  }

  private async tryAndKeep(provider: Provider): Promise<DeviceCheck> {
    const check = await this.try(provider).catch((error: unknown): DeviceCheck => ({
      usable: false,
      reason: sentence((error as Error).message),
      remedy: null,
    }));
    await this.keep(provider, check);
    return check;
  }

  private async try(provider: Provider): Promise<DeviceCheck> {
    const { platform, arch } = process;
    if (provider === 'cuda') {
      const missing = lackOf(await this.cuda());
      if (missing) return missing;
    }
    if (!traits[provider].isBuiltFor(platform, arch)) {
      const reason = `onnxruntime for Node.js does not have it on ${platform}-${arch}`;
      return { usable: false, reason, remedy: null };
    }
    if (provider === 'webgpu' && platform === 'linux' && (await vulkanDrivers()).length === 0) return noVulkanDriver;
    return this.test(await this.process(provider));
  }

  private async test(started: ProviderProcess): Promise<DeviceCheck> {
    this.options.onTry?.(started.provider);
    const engines: Engine[] = [];
    let said = '';
    const start = (options: { largestBlock?: number }): Engine => {
      const onStderr = (text: string): void => void (said += text);
      const { childPath } = this.options;
      const engine = new Engine({ ...started, ...options, childPath, memory: MEMORY, workers: 1, onStderr });
      engines.push(engine);
      this.engines.add(engine);
      return engine;
    };
    const end = (): Promise<unknown> => Promise.all(engines.map((engine) => engine.end()));
    const folder = await mkdtemp(join(tmpdir(), 'safe-lora-device-'));
    this.folders.add(folder);
    const deadline = setTimeout(() => void end(), DEADLINE_MS);
    const began = performance.now();
    try {
      const test = await selfTest(start, folder);
      if (test.similarityError <= LARGEST_ERROR) return { usable: true, selfTest: test };
      const reason = `its similarities are ${test.similarityError.toExponential(1)} away from double precision`;
      return { usable: false, reason, remedy: null };
    } catch (error) {
      // The cause may still arrive.
      await end();
      if (performance.now() - began < DEADLINE_MS) return { usable: false, ...causeOf(error as Error, said) };
      return { usable: false, reason: `it did not answer within ${DEADLINE_MS / 1000} s`, remedy: null };
    } finally {
      clearTimeout(deadline);
      await end();
      for (const engine of engines) this.engines.delete(engine);
      await rm(folder, { recursive: true, force: true });
      this.folders.delete(folder);
    }
  }

  private async kept(): Promise<Kept> {
    const text = (await readOwnText(this.file)) ?? '';
    try {
      const found: unknown = JSON.parse(text);
      return isObject(found) ? Object.fromEntries(Object.entries(found).filter(([, entry]) => isKept(entry))) : {};
    } catch {
      return {};
    }
  }

  /** If the storage is not writable, the result is kept in this process only. */
  private async keep(provider: Provider, check: DeviceCheck): Promise<void> {
    const entry: KeptCheck = { machine: await this.machine(), at: Date.now(), check };
    this.known[provider] = entry;
    // One after the other, since each also writes the others' results.
    this.keeping = this.keeping.then(() => this.write(provider, entry)).catch(() => undefined);
    await this.keeping;
  }

  private async write(provider: Provider, entry: KeptCheck): Promise<void> {
    const text = JSON.stringify({ ...(await this.kept()), [provider]: entry }, undefined, 2);
    await mkdir(this.options.storage, { recursive: true });
    await replaceFile(this.file, (temporary) => writeFile(temporary, text));
  }

  private get file(): string {
    return join(this.options.storage, 'devices.json');
  }

  /** Everything that may change a test's result: this program, the drivers and the libraries. */
  private async machine(): Promise<string> {
    const { childPath, version, onnxruntimeVersion } = this.options;
    const { LD_LIBRARY_PATH, CUDA_VISIBLE_DEVICES } = process.env;
    const cuda = await this.cuda();
    const libraries = cuda instanceof Error || cuda.state !== 'ready' ? [] : cuda.libraries.map(({ path }) => path);
    const folder =
      cuda instanceof Error || !('folder' in cuda)
        ? []
        : (await readdir(cuda.folder)).map((name) => join(cuda.folder, name));
    const files = [childPath, '/etc/ld.so.cache', ...(await vulkanDrivers()), ...folder, ...libraries];
    return JSON.stringify([
      [version, onnxruntimeVersion, process.platform, process.arch, release()],
      [LD_LIBRARY_PATH, CUDA_VISIBLE_DEVICES, nvidiaDriver()],
      cuda instanceof Error ? cuda.message : cuda,
      files.map((path) => [path, changed(path)]),
    ]);
  }
}

function isKept(entry: unknown): entry is KeptCheck {
  return isObject(entry) && typeof entry.machine === 'string' && typeof entry.at === 'number' && isObject(entry.check);
}

function changed(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? null;
}

/** onnxruntime's own library, as the engine's processes load it. */
function runtimeLibrary(childPath: string): string {
  const main = createRequire(childPath).resolve('onnxruntime-node');
  return join(dirname(main), '..', 'bin', 'napi-v6', process.platform, process.arch, 'libonnxruntime.so.1');
}
