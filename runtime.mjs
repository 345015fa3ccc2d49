// The files of onnxruntime that a platform runs on.
import { existsSync, readdirSync } from 'node:fs';

/** What onnxruntime-node loads on each platform; a new version that brings more fails the check of package.mjs. */
export const binaries = {
  'linux-x64': ['libonnxruntime.so.1', 'onnxruntime_binding.node'],
  'linux-arm64': ['libonnxruntime.so.1', 'onnxruntime_binding.node'],
  'win32-x64': ['DirectML.dll', 'dxcompiler.dll', 'dxil.dll', 'onnxruntime.dll', 'onnxruntime_binding.node'],
  'win32-arm64': ['DirectML.dll', 'dxcompiler.dll', 'dxil.dll', 'onnxruntime.dll', 'onnxruntime_binding.node'],
  'darwin-arm64': ['libonnxruntime.1.dylib', 'onnxruntime_binding.node'],
};

/** A folder's files whose name matches; none where there is no folder. */
export function names(folder, pattern) {
  return existsSync(folder) ? readdirSync(folder).filter((name) => pattern.test(name)) : [];
}

/** In node_modules. */
export const binaryFolder = (target) => `onnxruntime-node/bin/napi-v6/${target.replace('-', '/')}`;

/** The parts of onnxruntime that run on every platform, as paths in node_modules; the current folder is the repository. */
export function runtimeScripts() {
  const scripts = (folder) => names(`node_modules/${folder}`, /\.js$/).map((name) => `${folder}/${name}`);
  return [
    'onnxruntime-node/package.json',
    ...scripts('onnxruntime-node/dist'),
    'onnxruntime-common/package.json',
    'onnxruntime-common/dist/cjs/package.json',
    ...scripts('onnxruntime-common/dist/cjs'),
  ];
}
