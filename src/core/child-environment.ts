// The environment of child processes: what they need to run and compute, and no secrets. They load native libraries and system tools and
// write crash dumps, so they must not get the hub's token or anything else from the user's shell.

/** Upper case, since Windows ignores case. */
const NAMES = new Set([
  // Programs, folders, language and time.
  ...['PATH', 'HOME', 'USER', 'LOGNAME', 'TMPDIR', 'TEMP', 'TMP', 'LANG', 'LANGUAGE', 'TZ'],
  // Without these Windows loads no system library and runs no PowerShell.
  ...['SYSTEMROOT', 'SYSTEMDRIVE', 'WINDIR', 'COMSPEC', 'PATHEXT', 'PSMODULEPATH', 'OS', 'DRIVERDATA', 'PUBLIC'],
  ...['USERPROFILE', 'HOMEDRIVE', 'HOMEPATH', 'APPDATA', 'LOCALAPPDATA', 'PROGRAMDATA', 'ALLUSERSPROFILE'],
  ...['PROGRAMFILES', 'PROGRAMFILES(X86)', 'PROGRAMW6432', 'COMMONPROGRAMFILES', 'COMMONPROGRAMFILES(X86)'],
  ...['COMMONPROGRAMW6432', 'NUMBER_OF_PROCESSORS'],
  // The editor's executable is Electron.
  'ELECTRON_RUN_AS_NODE',
  // The GPU's driver, and which GPU to use.
  ...['DISPLAY', 'WAYLAND_DISPLAY', 'XAUTHORITY', 'DRI_PRIME', 'AMD_VULKAN_ICD', 'LP_NUM_THREADS'],
  'UV_THREADPOOL_SIZE',
]);

const PREFIXES = [
  // Libraries: the loader's, the C library's, Nix's.
  ...['LD_', 'DYLD_', 'NIX_LD', 'LC_', 'MALLOC_', 'GLIBC_', 'XDG_'],
  // Compute libraries and their thread counts.
  ...['CUDA_', 'CUBLAS_', 'CUDNN_', 'NVIDIA_', 'ORT_', 'OMP_', 'GOMP_', 'KMP_', 'MKL_', 'OPENBLAS_'],
  // Vulkan, its drivers and layers, and the parts of onnxruntime's WebGPU.
  ...['VK_', 'MESA_', 'LIBGL_', 'GALLIUM_', 'RADV_', 'ANV_', 'EGL_', 'DAWN_', '__GL', '__EGL_', '__NV_', '__VK_'],
  'PROCESSOR_',
];

/** NVIDIA_API_KEY is not a driver setting. */
const SECRET = /KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTHORIZATION/;

/** Excludes NODE_OPTIONS: an editor or a debugger sets it for its own processes. */
export function childEnvironment(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => isNeeded(name.toUpperCase())));
}

function isNeeded(name: string): boolean {
  return NAMES.has(name) || (PREFIXES.some((prefix) => name.startsWith(prefix)) && !SECRET.test(name));
}
