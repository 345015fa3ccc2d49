// npm run gpu:proof: the accuracy tests and the bench on every GPU provider that can run here, into gpu-proof.json and gpu-proof.md. It
// needs Node, dist/ and onnxruntime alone. Exit status: 0 a GPU ran and all passed, 1 something failed, 2 usage, 3 no GPU provider can run.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { onEndingSignal } from '../../src/cli/signals';
import { type Devices } from '../../src/engine/devices';
import { type Provider, providers, traits } from '../../src/engine/providers';
import { cases } from '../bench/cases';
import { type CaseFigures } from '../bench/measure';
import { openDevices, versions } from '../fixtures/devices';
import { root } from '../fixtures/make';
import { checkProviderLibraries, type FoundMachine, isOnGpu, layCuda, look } from './machine';
import {
  type Accuracy,
  type Bench,
  foundLines,
  markdown,
  type ProofRecord,
  type ProviderProof,
  whyNot,
} from './record';

const USAGE = `npm run gpu:proof [-- --provider-libs DIR] [--case NAME]… [--rounds N] [--out DIR] [--quick] [--software]
  --provider-libs  a folder with onnxruntime's libonnxruntime_providers_{cuda,shared}.so, and perhaps CUDA's libraries
  --case           of the bench, by default 7b-qv and 7b-all
  --out            where gpu-proof.json and gpu-proof.md go, by default the current folder
  --quick          few cases and tiny shapes, to try the proof itself
  --software       count drivers that compute on the processor, such as SwiftShader and lavapipe`;

/** Of both models, as the bench writes them. */
const BENCH_BYTES = 10.5e9;
/** A device that hangs must not hold the proof for ever. */
const TIME_LIMIT = 45 * 60_000;
/** Of the drawn cases, for --quick. */
const QUICK_SHARE = 0.02;

interface Options {
  providerLibraries: string | undefined;
  chosen: string[];
  rounds: number;
  out: string;
  quick: boolean;
  software: boolean;
}

function parse(): Options {
  const { values } = parseArgs({
    options: {
      'provider-libs': { type: 'string' },
      case: { type: 'string', multiple: true },
      rounds: { type: 'string' },
      out: { type: 'string', default: '.' },
      quick: { type: 'boolean', default: false },
      software: { type: 'boolean', default: false },
    },
  });
  const known = cases.map(({ name }) => name);
  const unknown = values.case?.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`--case ${unknown}: there are ${known.join(', ')}`);
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
  if (!(Number.isInteger(rounds) && rounds >= 1)) throw new Error('--rounds: a number from 1');
  if (values['provider-libs'] !== undefined) checkProviderLibraries(values['provider-libs']);
  return {
    providerLibraries: values['provider-libs'],
    chosen: values.case ?? ['7b-qv', '7b-all'],
    rounds,
    out: values.out,
    quick: values.quick,
    software: values.software,
  };
}

async function main(options: Options, scratch: string): Promise<number> {
  const storage = join(scratch, 'storage');
  layCuda(storage, versions.onnxruntime, options.providerLibraries);
  const found = await look(storage, versions.onnxruntime);
  console.log(foundLines(found).join('\n'));

  const devices = openDevices(storage);
  const proofs: ProviderProof[] = [];
  for (const provider of providers) {
    if (provider === 'cpu' || !traits[provider].isBuiltFor(process.platform, process.arch)) continue;
    const proof = await prove(provider, devices, found, options, { scratch, storage });
    proofs.push(proof);
    console.log(`${provider}: ${verdict(proof)}`);
  }

  const ran = proofs.filter(({ accuracy }) => accuracy !== null);
  const passed = ran.length === 0 ? null : ran.every(hasPassed);
  const record: ProofRecord = {
    schema: 'safe-lora/gpu-proof@1',
    tool: { version: versions.tool },
    onnxruntime: versions.onnxruntime,
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    processor: cpus()[0]?.model ?? 'unknown processor',
    cores: availableParallelism(),
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    quick: options.quick,
    software: options.software,
    found,
    providers: proofs,
    passed,
  };
  mkdirSync(options.out, { recursive: true });
  writeFileSync(join(options.out, 'gpu-proof.json'), `${JSON.stringify(record, undefined, 2)}\n`);
  writeFileSync(join(options.out, 'gpu-proof.md'), markdown(record));
  console.log(`Written: ${join(options.out, 'gpu-proof.json')} and ${join(options.out, 'gpu-proof.md')}`);
  if (passed === null) {
    const none = found.gpus.length === 0 ? 'There is no GPU here' : 'No GPU provider can run here';
    console.log(
      `${none}: ${proofs.map((proof) => `${proof.provider}: ${whyNot(proof) ?? ''}`).join('. ') || `onnxruntime for Node.js has only the CPU on ${record.platform}`}.`,
    );
    return 3;
  }
  return passed ? 0 : 1;
}

