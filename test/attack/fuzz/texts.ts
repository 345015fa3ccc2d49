// Failures and results in words.
import { type Failure } from './protocol';
import { type Result } from './run';

/** @returns `title` is equal for failures of one kind */
export function describeFailure({ oracle, target, message, trace, case: at }: Failure): {
  title: string;
  text: string;
} {
  const plain = message
    .replace(/\/(?:dev\/shm|tmp)\S*?\/case\/\S*/g, 'PATH')
    .replace(/\d+/g, 'N')
    .slice(0, 160);
  return {
    title: `${oracle}, ${target}: ${JSON.stringify(plain)}`,
    text: `${oracle}, case ${at} (${target}): ${JSON.stringify(message)}\n    after ${JSON.stringify(trace)}`,
  };
}

export function commandFor(seed: number, { case: at }: Failure, target?: string): string {
  return `node --import tsx test/attack/fuzz.ts --seed ${seed} --case ${at}${target === undefined ? '' : ` --target '${target}'`}`;
}

export function summary(seed: number, { failures, outcomes, mostCpu, seconds }: Result): string {
  const entries = Object.entries(outcomes).sort(([a], [b]) => (a < b ? -1 : 1));
  const cases = entries.reduce((sum, [, count]) => sum + count, 0);
  const rate = (cases / seconds).toFixed(0);
  return [
    ...entries.map(([key, count]) => `${String(count).padStart(7)} ${key}`),
    `seed ${seed}: ${cases} cases in ${seconds.toFixed(1)} s (${rate} a second), at most ${mostCpu.toFixed(0)} ms of the processor; ${failures.length} failures`,
  ].join('\n');
}
