// Intervals and tests against published figures, exact sums and simulated coverage.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bootstrapMean, firstHalf, mcNemar, pair, pairedDifference, wilson } from '../../src/evaluation/statistics';
import { randoms } from '../fixtures/make';

const near = (value: number, expected: number, by = 5e-5): void => {
  assert.ok(Math.abs(value - expected) <= by, `${value} is not ${expected}`);
};

void describe('intervals', () => {
  void it("of a share are Wilson's", () => {
    // Newcombe 1998, Statistics in Medicine 17:857, table I, method 3.
    for (const [k, n, low, high] of [
      [81, 263, 0.2553, 0.3662],
      [15, 148, 0.0624, 0.1605],
      [0, 20, 0, 0.1611],
      [1, 29, 0.0061, 0.1718],
    ] as const) {
      const found = wilson(k, n);
      near(found.low, low);
      near(found.high, high);
    }
    near(wilson(0, 48).high, 0.074, 5e-4);
    near(wilson(0, 520).high, 0.0073, 5e-5);
    assert.deepEqual([wilson(0, 5).low, wilson(5, 5).high], [0, 1]);
  });

  void it('of a paired difference hold the true one about 95 times of 100', () => {
    const values = randoms(5, 2 * 40 * 3000).map((value) => (value + 1) / 2);
    let held = 0;
    for (let trial = 0; trial < 3000; trial++) {
      const [first, second]: [boolean[], boolean[]] = [[], []];
      for (let i = 0; i < 40; i++) {
        const [u, v] = [values[2 * (trial * 40 + i)]!, values[2 * (trial * 40 + i) + 1]!];
        first.push(u < 0.7);
        // Half of the second answers are the first ones, so that the two hang together; 0.55 in all.
        second.push(v < 0.5 ? u < 0.7 : v < 0.7);
      }
      const { low, high } = pairedDifference(pair(first, second));
      if (low <= -0.15 && -0.15 <= high) held++;
    }
    assert.ok(held / 3000 > 0.94 && held / 3000 < 0.985, `${held / 3000}`);
  });

  void it('of a difference turn round with the points', () => {
    const [forth, back] = [
      pairedDifference({ both: 10, first: 7, second: 2, neither: 21 }),
      pairedDifference({ both: 10, first: 2, second: 7, neither: 21 }),
    ];
    near(forth.difference, -5 / 40, 1e-12);
    near(forth.low, -back.high, 1e-12);
    near(forth.high, -back.low, 1e-12);
    assert.deepEqual(pairedDifference({ both: 3, first: 0, second: 0, neither: 4 }).difference, 0);
  });

  void it('of a mean are wider where prompts hang together', () => {
    const values = randoms(2, 240).map((value, i) => (Math.floor(i / 6) % 2 === 0 ? value : value + 1));
    const alone = bootstrapMean(
      values,
      values.map(() => null),
    );
    const grouped = bootstrapMean(
      values,
      values.map((_, i) => String(Math.floor(i / 6))),
    );
    assert.ok(grouped.high - grouped.low > 1.3 * (alone.high - alone.low));
    assert.deepEqual(
      bootstrapMean(
        values,
        values.map(() => null),
      ),
      alone,
    );
  });
});

void describe("McNemar's exact test", () => {
  void it('is the binomial sum of both sides', () => {
    // 2·Σ C(n, k)/2ⁿ up to the smaller count.
    near(mcNemar({ both: 0, first: 10, second: 2, neither: 0 }), (2 * (1 + 12 + 66)) / 4096, 1e-12);
    near(mcNemar({ both: 5, first: 0, second: 6, neither: 5 }), 2 / 64, 1e-12);
    assert.equal(mcNemar({ both: 9, first: 0, second: 0, neither: 9 }), 1);
    assert.equal(mcNemar({ both: 0, first: 3, second: 3, neither: 0 }), 1);
    const many = mcNemar({ both: 0, first: 1300, second: 700, neither: 0 });
    assert.ok(many > 0 && many < 1e-35);
  });
});

void describe('halves', () => {
  void it('never part a group, and are the same for the same prompts', () => {
    const groups = Array.from({ length: 48 }, (_, i) => String(Math.floor(i / 6)));
    const halves = firstHalf(groups);
    assert.deepEqual(firstHalf(groups), halves);
    assert.equal(halves.filter(Boolean).length, 24);
    groups.forEach((group, i) => {
      assert.equal(halves[i], halves[groups.indexOf(group)]);
    });
    assert.equal(firstHalf([null, null, null]).filter(Boolean).length, 2);
  });
});
