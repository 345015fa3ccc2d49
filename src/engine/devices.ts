// Which devices can compute here. Each provider is tried with the very graphs, in a process of its own, once for each state of this
// machine; what came of it is kept, and decides what `auto` takes.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { release } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { SafeLoraError } from '../core/errors';
import { type CudaState, cudaState, linkRuntime } from '../cuda/state';
import { Engine } from './pool';
import { type Device, type Provider, providers, traits } from './providers';
import { type SelfTest, selfTest, TIMED } from './selftest';
import { vulkanDrivers } from './vulkan';

export interface ChosenDevice {
  requested: Device;
  provider: Provider;
  /** Why `auto` did not take a faster one; null where the requested one runs. */
  fallbackReason: string | null;
}

export type DeviceCheck =
  | { usable: true; selfTest: SelfTest }
  /** `remedy` is null where nothing helps. */
  | { usable: false; reason: string; remedy: string | null };

export interface DevicesOptions {
  /** The built engine-child.js. */
  childPath: string;
  /** Where CUDA's provider is installed, and results are kept. */
  storage: string;
  version: string;
  onnxruntimeVersion: string;
}

/** What a provider's processes are started with. */
export interface ProviderProcess {
  provider: Provider;
  environment: NodeJS.ProcessEnv;
}

/** Of a usable device, in similarity: as strict as the accuracy tests. */
export const LARGEST_ERROR = 1e-5;

const MEMORY = 512 * 2 ** 20;

export class Devices {
  private readonly checks = new Map<Provider, Promise<DeviceCheck>>();

  constructor(private readonly options: DevicesOptions) {}

  /** @throws SafeLoraError where a device that was asked for by name cannot run */
  async choose(requested: Device): Promise<ChosenDevice> {
    if (requested === 'auto') return this.chooseFastest();
    const check = requested === 'cpu' ? null : await this.check(requested);
    if (check && !check.usable) {
      const { reason, remedy } = check;
      throw new SafeLoraError(
        'device-unavailable',
        `The device ${requested} cannot be used here: ${reason}; ${remedy ?? 'use --device auto or cpu'}.`,
      );
    }
    return { requested, provider: requested, fallbackReason: null };
  }

  /** How the engine is started on a provider that can run. */
  async process(provider: Provider): Promise<ProviderProcess> {
    if (provider !== 'cuda') return { provider, environment: {} };
    const state = await this.cuda();
    if (state instanceof Error || state.state !== 'ready') return { provider, environment: {} };
    await linkRuntime(state.folder, runtimeLibrary(this.options.childPath));
    const path = [...state.searchPath, process.env.LD_LIBRARY_PATH].filter(Boolean).join(delimiter);
    return { provider, environment: { LD_LIBRARY_PATH: path } };
  }

  /** What is known of a provider, tried now where nothing is. */
  check(provider: Provider): Promise<DeviceCheck> {
    let check = this.checks.get(provider);
    if (!check) {
      check = this.recall(provider);
      this.checks.set(provider, check);
    }
    return check;
  }

  /** CUDA's provider and libraries; an error where the install is damaged or may not be read. */
  cuda(): Promise<CudaState | Error> {
    return cudaState(this.options.storage, this.options.onnxruntimeVersion).catch((error: unknown) => error as Error);
  }

  /** Something that may change what is known was installed or removed. */
  forget(): void {
    this.checks.clear();
  }

  /** Tries a provider, whatever was known. */
  checkAgain(provider: Provider): Promise<DeviceCheck> {
    const check = this.tryAndKeep(provider);
    this.checks.set(provider, check);
    return check;
  }

  private async chooseFastest(): Promise<ChosenDevice> {
    const reasons: string[] = [];
    for (const provider of providers) {
      if (provider === 'cpu' || !traits[provider].isBuiltFor(process.platform, process.arch)) continue;
      const check = await this.check(provider);
      const slower = check.usable ? await this.slowerThanCpu(check.selfTest) : check.reason;
      if (slower === null) return { requested: 'auto', provider, fallbackReason: reasons.join('; ') || null };
      reasons.push(`${provider}: ${slower}`);
    }
    const none = `onnxruntime for Node.js has only the CPU on ${process.platform}-${process.arch}`;
    return { requested: 'auto', provider: 'cpu', fallbackReason: reasons.join('; ') || none };
  }

  /** A Vulkan driver may be a program that computes on the processor, and onnxruntime does not tell it from a GPU. */
  private async slowerThanCpu({ milliseconds }: SelfTest): Promise<string | null> {
    const cpu = await this.check('cpu');
    if (!cpu.usable || milliseconds <= cpu.selfTest.milliseconds) return null;
    const [there, here] = [milliseconds, cpu.selfTest.milliseconds].map((value) => value.toFixed(0));
    return `slower than the CPU here, ${there} ms against ${here} ms a ${TIMED} x ${TIMED} module`;
  }

  private async recall(provider: Provider): Promise<DeviceCheck> {
    const known = (await this.kept())[provider];
    return known?.machine === (await this.machine()) ? known.check : this.tryAndKeep(provider);
  }

  private async tryAndKeep(provider: Provider): Promise<DeviceCheck> {
    const check = await this.try(provider);
    await this.keep(provider, check);
    return check;
  }

