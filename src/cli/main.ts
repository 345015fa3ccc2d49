#!/usr/bin/env node
// The program safe-lora: runs one call and exits with its status.
import { run } from './program';
import { processTerminal } from './terminal';

declare const SAFE_LORA_VERSION: string;
declare const ONNXRUNTIME_VERSION: string;

void run(process.argv.slice(2), {
  version: SAFE_LORA_VERSION,
  onnxruntimeVersion: ONNXRUNTIME_VERSION,
  folder: __dirname,
  terminal: processTerminal(),
}).then((status) => {
  process.exitCode = status;
});
