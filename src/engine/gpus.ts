// Detects the machine's GPUs with the system's own tools.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { graphics } from 'systeminformation';
import { childEnvironment } from '../core/child-environment';

export interface Gpu {
  name: string;
  memoryMiB: number | null;
  driver: string | null;
}

/** None if the tools report nothing. */
export async function listGpus(): Promise<Gpu[]> {
  const { controllers } = await graphics();
  const gpus = controllers.map(({ name, model, memoryTotal, vram, driverVersion }) => ({
    name: name ?? model,
    memoryMiB: memoryTotal ?? vram ?? null,
    driver: driverVersion ?? null,
  }));
  // Containers often have nvidia-smi but not lspci, which finds the others.
  return gpus.length > 0 ? gpus : nvidiaGpus();
}

async function nvidiaGpus(): Promise<Gpu[]> {
  const query = ['--query-gpu=name,memory.total,driver_version', '--format=csv,noheader,nounits'];
  const options = { env: childEnvironment(), timeout: 10_000, killSignal: 'SIGKILL' } as const;
  const said = await promisify(execFile)('nvidia-smi', query, options).catch(() => null);
  const lines = said?.stdout.split('\n').filter(Boolean) ?? [];
  return lines.map((line) => {
    const [name, memory, driver] = line.split(', ');
    return { name: name!, memoryMiB: Number(memory) || null, driver: driver ?? null };
  });
}