  private async try(provider: Provider): Promise<DeviceCheck> {
    const { platform, arch } = process;
    const { childPath } = this.options;
    if (!traits[provider].isBuiltFor(platform, arch)) {
      const reason = `onnxruntime for Node.js does not have it on ${platform}-${arch}`;
      return { usable: false, reason, remedy: null };
    }
    if (provider === 'cuda') {
      const state = await this.cuda();
      if (state instanceof Error) return { usable: false, reason: state.message, remedy: null };
      if (state.state === 'unsupported') return { usable: false, reason: state.reason, remedy: null };
      if (state.state === 'absent') return hasNvidiaDriver() ? notInstalled : noDriver;
      if (state.state === 'incomplete') {
        const missing = state.missing.map(({ name }) => name).join(', ');
        const remedies = state.command ?? state.missing.map(({ advice }) => advice).join('; ');
        return { usable: false, reason: `its provider needs ${missing}`, remedy: remedies };
      }
    }
    if (provider === 'webgpu' && platform === 'linux' && (await vulkanDrivers()).length === 0) return noVulkanDriver;
    const { environment } = await this.process(provider);
    let said = '';
    try {
      const test = await selfTest(
        (options) =>
          new Engine({
            ...options,
            childPath,
            memory: MEMORY,
            workers: 1,
            provider,
            environment,
            onStderr: (text) => (said += text),
          }),
      );
      if (test.similarityError <= LARGEST_ERROR) return { usable: true, selfTest: test };
      const reason = `its similarities are ${test.similarityError.toExponential(1)} away from double precision`;
      return { usable: false, reason, remedy: null };
    } catch (error) {
      return { usable: false, ...causeOf((error as Error).message, said) };
    }
  }

  private async kept(): Promise<Kept> {
    const text = await readFile(this.file, 'utf8').catch(() => '{}');
    try {
      return JSON.parse(text) as Kept;
    } catch {
      return {};
    }
  }

  /** A result that cannot be kept is found again next time. */
  private async keep(provider: Provider, check: DeviceCheck): Promise<void> {
    const kept: Kept = { ...(await this.kept()), [provider]: { machine: await this.machine(), check } };
    const partial = `${this.file}.${process.pid}`;
    try {
      await mkdir(this.options.storage, { recursive: true });
      await writeFile(partial, JSON.stringify(kept, undefined, 2));
      await rename(partial, this.file);
    } catch {
      return;
    }
  }

  private get file(): string {
    return join(this.options.storage, 'devices.json');
  }

  /** All that may change what comes of a try: this program, the drivers and the libraries. */
  private async machine(): Promise<string> {
    const { childPath, version, onnxruntimeVersion } = this.options;
    return JSON.stringify([
      [version, onnxruntimeVersion, changed(childPath), process.platform, process.arch, release()],
      [process.env.LD_LIBRARY_PATH, await vulkanDrivers(), nvidiaDriver()],
      [changed('/etc/ld.so.cache'), await this.cuda()],
    ]);
  }
}

type Kept = Partial<Record<Provider, { machine: string; check: DeviceCheck }>>;

const notInstalled: DeviceCheck = {
  usable: false,
  reason: 'its provider is not installed',
  remedy: 'run safe-lora install-cuda, or "Safe LoRA: Install CUDA Provider" in the editor',
};
const noVulkanDriver: DeviceCheck = {
  usable: false,
  reason: 'Vulkan has no driver',
  remedy: "install the GPU's driver",
};
const noDriver: DeviceCheck = {
  usable: false,
  reason: 'there is no NVIDIA driver',
  remedy: 'on a machine with an NVIDIA GPU, install its driver and then the CUDA provider',
};

/** The native cause is said on standard error only, and the thrown text tells little without it. */
function causeOf(thrown: string, said: string): { reason: string; remedy: string | null } {
  // eslint-disable-next-line no-control-regex
  const text = said.replace(/\x1b\[[\d;]*m/g, '');
  const library = /Failed to (?:load library|get symbol) .* with error: (.+)/.exec(text)?.[1];
  if (library) {
    const remedy = 'install what is missing, or run safe-lora install-cuda again';
    return { reason: `its library does not load (${library.trim()})`, remedy };
  }
  const loader = /Couldn't load Vulkan: (.+)/.exec(text)?.[1];
  if (loader) {
    const remedy = "install the Vulkan loader (Debian's and Ubuntu's libvulkan1) and the GPU's driver";
    return { reason: `Vulkan is not installed (${loader.trim()})`, remedy };
  }
  if (thrown.includes('Failed to get a WebGPU adapter')) {
    const why = /Found no drivers|INCOMPATIBLE_DRIVER/.test(text) ? 'Vulkan has no driver' : 'no GPU answers';
    return { reason: why, remedy: "install the GPU's driver" };
  }
  const ended = /^The engine's process (.+) while it computed/.exec(thrown)?.[1];
  if (ended) return { reason: `its process ${ended}`, remedy: null };
  return { reason: thrown.replace(/^The engine failed at self-test: /, ''), remedy: null };
}

function nvidiaDriver(): string | null {
  try {
    return readFileSync('/proc/driver/nvidia/version', 'utf8');
  } catch {
    return null;
  }
}

/** Under WSL the driver is Windows's. */
function hasNvidiaDriver(): boolean {
  return nvidiaDriver() !== null || existsSync('/usr/lib/wsl/lib/libcuda.so.1');
}

function changed(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? null;
}

/** onnxruntime's own library, as the engine's processes load it. */
function runtimeLibrary(childPath: string): string {
  const main = createRequire(childPath).resolve('onnxruntime-node');
  return join(dirname(main), '..', 'bin', 'napi-v6', process.platform, process.arch, 'libonnxruntime.so.1');
}
