// Which package brings a library of CUDA, from the library's own name and version.

/** By the beginning of a library's name: what the packages on PyPI are called between "nvidia-" and "-cu12". */
const components: [RegExp, string][] = [
  [/^libcudart$/, 'cuda-runtime'],
  [/^libcublas(?:Lt)?$/, 'cublas'],
  [/^libcudnn/, 'cudnn'],
  [/^libcufft$/, 'cufft'],
  [/^libcurand$/, 'curand'],
  [/^libcusparse$/, 'cusparse'],
  [/^libcusolver$/, 'cusolver'],
  [/^libnvrtc/, 'cuda-nvrtc'],
  [/^libnvJitLink$/, 'nvjitlink'],
  [/^libcupti$/, 'cuda-cupti'],
  [/^libnccl$/, 'nccl'],
];
/** Those whose own version says nothing about CUDA's; on PyPI they name it even where the others no longer do, from CUDA 13 on. */
const ACROSS_CUDA = ['cudnn', 'nccl'];

interface Component {
  /** The name without its ending. */
  stem: string;
  component: string;
  version: number;
}

function componentOf(name: string): Component | null {
  const [, stem, version] = /^(lib[\w+-]+)\.so\.(\d+)/.exec(name) ?? [];
  const component = components.find(([pattern]) => stem !== undefined && pattern.test(stem))?.[1];
  return stem !== undefined && component !== undefined ? { stem, component, version: Number(version) } : null;
}

export const isCudaLibrary = (name: string): boolean => name.startsWith('libcuda.so') || componentOf(name) !== null;

/**
 * The package on PyPI with its version, as pip takes it; null for what pip does not bring.
 * @param needed what the provider needs, of which CUDA's version is read: that of its runtime and of cuBLAS
 */
export function pipPackage(name: string, needed: readonly string[]): string | null {
  const found = componentOf(name);
  const cuda = needed.map(componentOf).find((other) => /^lib(?:cudart|cublas)/.test(other?.stem ?? ''))?.version;
  if (!found || cuda === undefined) return null;
  const suffix = cuda <= 12 || ACROSS_CUDA.includes(found.component) ? `-cu${cuda}` : '';
  return `nvidia-${found.component}${suffix}==${found.version}.*`;
}

export function advice(name: string, needed: readonly string[]): string {
  if (name.startsWith('libcuda.so')) return 'comes with the NVIDIA driver; where nvidia-smi runs, the driver is there';
  const pip = pipPackage(name, needed);
  if (pip === null) return 'comes with a package of this system; search for its name there';
  const { stem, component, version } = componentOf(name)!;
  // cuDNN is in NVIDIA's own repository only; the other names are those of Debian and Ubuntu.
  const cuda = /-cu(\d+)/.exec(pip)?.[1];
  const apt = component === 'cudnn' ? `libcudnn${version}-cuda-${cuda!}` : `${stem.toLowerCase()}${version}`;
  return `comes with pip's ${pip} or apt's ${apt}`;
}
