// Why a device cannot be used, and what would help: the messages of a failed test.
import { existsSync, readFileSync } from 'node:fs';
import { SafeLoraError } from '../core/errors';
import { type CudaState } from '../cuda/state';
import { EngineError } from './failure';
import { type Device } from './providers';

export interface Unusable {
  usable: false;
  reason: string;
  /** Null if nothing helps. */
  remedy: string | null;
}

/** Why CUDA cannot even be tested; null if it can. */
export function lackOf(state: CudaState | Error): Unusable | null {
  if (state instanceof Error) return { usable: false, reason: sentence(state.message), remedy: null };
  switch (state.state) {
    case 'ready':
      return null;
    case 'unsupported':
      return { usable: false, reason: state.reason, remedy: null };
    case 'absent':
      return hasNvidiaDriver() ? notInstalled : noDriver;
    case 'incomplete': {
      const { missing, command } = state;
      const advice = missing.map(({ name, advice: what }) => `${name} ${what}`).join('; ');
      return {
        usable: false,
        reason: `its provider needs ${missing.map(({ name }) => name).join(', ')}`,
        remedy: command === null ? advice : `${advice}; all that pip brings: ${command}`,
      };
    }
  }
}

/** As part of another sentence. */
export function sentence(text: string): string {
  return text.replace(/\.$/, '');
}

const notInstalled: Unusable = {
  usable: false,
  reason: 'its provider is not installed',
  remedy: 'run safe-lora install-cuda, or "Safe LoRA: Install CUDA Provider" in the editor',
};
export const noVulkanDriver: Unusable = {
  usable: false,
  reason: 'Vulkan has no driver',
  remedy: "install the GPU's driver",
};
const noDriver: Unusable = {
  usable: false,
  reason: 'there is no NVIDIA driver',
  remedy: 'on a machine with an NVIDIA GPU, install its driver and then the CUDA provider',
};

/** Only standard error has the native cause; the thrown text says little without it. */
export function causeOf(error: Error, said: string): Omit<Unusable, 'usable'> {
  // eslint-disable-next-line no-control-regex
  const text = said.replace(/\x1b\[[\d;]*m/g, '');
  const library = /Failed to (?:load library|get symbol) .* with error: (.+)/.exec(text)?.[1];
  if (library) {
    const remedy = 'install what is missing, or run safe-lora install-cuda again';
    return { reason: `its library cannot be loaded (${library.trim()})`, remedy };
  }
  const loader = /Couldn't load Vulkan: (.+)/.exec(text)?.[1];
  if (loader) {
    const remedy = "install the Vulkan loader (Debian's and Ubuntu's libvulkan1) and the GPU's driver";
    return { reason: `Vulkan is not installed (${loader.trim()})`, remedy };
  }
  const thrown = error instanceof EngineError ? error.reason : error.message;
  // onnxruntime throws text only.
  if (thrown.includes('Failed to get a WebGPU adapter')) {
    const why = /Found no drivers|INCOMPATIBLE_DRIVER/.test(text) ? 'Vulkan has no driver' : 'no GPU answers';
    return { reason: why, remedy: "install the GPU's driver" };
  }
  return { reason: sentence(thrown), remedy: null };
}

export function nvidiaDriver(): string | null {
  try {
    return readFileSync('/proc/driver/nvidia/version', 'utf8');
  } catch {
    return null;
  }
}

/** Under WSL, Windows provides the driver. */
function hasNvidiaDriver(): boolean {
  return nvidiaDriver() !== null || existsSync('/usr/lib/wsl/lib/libcuda.so.1');
}

export function unavailable(device: Device, reason: string, remedy: string | null): SafeLoraError {
  return new SafeLoraError(
    'device-unavailable',
    `The device ${device} cannot be used: ${reason}; ${remedy ?? 'use --device auto or cpu'}.`,
  );
}
