// The package with onnxruntime's CUDA provider, and the files to extract.
import { SafeLoraError } from '../core/errors';

export interface ProviderPackage {
  id: string;
  /** The same as onnxruntime's: another version's provider does not load. */
  version: string;
  /** Paths in the package. Its TensorRT provider (and its headers) are not extracted. */
  files: string[];
  /** Page where a browser downloads the package as one file. */
  page: string;
}

export interface Platform {
  platform: NodeJS.Platform;
  arch: string;
}

export const PROVIDER_FILE = 'libonnxruntime_providers_cuda.so';
export const SHARED_FILE = 'libonnxruntime_providers_shared.so';

/** Why this platform has no CUDA, and what to use; null if it has. The bindings of the other platforms are built without it. */
export function unsupportedReason({ platform, arch }: Platform): string | null {
  if (platform === 'linux' && arch === 'x64') return null;
  const here = `${platform}-${arch}`;
  if (platform === 'darwin') return `there is no CUDA on ${here}; --device coreml uses its GPU`;
  if (platform === 'win32')
    return `onnxruntime for Node.js is built without CUDA on ${here}; --device dml or webgpu uses its GPU`;
  return `onnxruntime for Node.js is built without CUDA on ${here}; use --device cpu`;
}

/** @throws SafeLoraError on a platform without CUDA */
export function providerPackage(version: string, platform: Platform): ProviderPackage {
  const reason = unsupportedReason(platform);
  if (reason !== null) throw nothingToInstall(reason);
  // As in the installation script of onnxruntime-node.
  const id = 'Microsoft.ML.OnnxRuntime.Gpu.Linux';
  return {
    id,
    version,
    files: [PROVIDER_FILE, SHARED_FILE].map((name) => `runtimes/linux-x64/native/${name}`),
    page: `https://www.nuget.org/api/v2/package/${id}/${version}`,
  };
}

/** How to install the package on a machine without a network. */
export function offlineWay({ id, version, page }: ProviderPackage): string {
  return (
    `without a network here, download ${id} ${version} elsewhere from ${page} and give that file to ` +
    `safe-lora install-cuda --archive FILE, or to "Safe LoRA: Install CUDA Provider" in the editor`
  );
}

function nothingToInstall(reason: string): SafeLoraError {
  return new SafeLoraError('device-unavailable', `No CUDA provider to install: ${reason}.`);
}