async function prove(
  provider: Provider,
  devices: Devices,
  found: FoundMachine,
  options: Options,
  { scratch, storage }: { scratch: string; storage: string },
): Promise<ProviderProof> {
  const check = await devices.checkAgain(provider);
  const onGpu = isOnGpu(provider, found);
  const proof: ProviderProof = { provider, check, onGpu, accuracy: null, bench: null };
  if (!check.usable || !(onGpu || options.software)) return proof;
  const { environment } = await devices.process(provider);
  const env = { ...process.env, SAFE_LORA_STORAGE: storage };
  console.log(`${provider}: the accuracy tests`);
  proof.accuracy = await testAccuracy(provider, { ...env, ...environment }, options.quick);
  console.log(`${provider}: ${accuracyText(proof.accuracy)}`);
  if (proof.accuracy.output !== null) console.log(proof.accuracy.output);
  proof.bench = await runBench(provider, env, options, join(scratch, `${provider}.json`));
  return proof;
}

async function testAccuracy(provider: Provider, env: NodeJS.ProcessEnv, quick: boolean): Promise<Accuracy> {
  const started = performance.now();
  const { NODE_TEST_CONTEXT: _, ...plain } = env;
  const { status, output } = await run(
    [
      '--test',
      '--test-reporter=tap',
      ...['gpu-accuracy', 'gpu-models'].map((name) => join(root, 'dist', `${name}.cjs`)),
    ],
    { ...plain, SAFE_LORA_TEST_PROVIDER: provider, ...(quick ? { SAFE_LORA_TEST_SHARE: String(QUICK_SHARE) } : {}) },
    false,
  );
  const total = (name: string): number => Number(new RegExp(`^# ${name} (\\d+)$`, 'm').exec(output)?.[1] ?? NaN);
  const [tests, passed] = [total('tests'), total('pass')];
  const passedAll = status === 0 && tests > 0 && passed === tests;
  return {
    passed: passedAll,
    tests: tests || 0,
    failed: (tests || 0) - (passed || 0),
    seconds: (performance.now() - started) / 1000,
    failures: [...output.matchAll(/^ *not ok \d+ - (.*)$/gm)].map(([, name]) => name!),
    output: passedAll ? null : output.slice(-20_000),
  };
}

async function runBench(
  provider: Provider,
  env: NodeJS.ProcessEnv,
  { chosen, rounds, quick }: Options,
  json: string,
): Promise<Bench> {
  if (!quick) {
    const { bavail, bsize } = statfsSync(tmpdir());
    const [needed, free] = [BENCH_BYTES, bavail * bsize].map((bytes) => `${(bytes / 1e9).toFixed(1)} GB`);
    if (bavail * bsize < BENCH_BYTES) {
      return {
        passed: false,
        reason: `the bench needs ${needed!} in ${tmpdir()}, which has ${free!} free; TMPDIR names another folder`,
      };
    }
    console.log(`${provider}: the bench, which writes ${needed!} into ${tmpdir()} and removes them`);
  }
  const started = performance.now();
  const { status, output } = await run(
    [
      join(root, 'dist/bench.cjs'),
      ...['--device', provider, '--rounds', String(rounds), '--no-reference', '--json', json],
      ...chosen.flatMap((name) => ['--case', name]),
      ...(quick ? ['--tiny'] : []),
    ],
    env,
    true,
  );
  if (status !== 0) return { passed: false, reason: output.trim().split('\n').slice(-12).join(' ') };
  const { cases: figures } = JSON.parse(readFileSync(json, 'utf8')) as { cases: CaseFigures[] };
  return { passed: true, seconds: (performance.now() - started) / 1000, cases: figures };
}

const running = new Set<ChildProcess>();

/** This very Node on a program, with all that it printed. */
function run(
  args: string[],
  env: NodeJS.ProcessEnv,
  show: boolean,
): Promise<{ status: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'], timeout: TIME_LIMIT });
    running.add(child);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        if (show) process.stdout.write(chunk);
      });
    }
    child.on('error', reject);
    child.on('close', (status) => {
      running.delete(child);
      resolve({ status, output });
    });
  });
}

function hasPassed({ accuracy, bench }: ProviderProof): boolean {
  return accuracy?.passed === true && bench?.passed === true;
}

function verdict(proof: ProviderProof): string {
  const why = whyNot(proof);
  if (why !== null) return `not run: ${why}`;
  if (proof.bench?.passed === false) return `FAILED, the bench: ${proof.bench.reason}`;
  return hasPassed(proof) ? 'passed' : 'FAILED, the accuracy tests';
}

function accuracyText({ tests, failed, seconds, failures }: Accuracy): string {
  const counts = `${tests - failed} of ${tests} accuracy tests passed in ${seconds.toFixed(0)} s`;
  return failures.length === 0 ? counts : `${counts}; failed: ${failures.join('; ')}`;
}

function parseOrExplain(): Options {
  try {
    return parse();
  } catch (error) {
    console.error(`gpu:proof: ${(error as Error).message}\n${USAGE}`);
    process.exit(2);
  }
}

const options = parseOrExplain();
const scratch = mkdtempSync(join(realpathSync(tmpdir()), 'safe-lora-proof-'));
process.on('exit', () => {
  rmSync(scratch, { recursive: true, force: true });
});
onEndingSignal((status) => {
  for (const child of running) child.kill();
  process.exit(status);
});
main(options, scratch).then(
  (status) => {
    process.exitCode = status;
  },
  (error: unknown) => {
    console.error(`gpu:proof: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  },
);
