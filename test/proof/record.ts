// What the proof writes: gpu-proof.json, and the same as tables for people.
import { type DeviceCheck } from '../../src/engine/devices';
import { type Provider } from '../../src/engine/providers';
import { type CaseFigures } from '../bench/measure';
import { type FoundMachine } from './machine';

export interface ProofRecord {
  schema: 'safe-lora/gpu-proof@1';
  tool: { version: string };
  onnxruntime: string;
  node: string;
  platform: string;
  processor: string;
  cores: number;
  memoryMiB: number;
  /** A trial of the proof itself: few drawn cases and tiny shapes. */
  quick: boolean;
  /** Drivers that compute on the processor count. */
  software: boolean;
  found: FoundMachine;
  /** The GPU providers that onnxruntime has on this platform. */
  providers: ProviderProof[];
  /** Null where no GPU provider can run. */
  passed: boolean | null;
}

export interface ProviderProof {
  provider: Provider;
  check: DeviceCheck;
  /** False where it would run on a driver that computes on the processor. */
  onGpu: boolean;
  /** Null where it was not run. */
  accuracy: Accuracy | null;
  bench: Bench | null;
}

export interface Accuracy {
  passed: boolean;
  tests: number;
  failed: number;
  seconds: number;
  /** Names of the tests that failed. */
  failures: string[];
  /** The end of what was printed, where one failed. */
  output: string | null;
}

export type Bench = { passed: true; seconds: number; cases: CaseFigures[] } | { passed: false; reason: string };

/** Lines for people about what the machine has. */
export function foundLines({ gpus, nvidiaDriver, cuda, vulkan }: FoundMachine): string[] {
  const lines = [
    `GPUs: ${gpus.map(({ name, memoryMiB, driver }) => [name, memoryMiB && `${memoryMiB} MiB`, driver && `driver ${driver}`].filter(Boolean).join(', ')).join('; ') || 'the system lists none'}`,
    `NVIDIA's driver: ${nvidiaDriver ?? 'none'}`,
  ];
  if (cuda) {
    lines.push(
      `CUDA provider of onnxruntime: ${cuda.provider ?? 'not here (--provider-libs DIR names a folder with it)'}`,
    );
    if (cuda.provider === null) lines.push('What it is known to need:');
    for (const { name, path } of cuda.libraries) lines.push(`  ${name}: found, ${path}`);
    for (const { name, advice } of cuda.missing) lines.push(`  ${name}: missing; ${advice}`);
  }
  if (vulkan) {
    lines.push(`Vulkan's loader: ${vulkan.loader ?? 'missing (libvulkan.so.1)'}`);
    const drivers = vulkan.drivers.map(({ library, software }) => `${library}${software ? ' (on the processor)' : ''}`);
    lines.push(`Vulkan's drivers: ${drivers.join(', ') || 'none'}`);
  }
  return lines;
}

/** Why a provider was not run; null where it was. */
export function whyNot({ check, onGpu, accuracy }: ProviderProof): string | null {
  if (!check.usable) return check.remedy === null ? check.reason : `${check.reason}; ${check.remedy}`;
  if (accuracy) return null;
  return onGpu
    ? 'it was not run'
    : 'its driver computes on the processor, or there is no GPU; --software runs it all the same';
}

export function markdown(record: ProofRecord): string {
  const { tool, onnxruntime, node, platform, processor, cores, memoryMiB, quick, software, found, providers } = record;
  const proofs = providers.map((proof) => {
    const { provider, check, accuracy, bench } = proof;
    const why = whyNot(proof);
    if (why !== null || !check.usable || !accuracy) return [provider, `not run: ${why ?? ''}`, '', '', '', ''];
    const { similarityError, milliseconds } = check.selfTest;
    return [
      provider,
      accuracy.passed && bench?.passed ? 'passed' : 'FAILED',
      `${accuracy.tests - accuracy.failed} of ${accuracy.tests}`,
      similarityError.toExponential(1),
      milliseconds.toFixed(1),
      bench && !bench.passed ? bench.reason : '',
    ];
  });
  const cases = providers.flatMap(({ bench }) => (bench?.passed ? bench.cases : []));
  const seconds = (ms: number): string => (ms / 1000).toFixed(2);
  return [
    '# Safe LoRA on this GPU',
    '',
    `safe-lora ${tool.version}, onnxruntime ${onnxruntime}, node ${node}, ${platform}, ${processor}, ${cores} cores, ${(memoryMiB / 1024).toFixed(0)} GiB.`,
    ...(quick ? ['', 'A quick trial: few drawn cases and tiny shapes, whose times say nothing about a GPU.'] : []),
    ...(software ? ['', 'Drivers that compute on the processor were allowed: this is no proof of a GPU.'] : []),
    '',
    ...foundLines(found).map((line) => (line.startsWith('  ') ? `  - ${line.trim()}` : `- ${line}`)),
    '',
    ...table(
      ['provider', 'result', 'accuracy tests passed', 'self-test off by', 'ms a 2048 x 2048 module', 'bench'],
      proofs,
    ),
    ...(cases.length === 0
      ? []
      : [
          '',
          ...table(
            ['provider', 'case', 'device s', 'cpu s', 'cpu/device', 'first ms', 'peak MiB', 'read/needed'],
            cases.map((figures) => [
              figures.provider,
              figures.name,
              seconds(figures.engineMs),
              figures.cpuMs === null ? '-' : seconds(figures.cpuMs),
              figures.cpuMs === null ? '-' : (figures.cpuMs / figures.engineMs).toFixed(2),
              figures.firstModuleMs.toFixed(0),
              figures.peakMiB?.toFixed(0) ?? '-',
              (figures.bytesRead / figures.bytesNeeded).toFixed(2),
            ]),
          ),
        ]),
    '',
  ].join('\n');
}

function table(head: string[], rows: string[][]): string[] {
  const line = (cells: string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}
