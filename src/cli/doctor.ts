// safe-lora doctor: what this machine can compute on, for people.
import { type DoctorReport, type ProviderReport } from '../engine/doctor';
import { TIMED } from '../engine/selftest';

const NAME_WIDTH = 8;

export function doctorLines({
  tool,
  onnxruntime,
  node,
  platform,
  gpus,
  cudaLibraries,
  providers,
  auto,
}: DoctorReport): string[] {
  const line = (name: string, text: string): string => name.padEnd(NAME_WIDTH) + text;
  return [
    `safe-lora ${tool.version}, onnxruntime ${onnxruntime}, node ${node}, ${platform}`,
    ...(gpus.length === 0 ? [line('gpu', 'none found')] : gpus.map((gpu) => line('gpu', gpuText(gpu)))),
    ...cudaLibraries.map(({ path }, i) => line(i === 0 ? 'found' : '', path)),
    ...providers.map((report) => line(report.provider, providerText(report))),
    line('auto', auto.fallbackReason === null ? auto.provider : `${auto.provider} (${auto.fallbackReason})`),
  ];
}

function gpuText({ name, memoryMiB, driver }: DoctorReport['gpus'][number]): string {
  const memory = memoryMiB === null ? null : `${(memoryMiB / 1024).toFixed(0)} GiB`;
  return [name, memory, driver && `driver ${driver}`].filter(Boolean).join(', ');
}

function providerText(report: ProviderReport): string {
  if (!report.usable) {
    return `not usable: ${report.reason}${report.remedy === null ? '' : `; ${report.remedy}`}`;
  }
  const { similarityError, milliseconds, firstMilliseconds } = report.selfTest;
  return (
    `usable: similarity within ${similarityError.toExponential(1)} of double precision, ` +
    `${milliseconds.toFixed(0)} ms a ${TIMED} x ${TIMED} module (the first result after ${firstMilliseconds.toFixed(0)} ms)`
  );
}
