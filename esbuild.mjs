// Builds dist/: the extension, the pages, the command line and the engine's child process. With --watch again at each change.
import { build, context } from 'esbuild';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { shippedMetafile } from './supply.mjs';

const versionOf = (path) => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')).version;

rmSync(new URL('dist', import.meta.url), { recursive: true, force: true });
const common = { outdir: 'dist', bundle: true, sourcemap: true, metafile: true, logLevel: 'warning' };
const programs = {
  ...common,
  entryPoints: {
    extension: 'src/host/extension.ts',
    cli: 'src/cli/main.ts',
    'engine-child': 'src/engine/child.ts',
    'model-child': 'src/llm/child.ts',
    'chat-child': 'src/llm/chat-child.ts',
    gpus: 'src/engine/gpus-program.ts',
  },
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  // jsonc-parser's other build requires its parts in a way that no bundler sees.
  mainFields: ['module', 'main'],
  // onnxruntime-node carries native code; the editor itself brings vscode.
  external: ['onnxruntime-node', 'vscode'],
  define: {
    SAFE_LORA_VERSION: JSON.stringify(versionOf('package.json')),
    ONNXRUNTIME_VERSION: JSON.stringify(versionOf('node_modules/onnxruntime-node/package.json')),
  },
};
const pages = {
  ...common,
  entryPoints: { page: 'webview/adapter/main.ts', comparison: 'webview/comparison/main.ts' },
  platform: 'browser',
  target: 'chrome128',
  format: 'iife',
  minify: true,
};

if (process.argv.includes('--watch')) {
  // Who waits for the end waits for all of it.
  let due = 2;
  const told = {
    name: 'told',
    setup({ onStart, onEnd }) {
      let isFirst = true;
      onStart(() => {
        if (!isFirst) due++;
        isFirst = false;
        console.log('building');
      });
      onEnd(() => {
        if (--due === 0) console.log('built');
      });
    },
  };
  for (const options of [programs, pages]) await (await context({ ...options, plugins: [told] })).watch();
} else {
  const results = await Promise.all([programs, pages].map(build));
  // What package.mjs lists as shipped.
  writeFileSync('dist/meta.json', JSON.stringify(shippedMetafile(results.map(({ metafile }) => metafile))));
}
