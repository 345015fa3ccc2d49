// Mutated input through the whole product:
//     node --import tsx test/attack/fuzz.ts [--cases N] [--seed S] [--case I] [--target NAME] [--without ORACLE,…] [--workers N]
import { parseArgs } from 'node:util';
import { type Oracle } from './fuzz/oracles';
import { fuzz } from './fuzz/run';
import { type Target } from './fuzz/targets';
import { commandFor, describeFailure, summary } from './fuzz/texts';

const string = { type: 'string' } as const;
const { values } = parseArgs({
  options: { cases: string, seed: string, case: string, target: string, without: string, workers: string },
});
const seed = Number(values.seed ?? Date.now() % 2 ** 31);

async function main(): Promise<void> {
  const seen = new Map<string, number>();
  const result = await fuzz({
    seed,
    cases: Number(values.cases ?? 1_000_000),
    without: (values.without?.split(',') ?? []) as Oracle[],
    ...(values.workers === undefined ? {} : { workers: Number(values.workers) }),
    ...(values.case === undefined ? {} : { only: Number(values.case) }),
    ...(values.target === undefined ? {} : { target: values.target as Target }),
    onFailure: (failure) => {
      const { title, text } = describeFailure(failure);
      seen.set(title, (seen.get(title) ?? 0) + 1);
      // The first of a kind stands for all.
      if (seen.get(title) === 1) console.log(`${text}\n    ${commandFor(seed, failure, values.target)}`);
    },
  });
  console.log(summary(seed, result));
  for (const [title, count] of seen) console.log(`${String(count).padStart(6)} × ${title}`);
  process.exitCode = seen.size > 0 ? 1 : 0;
}

void main();
