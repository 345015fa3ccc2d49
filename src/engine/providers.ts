// The execution providers by name, and which of them a request comes to.
import { SafeLoraError } from '../core/errors';

export const devices = ['auto', 'cuda', 'webgpu', 'dml', 'coreml', 'cpu'] as const;
export type Device = (typeof devices)[number];

export interface ChosenDevice {
  requested: Device;
  provider: Exclude<Device, 'auto'>;
  /** Why `auto` did not take a faster one; null where the requested one runs. */
  fallbackReason: string | null;
}

/** @throws SafeLoraError where a device that was asked for by name cannot run */
export function chooseDevice(requested: Device): ChosenDevice {
  if (requested === 'auto')
    return { requested, provider: 'cpu', fallbackReason: 'this version computes on the CPU only' };
  if (requested === 'cpu') return { requested, provider: 'cpu', fallbackReason: null };
  throw new SafeLoraError(
    'device-unavailable',
    `--device ${requested}: this version computes on the CPU only; use --device cpu or auto.`,
  );
}
