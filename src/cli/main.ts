#!/usr/bin/env node
// The program safe-lora: runs one call and exits with its status.
import { basename, relative } from 'node:path';
import { quoted } from './proposals';
import { run } from './program';
import { onEndingSignal } from './signals';
import { processTerminal } from './terminal';

declare const SAFE_LORA_VERSION: string;
declare const ONNXRUNTIME_VERSION: string;

void run(process.argv.slice(2), {
  version: SAFE_LORA_VERSION,
  onnxruntimeVersion: ONNXRUNTIME_VERSION,
  folder: __dirname,
  name: invocation(process.argv[1] ?? ''),
  terminal: processTerminal(),
}).then((status) => {
  process.exitCode = status;
  // A signal while Node ends still gives the status that a shell expects.
  onEndingSignal((ending) => process.exit(ending));
});

/** `safe-lora` where a package manager linked the program, else `node` and its path. */
function invocation(script: string): string {
  const name = 'safe-lora';
  return basename(script) === name ? name : `node ${quoted(relative('', script))}`;
}
