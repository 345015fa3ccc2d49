// Exact decoding and rounding of the floating-point dtypes.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decode, encode, roundTo } from '../../src/core/dtype';

const allBits = Uint8Array.from(new Uint8Array(Uint16Array.from({ length: 65_536 }, (_, bits) => bits).buffer));

for (const [dtype, exponentBits, significandBits] of [
  ['F16', 5, 10],
  ['BF16', 8, 7],
] as const) {
  describe(dtype, () => {
    const bias = 2 ** (exponentBits - 1) - 1;
    const largest = (2 - 2 ** -significandBits) * 2 ** bias;
    const smallest = 2 ** (1 - bias - significandBits);
    const values = decode(allBits, dtype);

    it('decodes every bit pattern as IEEE 754 says', () => {
      values.forEach((value, bits) => {
        const sign = bits >> 15 ? -1 : 1;
        const exponent = (bits >> significandBits) & (2 ** exponentBits - 1);
        const significand = bits & (2 ** significandBits - 1);
        const expected =
          exponent === 2 ** exponentBits - 1
            ? significand === 0
              ? sign * Infinity
              : NaN
            : sign *
              (exponent === 0
                ? significand * smallest
                : (1 + significand / 2 ** significandBits) * 2 ** (exponent - bias));
        assert.ok(Object.is(value, expected), `0x${bits.toString(16)} is ${value}, not ${expected}`);
      });
    });

    it('encodes every number back to the same bits', () => {
      const finite = Array.from(values.keys()).filter((bits) => Number.isFinite(values[bits]));
      const bytes = encode(
        Float64Array.from(finite, (bits) => values[bits]!),
        dtype,
      );
      assert.deepEqual(Array.from(new Uint16Array(bytes.buffer)), finite);
    });

    it('rounds to the nearest value, ties to even, in one step from double', () => {
      const positive = values.filter((value) => value >= 0 && !Object.is(value, -0) && Number.isFinite(value)).sort();
      fc.assert(
        fc.property(
          fc.integer({ min: 0, max: positive.length - 2 }),
          fc.double({ min: 0, max: 1, noNaN: true }),
          fc.boolean(),
          (index, fraction, negative) => {
            const [below, above] = [positive[index]!, positive[index + 1]!];
            const value = below + (above - below) * fraction;
            const nearer =
              value - below === above - value
                ? index % 2 === 0
                  ? below
                  : above
                : value - below < above - value
                  ? below
                  : above;
            const sign = negative ? -1 : 1;
            assert.equal(roundTo(sign * value, dtype), sign * nearer);
          },
        ),
        { numRuns: 5000 },
      );
      // Through single precision first, this would become a tie and round to even, downwards.
      assert.equal(roundTo(1 + 2 ** -(significandBits + 1) + 2 ** -40, dtype), 1 + 2 ** -significandBits);
      assert.equal(roundTo(1 + 2 ** -(significandBits + 1), dtype), 1);
    });

    it('underflows to zero and overflows to infinity where it must', () => {
      assert.equal(roundTo(smallest / 2, dtype), 0);
      assert.equal(roundTo(smallest * 0.51, dtype), smallest);
      const step = 2 ** (bias - significandBits);
      assert.equal(roundTo(largest + step * 0.49, dtype), largest);
      assert.equal(roundTo(largest + step / 2, dtype), Infinity);
      assert.equal(roundTo(-1e300, dtype), -Infinity);
      assert.ok(Object.is(roundTo(-0, dtype), -0));
      const edge = decode(encode(Float64Array.of(-0, 1e300, -1e300), dtype), dtype);
      assert.deepEqual([...edge], [-0, Infinity, -Infinity]);
    });
  });
}

describe('F32 and F64', () => {
  it('come back as they were stored', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ noNaN: true })), (numbers) => {
        const values = Float64Array.from(numbers);
        assert.deepEqual(decode(encode(values, 'F64'), 'F64'), values);
        assert.deepEqual(decode(encode(values, 'F32'), 'F32'), values.map(Math.fround));
      }),
    );
  });
});
