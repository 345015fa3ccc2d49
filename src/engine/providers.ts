// onnxruntime's execution providers: where each can be, and how the graphs are written for it.

/** In the order in which `auto` looks for one that can run. */
export const providers = ['cuda', 'dml', 'coreml', 'webgpu', 'cpu'] as const;
export type Provider = (typeof providers)[number];

export const devices = ['auto', ...providers] as const;
export type Device = (typeof devices)[number];

/** How 16-bit weights become single precision: each provider has other operators for it. */
export type Decoder =
  /** The bits are given their format, and cast. */
  | 'bit-cast'
  /** Each element's bits are its index in a table of all 65536 values. */
  | 'gather'
  /** Each element's two bytes are its index in that table: for a provider without 16-bit integers. */
  | 'gather-bytes'
  /** None: the process subtracts the weights itself and gives V. */
  | 'none';

interface ProviderTraits {
  decoder: Decoder;
  /** The version of the ONNX operators: BitCast came with 26, and the GPU's operators are not written for the newest ones. */
  opset: number;
  /** Where onnxruntime for Node.js has it. */
  isBuiltFor: (platform: NodeJS.Platform, arch: string) => boolean;
}

/**
 * Entries of a session's configuration: a node that the provider cannot run is an error, where onnxruntime would move it to the CPU without
 * a word.
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
