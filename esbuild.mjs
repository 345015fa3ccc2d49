// Builds dist/: the command line and the engine's child process. onnxruntime-node stays outside, it carries native code.
import { build } from 'esbuild';
import { readFileSync, rmSync } from 'node:fs';

const versionOf = (path) => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')).version;

rmSync(new URL('dist', import.meta.url), { recursive: true, force: true });
await build({
  entryPoints: { cli: 'src/cli/main.ts', 'engine-child': 'src/engine/child.ts' },
  outdir: 'dist',
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  external: ['onnxruntime-node'],
  define: {
    SAFE_LORA_VERSION: JSON.stringify(versionOf('package.json')),
    ONNXRUNTIME_VERSION: JSON.stringify(versionOf('node_modules/onnxruntime-node/package.json')),
  },
  sourcemap: true,
  logLevel: 'warning',
});
