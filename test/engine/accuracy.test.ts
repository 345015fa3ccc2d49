// The engine's numbers against the definition in double, over shapes, dtypes, spectra and scales.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import fc from 'fast-check';
import { decode, encode, floatDtypes, type FloatDtype } from '../../src/core/dtype';
import { type TensorInfo } from '../../src/core/safetensors';
import { Engine } from '../../src/engine/pool';
import { type ModuleTask, type UpdateResult, valueOf } from '../../src/engine/protocol';
import {
  byDefinition,
  type Definition,
  type Matrix,
  multiply,
  norm,
  subtract,
  toMatrix,
  transpose,
} from '../fixtures/float64';
import { childPath, randoms, temporaryFolder } from '../fixtures/make';

const MEMORY = 512 * 2 ** 20;
const engine = new Engine({ childPath, memory: MEMORY, workers: 1 });
after(() => {
  engine.dispose();
});
const folder = temporaryFolder();

interface Case {
  seed: number;
  out: number;
  width: number;
  rank: number;
  base: FloatDtype;
  aligned: FloatDtype;
  adapter: FloatDtype;
  transposed: boolean;
  /** How fast V's singular values fall: 0 is flat, 3 is nearly rank one. */
  decay: number;
  /** ‖V‖ against ‖W‖. */
  strength: number;
}

const cases: fc.Arbitrary<Case> = fc.record({
  seed: fc.integer(),
  out: fc.integer({ min: 2, max: 80 }),
  width: fc.integer({ min: 2, max: 80 }),
  rank: fc.integer({ min: 1, max: 9 }),
  base: fc.constantFrom(...floatDtypes),
  aligned: fc.constantFrom(...floatDtypes),
  adapter: fc.constantFrom(...floatDtypes),
  transposed: fc.boolean(),
  decay: fc.constantFrom(0, 0.5, 1, 3),
  strength: fc.constantFrom(0.02, 0.2, 1),
});

/** V of three blocks. */
const wide: Case = {
  seed: 3,
  out: 16,
  width: 160_000,
  rank: 4,
  base: 'F32',
  aligned: 'F32',
  adapter: 'F32',
  transposed: false,
  decay: 0.5,
  strength: 0.2,
};

interface Stored {
  task: ModuleTask;
  v: Matrix;
  a: Matrix;
  b: Matrix;
}

let files = 0;

/** Writes base, aligned, A and B into a file of their own. */
function write(
  specs: { values: readonly number[]; shape: number[]; dtype: FloatDtype }[],
): [TensorInfo, TensorInfo, TensorInfo, TensorInfo] {
  const path = join(folder, `case-${files++}`);
  const stored = specs.map(({ values, dtype }) => encode(Float64Array.from(values), dtype));
  writeFileSync(path, Buffer.concat(stored));
  let offset = 0;
  return specs.map(({ shape, dtype }, index): TensorInfo => {
    const length = stored[index]!.length;
    offset += length;
    return { path, name: `tensor-${index}`, dtype, shape, offset: offset - length, length };
  }) as [TensorInfo, TensorInfo, TensorInfo, TensorInfo];
}

/** Writes a case's four tensors, and decodes them again, so that both sides start from the stored values. */
function store(c: Case, scale = { a: 1, b: 1 }): Stored {
  const random = (salt: number, rows: number, columns: number): Matrix =>
    toMatrix(randoms(c.seed + salt, rows * columns), columns);
  const terms = Math.min(c.out, c.width);
  const left = random(1, c.out, terms);
  const right = random(2, terms, c.width).map((row, i) =>
    row.map((value) => (value * c.strength) / (i + 1) ** c.decay),
  );
  const v = multiply(left, right);
  const w = random(3, c.out, c.width);
  const orient = (matrix: Matrix): Matrix => (c.transposed ? transpose(matrix) : matrix);
  const specs: [Matrix, FloatDtype][] = [
    [orient(w), c.base],
    [orient(w.map((row, i) => row.map((value, j) => value + v[i]![j]!))), c.aligned],
    [random(4, c.rank, c.width).map((row) => row.map((value) => value * scale.a)), c.adapter],
    [random(5, c.out, c.rank).map((row) => row.map((value) => value * scale.b)), c.adapter],
  ];
  const tensors = write(
    specs.map(([matrix, dtype]) => ({ values: matrix.flat(), shape: [matrix.length, matrix[0]!.length], dtype })),
  );
  const [base, aligned, a, b] = specs.map(([matrix, dtype]) =>
    toMatrix(decode(encode(Float64Array.from(matrix.flat()), dtype), dtype), matrix[0]!.length),
  ) as [Matrix, Matrix, Matrix, Matrix];
  return {
    task: {
      name: `layers.${c.seed}.q_proj`,
      shape: [c.out, c.width],
      base: tensors[0],
      aligned: tensors[1],
      transposed: c.transposed,
      updates: [{ a: tensors[2], b: tensors[3] }],
    },
    v: orient(subtract(aligned, base)),
    a,
    b,
  };
}

