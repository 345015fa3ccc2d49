// safe-lora doctor: the devices of this machine, as text.
import { type DoctorChecks, type ProviderCheck } from '../engine/doctor';
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
}: DoctorChecks): string[] {
  const line = (name: string, text: string): string => name.padEnd(NAME_WIDTH) + text;
  return [
    `safe-lora ${tool.version}, onnxruntime ${onnxruntime}, node ${node}, ${platform}`,
    ...(gpus.length === 0 ? [line('gpu', 'none found')] : gpus.map((gpu) => line('gpu', gpuText(gpu)))),
    ...cudaLibraries.map(({ path }, i) => line(i === 0 ? 'found' : '', path)),
    ...providers.map((check) => line(check.provider, providerText(check))),
    line('auto', auto.fallbackReason === null ? auto.provider : `${auto.provider} (${auto.fallbackReason})`),
  ];
}

function gpuText({ name, memoryMiB, driver }: DoctorChecks['gpus'][number]): string {
  const memory = memoryMiB === null ? null : `${(memoryMiB / 1024).toFixed(0)} GiB`;
  return [name, memory, driver && `driver ${driver}`].filter(Boolean).join(', ');
}

function providerText(check: ProviderCheck): string {
  if (!check.usable) {
    return `not usable: ${check.reason}${check.remedy === null ? '' : `; ${check.remedy}`}`;
  }
  const { similarityError, milliseconds, firstMilliseconds } = check.selfTest;
  return (
    `usable: similarity within ${similarityError.toExponential(1)} of double precision, ` +
    `${milliseconds.toFixed(0)} ms a ${TIMED} x ${TIMED} module (the first result after ${firstMilliseconds.toFixed(0)} ms)`
  );
}
