// What this machine can compute on: the report of `safe-lora doctor` and of the editor's "Show Compute Devices".
import { execFile } from 'node:child_process';
import { realpath } from 'node:fs/promises';
import { promisify } from 'node:util';
import { type ChosenDevice, type DeviceCheck, type Devices } from './devices';
import { type Provider, providers } from './providers';

export interface Gpu {
  name: string;
  memoryMiB: number | null;
  driver: string | null;
}

export type ProviderReport = { provider: Provider } & DeviceCheck;

export interface DoctorReport {
  schema: 'safe-lora/doctor@1';
  tool: { version: string };
  node: string;
  platform: string;
  onnxruntime: string;
  gpus: Gpu[];
  /** What the CUDA provider needs and where it lies, the file's own name with its version; empty where it is not installed. */
  cudaLibraries: { name: string; path: string }[];
  /** In the order in which `auto` looks at them. */
  providers: ProviderReport[];
  auto: ChosenDevice;
}

/** Tries every provider anew, one after the other, so that none is timed while another computes. */
export async function examine(
  devices: Devices,
  versions: { tool: string; onnxruntime: string },
): Promise<DoctorReport> {
  const checked: ProviderReport[] = [];
  for (const provider of providers) checked.push({ provider, ...(await devices.checkAgain(provider)) });
  return {
    schema: 'safe-lora/doctor@1',
    tool: { version: versions.tool },
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    onnxruntime: versions.onnxruntime,
    gpus: await listGpus(),
    cudaLibraries: await listCudaLibraries(devices),
    providers: checked,
    auto: await devices.choose('auto'),
  };
}

async function listCudaLibraries(devices: Devices): Promise<DoctorReport['cudaLibraries']> {
  const state = await devices.cuda();
  if (state instanceof Error || state.state !== 'ready') return [];
  // The names that are needed are links to files named by version.
  return Promise.all(
    state.libraries.map(async ({ name, path }) => ({ name, path: await realpath(path).catch(() => path) })),
  );
}

/** By the system's own tools; none where these say nothing. */
export async function listGpus(): Promise<Gpu[]> {
  // Loaded for this alone.
  const { graphics } = await import('systeminformation');
  const { controllers } = await graphics();
  const gpus = controllers.map(({ name, model, memoryTotal, vram, driverVersion }) => ({
    name: name ?? model,
    memoryMiB: memoryTotal ?? vram ?? null,
    driver: driverVersion ?? null,
  }));
  // Containers often have nvidia-smi and not lspci, by which the others are found.
  return gpus.length > 0 ? gpus : nvidiaGpus();
}

async function nvidiaGpus(): Promise<Gpu[]> {
  const query = ['--query-gpu=name,memory.total,driver_version', '--format=csv,noheader,nounits'];
  const said = await promisify(execFile)('nvidia-smi', query, { timeout: 10_000 }).catch(() => null);
  const lines = said?.stdout.split('\n').filter(Boolean) ?? [];
  return lines.map((line) => {
    const [name, memory, driver] = line.split(', ');
    return { name: name!, memoryMiB: Number(memory) || null, driver: driver ?? null };
  });
}
