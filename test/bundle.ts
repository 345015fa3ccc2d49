// Bundles the programs of the bench, of the GPU's proof and of the fuzzer into dist/, beside the engine's child: onnxruntime is found from there, and
// packages take only *.js of that folder.
import { join } from 'node:path';
import { build } from 'esbuild';
import { root } from './fixtures/make';

const sources = {
  bench: 'test/bench/bench.ts',
  'bench-worker': 'test/bench/worker.ts',
  'gpu-accuracy': 'test/engine/accuracy.gpu.ts',
  'gpu-models': 'test/llm/families.gpu.ts',
  'gpu-proof': 'test/proof/proof.ts',
  'fuzz-worker': 'test/attack/fuzz/worker.ts',
} as const;
export type Bundle = keyof typeof sources;

/** For cases of milliseconds in a process without an editor. */
const stubs = {
  vscode: join(root, 'test/attack/fuzz/vscode.ts'),
  'node:fs/promises': join(root, 'test/attack/fuzz/promises.ts'),
};

export async function bundle(...names: Bundle[]): Promise<void> {
  await build({
    entryPoints: names.map((name) => ({ in: join(root, sources[name]), out: name })),
    outdir: join(root, 'dist'),
    outExtension: { '.js': '.cjs' },
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    external: ['onnxruntime-node'],
    // As in the product's own bundle: jsonc-parser's other form cannot be bundled.
    mainFields: ['module', 'main'],
    alias: names.includes('fuzz-worker') ? stubs : {},
    // test/fixtures finds the repository from its own folder, two folders down.
    define: { 'import.meta.dirname': 'sourceFolder', 'import.meta.filename': 'undefined' },
    banner: { js: `const sourceFolder = require('node:path').join(__dirname, '../test/fixtures');` },
    logLevel: 'warning',
  });
}

if (process.argv[1] === import.meta.filename) void bundle(...(process.argv.slice(2) as Bundle[]));
