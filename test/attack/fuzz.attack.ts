// Mutated input through the whole product; CASES=1000000 SEED=7 tries more of them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Oracle, oracles } from './fuzz/oracles';
import { fuzz, type Options } from './fuzz/run';
import { describeFailure, summary } from './fuzz/texts';

const CASES = Number(process.env.CASES ?? 20_000);
const SEED = Number(process.env.SEED ?? 12);

describe('mutated input', () => {
  it(`is read or refused, and nothing is lost: ${CASES} cases of seed ${SEED}`, async () => {
    const result = await fuzz({ cases: CASES, seed: SEED });
    process.stdout.write(`# ${summary(SEED, result).replaceAll('\n', '\n# ')}\n`);
    assert.deepEqual(
      result.failures.map((failure) => describeFailure(failure).text),
      [],
    );
  });
});

describe('a planted fault', () => {
  /** Touching more than a gigabyte may take more than a second of the processor, too. */
  const settings: Partial<Record<Oracle, Partial<Options>>> = {
    hang: { hangAfter: 5000 },
    memory: { without: ['slow'] },
  };
  for (const plant of oracles) {
    it(`is found: ${plant}`, async () => {
      const { failures } = await fuzz({ cases: 1, seed: 1, plant, ...settings[plant] });
      assert.deepEqual([...new Set(failures.map(({ oracle }) => oracle))], [plant]);
    });
  }
});
