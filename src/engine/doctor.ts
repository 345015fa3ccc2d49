// The devices that this machine can compute on: the checks of `safe-lora doctor` and of the editor's "Show Compute Devices".
import { fork } from 'node:child_process';
import { realpath } from 'node:fs/promises';
import { childEnvironment } from '../core/child-environment';
import { type ChosenDevice, type DeviceCheck, type Devices } from './devices';
import { type Gpu } from './gpus';
import { type Provider, providers } from './providers';

const GPUS_TIMEOUT_MS = 20_000;

export type ProviderCheck = { provider: Provider } & DeviceCheck;

export interface DoctorChecks {
  schema: 'safe-lora/doctor@1';
  tool: { version: string };
  node: string;
  platform: string;
  onnxruntime: string;
  gpus: Gpu[];
  /** The CUDA provider's libraries and their paths, each file name with its version; empty if it is not installed. */
  cudaLibraries: { name: string; path: string }[];
  /** In the order in which `auto` checks them. */
  providers: ProviderCheck[];
  auto: ChosenDevice;
}

/** Tests every provider again, one after the other, so that none is timed while another computes. */
export async function examine(
  devices: Devices,
  versions: { tool: string; onnxruntime: string; gpusProgram: string },
): Promise<DoctorChecks> {
  const checked: ProviderCheck[] = [];
  for (const provider of providers) checked.push({ provider, ...(await devices.checkAgain(provider)) });
  return {
    schema: 'safe-lora/doctor@1',
    tool: { version: versions.tool },
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    onnxruntime: versions.onnxruntime,
    gpus: await askForGpus(versions.gpusProgram),
    cudaLibraries: await listCudaLibraries(devices),
    providers: checked,
    auto: await devices.choose('auto'),
  };
}

async function listCudaLibraries(devices: Devices): Promise<DoctorChecks['cudaLibraries']> {
  const state = await devices.cuda();
  if (state instanceof Error || state.state !== 'ready') return [];
  // The required names are links to files named by version.
  return Promise.all(
    state.libraries.map(async ({ name, path }) => ({ name, path: await realpath(path).catch(() => path) })),
  );
}

/** Runs in a separate process: the library is large, and blocks while it waits for the system's tools. */
async function askForGpus(program: string): Promise<Gpu[]> {
  const child = fork(program, [], { execArgv: [], env: childEnvironment(), stdio: 'ignore' });
  return new Promise((resolve) => {
    const giveUp = setTimeout(() => {
      // A stopped process, or one waiting for a driver, ignores milder signals, and may outlive this one.
      child.kill('SIGKILL');
      child.unref();
      if (child.connected) child.disconnect();
      resolve([]);
    }, GPUS_TIMEOUT_MS);
    child.on('message', (gpus) => {
      resolve(gpus as Gpu[]);
    });
    for (const end of ['error', 'close'])
      child.on(end, () => {
        clearTimeout(giveUp);
        resolve([]);
      });
  });
}
