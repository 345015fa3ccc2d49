// What a machine has for its GPUs, as the proof says it: the GPUs, NVIDIA's driver, CUDA's libraries and Vulkan's drivers.
import { readFileSync, realpathSync, symlinkSync, mkdirSync, existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { storageFolder } from '../../src/cli/storage';
import { findNeeded, type Library, type Missing } from '../../src/cuda/find';
import { thisMachine } from '../../src/cuda/machine';
import { readNeeded, X86_64 } from '../../src/cuda/needed';
import { PROVIDER_FILE, SHARED_FILE, unsupportedReason } from '../../src/cuda/package';
import { cudaFolder, librariesFolder, providerFolder } from '../../src/cuda/state';
import { type Gpu, listGpus } from '../../src/engine/gpus';
import { type Provider } from '../../src/engine/providers';
import { vulkanDrivers } from '../../src/engine/vulkan';

export interface FoundMachine {
  gpus: Gpu[];
  /** Its own words; null where there is none. */
  nvidiaDriver: string | null;
  /** Null where onnxruntime has no CUDA. */
  cuda: FoundCuda | null;
  /** Null where WebGPU does not go through Vulkan. */
  vulkan: FoundVulkan | null;
}

export interface FoundCuda {
  /** Where onnxruntime's provider is; null where it is not, and the libraries are those that it is known to need. */
  provider: string | null;
  libraries: Library[];
  missing: Missing[];
}

export interface FoundVulkan {
  loader: string | null;
  drivers: VulkanDriver[];
}

export interface VulkanDriver {
  library: string;
  /** Computes on the processor. */
  software: boolean;
}

/** Needed by onnxruntime 1.30's provider. The driver's own library is looked for with CUDA's runtime. */
const KNOWN_NEEDED = ['libcudart.so.12', 'libcublas.so.12', 'libcublasLt.so.12'];

/**
 * Lays links to the CUDA provider and its libraries into a storage of the proof's own: what is installed stays as it is.
 * @param given a folder with onnxruntime's two provider libraries and perhaps CUDA's own, else what the command line has installed
 */
export function layCuda(storage: string, version: string, given: string | undefined): void {
  const installed = storageFolder();
  const from = given === undefined ? providerFolder(installed, version) : resolve(given);
  const to = providerFolder(storage, version);
  mkdirSync(to, { recursive: true });
  for (const name of [PROVIDER_FILE, SHARED_FILE]) {
    const path = join(from, name);
    if (existsSync(path)) symlinkSync(realpathSync(path), join(to, name));
  }
  const libraries = given === undefined ? librariesFolder(installed) : from;
  if (existsSync(libraries)) symlinkSync(realpathSync(libraries), librariesFolder(storage));
}

/** @throws Error where a folder lacks a library of the provider */
export function checkProviderLibraries(folder: string): void {
  const missing = [PROVIDER_FILE, SHARED_FILE].filter((name) => !existsSync(join(folder, name)));
  if (missing.length > 0) throw new Error(`--provider-libs ${folder}: ${missing.join(' and ')} not there`);
}

export async function look(storage: string, version: string): Promise<FoundMachine> {
  return {
    gpus: await listGpus(),
    nvidiaDriver: nvidiaDriver(),
    cuda: await lookForCuda(storage, version),
    vulkan: process.platform === 'linux' ? await lookForVulkan() : null,
  };
}

/** Whether what a provider computes on is a GPU: a Vulkan driver may compute on the processor, and onnxruntime does not tell it apart. */
export function isOnGpu(provider: Provider, { gpus, vulkan }: FoundMachine): boolean {
  if (provider === 'cuda') return true;
  const drivers = vulkan?.drivers ?? [];
  return gpus.length > 0 && !(drivers.length > 0 && drivers.every(({ software }) => software));
}

async function lookForCuda(storage: string, version: string): Promise<FoundCuda | null> {
  const machine = thisMachine();
  if (unsupportedReason(machine) !== null) return null;
  const provider = join(providerFolder(storage, version), PROVIDER_FILE);
  const own = librariesFolder(storage);
  if (existsSync(provider)) {
    const { libraries, missing } = await findNeeded(await readNeeded(provider), provider, own, machine);
    return { provider: realpathSync(provider), libraries, missing };
  }
  const known = { machine: X86_64, needed: KNOWN_NEEDED, runpath: [] };
  const { libraries, missing } = await findNeeded(known, join(cudaFolder(storage), PROVIDER_FILE), own, machine);
  return { provider: null, libraries, missing };
}

function nvidiaDriver(): string | null {
  try {
    return readFileSync('/proc/driver/nvidia/version', 'utf8').split('\n')[0]!;
  } catch {
    return existsSync('/usr/lib/wsl/lib/libcuda.so.1') ? "Windows's, through WSL" : null;
  }
}

async function lookForVulkan(): Promise<FoundVulkan> {
  const folders = [
    '/lib/x86_64-linux-gnu',
    '/usr/lib/x86_64-linux-gnu',
    '/lib64',
    '/usr/lib64',
    '/usr/lib',
    '/run/opengl-driver/lib',
  ];
  const given = (process.env.LD_LIBRARY_PATH ?? '').split(':').filter(Boolean);
  const loader = [...given, ...folders]
    .map((folder) => join(folder, 'libvulkan.so.1'))
    .find((path) => existsSync(path));
  return { loader: loader ?? null, drivers: (await vulkanDrivers()).flatMap(readManifest) };
}

function readManifest(path: string): VulkanDriver[] {
  try {
    const { ICD } = JSON.parse(readFileSync(path, 'utf8')) as { ICD?: { library_path?: string } };
    const library = ICD?.library_path;
    return library === undefined ? [] : [{ library, software: /swiftshader|_lvp/.test(basename(library)) }];
  } catch {
    return [];
  }
}
