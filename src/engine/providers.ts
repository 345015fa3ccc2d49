// onnxruntime's execution providers: their platforms, and how their graphs are written.

/** In the order in which `auto` tests them. */
export const providers = ['cuda', 'dml', 'coreml', 'webgpu', 'cpu'] as const;
export type Provider = (typeof providers)[number];

export const devices = ['auto', ...providers] as const;
export type Device = (typeof devices)[number];

/** How 16-bit weights become single precision: the operators differ by provider. */
export type Decoder =
  /** Reinterprets the bits, and casts. */
  | 'bit-cast'
  /** Uses each element's bits as an index into a table of all 65536 values. */
  | 'gather'
  /** Uses each element's two bytes as an index into that table: for a provider without 16-bit integers. */
  | 'gather-bytes'
  /** None: the process subtracts the weights itself and passes V. */
  | 'none';

interface ProviderTraits {
  decoder: Decoder;
  /** The version of the ONNX operators: BitCast came with 26, and the GPU's operators do not support the newest ones. */
  opset: number;
  /** Platforms where onnxruntime for Node.js includes it. */
  isBuiltFor: (platform: NodeJS.Platform, arch: string) => boolean;
}

/**
 * Session configuration entries: a node that the provider cannot run is an error; by default onnxruntime silently moves it to the CPU.
 */
export function strictSession(provider: Provider): Record<string, string> {
  return provider === 'cpu' ? {} : { disable_cpu_ep_fallback: '1' };
}

export const traits: Readonly<Record<Provider, ProviderTraits>> = {
  cuda: {
    decoder: 'gather',
    opset: 17,
    isBuiltFor: (platform, arch) => platform === 'linux' && arch === 'x64',
  },
  dml: { decoder: 'gather', opset: 17, isBuiltFor: (platform) => platform === 'win32' },
  coreml: {
    decoder: 'none',
    opset: 17,
    isBuiltFor: (platform, arch) => platform === 'darwin' && arch === 'arm64',
  },
  webgpu: {
    decoder: 'gather-bytes',
    opset: 17,
    isBuiltFor: (platform, arch) => platform !== 'linux' || arch === 'x64',
  },
  cpu: { decoder: 'bit-cast', opset: 26, isBuiltFor: () => true },
};