async function compute(task: ModuleTask): Promise<UpdateResult> {
  return valueOf((await engine.compute(task)).updates[0]!);
}

function assertClose(name: string, actual: number | null, expected: number, tolerance: number): void {
  assert.ok(
    actual !== null && Math.abs(actual - expected) <= tolerance,
    `${name} is ${actual}, by definition ${expected}: more than ${tolerance} apart`,
  );
}

function assertMatches({ measurement: m }: UpdateResult, expected: Definition): void {
  assertClose('similarity', m.similarity, expected.similarity, 1e-5);
  assertClose('direction', m.direction, expected.direction, 1e-5);
  assertClose('gain', m.gain, expected.gain, 1e-5 * expected.gain);
  assertClose('alignment norm', m.alignmentNorm, expected.alignmentNorm, 1e-5 * expected.alignmentNorm);
  assertClose('update norm', m.updateNorm, expected.updateNorm, 1e-5 * expected.updateNorm);
}

describe('the engine against the definition in double', () => {
  it('measures every shape, dtype, spectrum and orientation within 1e-5', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async (c) => {
        const { task, v, a, b } = store(c);
        fc.pre(norm(v) > 0);
        assertMatches(await compute(task), byDefinition(v, b, a));
      }),
      { numRuns: 300 },
    );
  });

  it('projects B within 1e-5 before rounding, and rounds it to nearest', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async (c) => {
        const exact = store({ ...c, adapter: 'F64' });
        const expected = byDefinition(exact.v, exact.b, exact.a);
        fc.pre(expected.similarity >= 1e-3);
        const { projected } = await compute(exact.task);
        const unrounded = decode(projected!.bytes, 'F64');
        const difference = norm(subtract(toMatrix(unrounded, c.rank), expected.projectedB));
        assert.ok(
          difference <= 1e-5 * norm(expected.projectedB),
          `projected B is ${difference / norm(expected.projectedB)} off`,
        );

        const rounded = store(c);
        const stored = await compute(rounded.task);
        assert.equal(stored.projected!.bytes.length, rounded.task.updates[0]!.b.length);
        const nearest = byDefinition(rounded.v, rounded.b, rounded.a).projectedB;
        const step = { F64: 1e-5, F32: 1e-5, F16: 2 ** -10, BF16: 2 ** -7 }[c.adapter];
        assert.ok(
          norm(subtract(toMatrix(decode(stored.projected!.bytes, c.adapter), c.rank), nearest)) <=
            step * norm(nearest) + 1e-6,
        );
      }),
      { numRuns: 150 },
    );
  });

  it('estimates the null level within three of its spreads of √(participation ratio / out)', async () => {
    let far = 0;
    const runs = 100;
    await fc.assert(
      fc.asyncProperty(cases, async (c) => {
        const { task, v, a, b } = store({ ...c, out: c.out + 40, width: c.width + 40, decay: 0 });
        const { measurement } = await compute(task);
        const exact = byDefinition(v, b, a).nullSimilarity;
        if (Math.abs(measurement.nullSimilarity! - exact) > 3 * measurement.nullSpread!) far++;
        assert.ok(measurement.nullSpread! < 0.1, 'the spread says something');
      }),
      { numRuns: runs, seed: 7 },
    );
    // A jackknife over eight probes has the tails of Student's t with seven degrees of freedom: 2 % lie beyond three spreads.
    assert.ok(far <= 0.08 * runs, `${far} of ${runs} null levels lie beyond three spreads`);
  });

  it('sees no difference when A or B is scaled, however far', async () => {
    await fc.assert(
      fc.asyncProperty(
        cases,
        fc.integer({ min: -60, max: 60 }),
        fc.integer({ min: -60, max: 60 }),
        async (c, left, right) => {
          const plain = (await compute(store({ ...c, adapter: 'F32' }).task)).measurement;
          const scaled = (await compute(store({ ...c, adapter: 'F32' }, { a: 2 ** left, b: 2 ** right }).task))
            .measurement;
          for (const key of ['similarity', 'direction', 'gain'] as const)
            assertClose(key, scaled[key], plain[key]!, 1e-9);
          assertClose(
            'update norm',
            scaled.updateNorm,
            plain.updateNorm * 2 ** (left + right),
            1e-9 * scaled.updateNorm,
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  it('flips the direction and nothing else when base and aligned are swapped', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async (c) => {
        const { task } = store(c);
        const forth = await compute(task);
        const back = await compute({ ...task, base: task.aligned, aligned: task.base });
        assert.deepEqual(back.measurement, {
          ...forth.measurement,
          direction: forth.measurement.direction === null ? null : -forth.measurement.direction,
          updateDotAlignment: -forth.measurement.updateDotAlignment,
        });
        assert.deepEqual(back.projected, forth.projected);
      }),
      { numRuns: 60 },
    );
  });

  it('gives the same result for several adapters on one module as for each alone', async () => {
    await fc.assert(
      fc.asyncProperty(cases, fc.integer({ min: 1, max: 5 }), async (c, otherRank) => {
        const first = store(c);
        const second = store({ ...c, rank: otherRank, adapter: 'F16' });
        const both = await engine.compute({ ...first.task, updates: [...first.task.updates, ...second.task.updates] });
        for (const [index, alone] of [first, second].entries()) {
          assertMatches(valueOf(both.updates[index]!), byDefinition(first.v, alone.b, alone.a));
        }
      }),
      { numRuns: 40 },
    );
  });

  it('computes weights of several blocks, and reads again only what does not fit, to the same numbers', async () => {
    // Single precision and double, so that an element of V costs 4 and 8 bytes of reading.
    for (const [transposed, base, aligned] of [
      [false, 'BF16', 'F32'],
      [true, 'BF16', 'F32'],
      [false, 'F64', 'F64'],
    ] as const) {
      const c = { ...wide, base, aligned, transposed };
      const [first, second] = [store(c), store({ ...c, rank: 3, adapter: 'F16' })];
      const task = { ...first.task, updates: [...first.task.updates, ...second.task.updates] };
      const needed = task.base.length + task.aligned.length;
      const whole = await engine.compute(task);
      assert.equal(whole.bytesRead, needed);
      for (const [i, { b, a }] of [first, second].entries()) {
        assertMatches(valueOf(whole.updates[i]!), byDefinition(first.v, b, a));
      }
      for (const [memory, least, most] of [
        // Room for about two of V's three blocks; for less than one; for more than any array may have.
        [191, 1.1, 1.9],
        [129, 2, 2],
        [2 ** 20, 1, 1],
      ] as const) {
        const other = new Engine({ childPath, memory: memory * 2 ** 20, workers: 1 });
        try {
          const partly = await other.compute(task);
          const times = partly.bytesRead / needed;
          assert.ok(transposed ? times === 1 : times >= least && times <= most, `${memory} MiB: read ${times} times`);
          assert.deepEqual(partly.updates, whole.updates);
        } finally {
          other.dispose();
        }
      }
    }
  });

  it('computes rows that are longer than what is decoded or multiplied in one run', async () => {
    const tight = new Engine({ childPath, memory: 129 * 2 ** 20, workers: 1 });
    try {
      for (const [width, transposed] of [
        [300_000, false],
        [300_000, true],
        [1_200_000, false],
      ] as const) {
        // prettier-ignore
        const { task, v, a, b } = store({ ...wide, out: 3, width, rank: 1, transposed });
        const expected = byDefinition(v, b, a);
        for (const some of [engine, tight]) {
          const result = valueOf((await some.compute(task)).updates[0]!);
          if (width < 1_000_000) assertMatches(result, expected);
          // No model has rows so long: what single precision loses over them is seen in the gain, 1.3e-5 of it.
          else assertClose('similarity', result.measurement.similarity, expected.similarity, 1e-5);
        }
      }
    } finally {
      tight.dispose();
    }
  });
});

describe('the edges of the definition', () => {
  const c: Case = {
    seed: 1,
    out: 12,
    width: 10,
    rank: 2,
    base: 'F32',
    aligned: 'F32',
    adapter: 'F32',
    transposed: false,
    decay: 0,
    strength: 1,
  };

  it('leaves similarity undefined where base and aligned are equal', async () => {
    const { task } = store(c);
    const { measurement, projected } = await compute({ ...task, aligned: task.base });
    assert.deepEqual(
      [
        measurement.similarity,
        measurement.direction,
        measurement.gain,
        measurement.nullSimilarity,
        measurement.alignmentNorm,
      ],
      [null, null, null, null, 0],
    );
    assert.equal(projected, null);
  });

  it('leaves similarity undefined where the update is zero, and still gives the null level', async () => {
    const { task } = store(c, { a: 1, b: 0 });
    const { measurement, projected } = await compute(task);
    assert.deepEqual(
      [measurement.similarity, measurement.direction, measurement.gain, measurement.updateNorm],
      [null, null, null, 0],
    );
    assert.ok(measurement.nullSimilarity! > 0);
    assert.equal(projected, null);
  });

  it('gives similarity 0 and gain 0 where the update shares no direction with V', async () => {
    const path = join(folder, 'orthogonal');
    const size = 8;
    const only = (row: number, column: number, columns: number, rows: number): Float64Array =>
      Float64Array.from({ length: rows * columns }, (_, i) => (i === row * columns + column ? 1 : 0));
    const parts: [Float64Array, number[]][] = [
      [new Float64Array(size * size), [size, size]],
      [only(0, 0, size, size), [size, size]],
      [only(0, 3, size, 1), [1, size]],
      [only(5, 0, 1, size), [size, 1]],
    ];
    writeFileSync(path, Buffer.concat(parts.map(([values]) => encode(values, 'F32'))));
    let offset = 0;
    const [base, aligned, a, b] = parts.map(([values, shape], index): TensorInfo => {
      offset += values.length * 4;
      return {
        path,
        name: `tensor-${index}`,
        dtype: 'F32',
        shape,
        offset: offset - values.length * 4,
        length: values.length * 4,
      };
    }) as [TensorInfo, TensorInfo, TensorInfo, TensorInfo];
    const { measurement, projected } = await compute({
      name: 'orthogonal',
      shape: [size, size],
      base,
      aligned,
      transposed: false,
      updates: [{ a, b }],
    });
    assert.deepEqual([measurement.similarity, measurement.gain, measurement.direction], [0, 0, 0]);
    assert.ok(projected!.bytes.every((byte) => byte === 0));
  });

  it('says which numbers are too large, and fails no other adapter for one update', async () => {
    const [fine, large] = [store(c), store({ ...c, adapter: 'F64' }, { a: 1e200, b: 1e200 })];
    const { updates } = await engine.compute({ ...fine.task, updates: [...large.task.updates, ...fine.task.updates] });
    assert.throws(
      () => valueOf(updates[0]!),
      /: the update that tensor-3 belongs to is too large for double precision/,
    );
    assertMatches(valueOf(updates[1]!), byDefinition(fine.v, fine.b, fine.a));

    const apart = store({ ...c, strength: 0 }).task;
    writeFileSync(apart.base.path, encode(new Float64Array(c.out * c.width).fill(-3e38), 'F32'), { flag: 'r+' });
    const far = store({ ...c, strength: 0 }).task;
    writeFileSync(far.base.path, encode(new Float64Array(c.out * c.width).fill(3e38), 'F32'), { flag: 'r+' });
    await assert.rejects(
      engine.compute({ ...apart, aligned: far.base }),
      /: the difference between tensor-0 and the base weight is too large for single precision/,
    );
  });

  it('takes F64 weights apart in double: a difference that single precision cannot hold is seen', async () => {
    const fine = store({ ...c, base: 'F64', aligned: 'F64', strength: 1e-9 });
    assertMatches(await compute(fine.task), byDefinition(fine.v, fine.b, fine.a));
  });
});
