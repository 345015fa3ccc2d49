// Finds the package that contains a CUDA library, from the library's own name and version.

/** By the start of a library's name: the part of its PyPI package between "nvidia-" and "-cu12". */
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
/** Libraries whose own version does not reveal CUDA's; from CUDA 13 on, only their PyPI names still contain it. */
const ACROSS_CUDA = ['cudnn', 'nccl'];

interface Component {
  /** The name without its extension. */
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
 * The package on PyPI with its version, in pip's syntax; null if pip cannot install it.
 * @param needed the provider's libraries; the runtime's and cuBLAS's names reveal CUDA's version
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
