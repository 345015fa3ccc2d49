// The shipped adapters against sample/reference.json: what the paper authors' own code computes for them.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { openAdapter } from '../../src/core/adapter';
import { openCheckpoint } from '../../src/core/checkpoint';
import { decode, type FloatDtype } from '../../src/core/dtype';
import { makePlan } from '../../src/core/plan';
import { selectable } from '../../src/core/report';
import { select } from '../../src/core/rules';
import { Engine } from '../../src/engine/pool';
import { measuredOf, measurePlans } from '../../src/engine/run';
import { childPath, sample } from '../fixtures/make';

interface Reference {
  similarity: Record<string, number>;
  threshold: number;
  selected: string[];
  projectedBNorm: Record<string, number>;
  projectedBSample: Record<string, number[]>;
}

const references = JSON.parse(readFileSync(join(sample, 'reference.json'), 'utf8')) as Record<string, Reference>;
const engine = new Engine({ childPath, memory: 512 * 2 ** 20 });
after(() => {
  engine.dispose();
});

describe("the authors' own results on the sample", () => {
  for (const [name, reference] of Object.entries(references)) {
    it(`agrees for every module of ${name}`, async () => {
      const adapter = await openAdapter(join(sample, 'adapters', name));
      const plan = makePlan(
        adapter,
        await openCheckpoint(join(sample, 'base')),
        await openCheckpoint(join(sample, 'aligned')),
      );
      const { modules } = measuredOf((await measurePlans([plan], engine))[0]!);
      assert.deepEqual(modules.map((module) => module.name).sort(), Object.keys(reference.similarity).sort());
      for (const { name: module, measurement } of modules) {
        const difference = Math.abs(measurement!.similarity! - reference.similarity[module]!);
        assert.ok(
          difference <= 2e-4,
          `${module}: ${measurement!.similarity} instead of ${reference.similarity[module]}`,
        );
      }
      const selected = select(modules.map(selectable), {
        mode: 'threshold',
        threshold: reference.threshold,
        overrides: { added: [], removed: [] },
      });
      assert.deepEqual([...selected].sort(), [...reference.selected].sort());
      for (const module of modules.filter((candidate) => selected.has(candidate.name))) {
        const dtype = module.b.dtype as FloatDtype;
        // BF16 keeps eight significant bits; the reference is not rounded.
        const step = dtype === 'BF16' ? 2 ** -8 : 1e-4;
        const projected = decode(module.projected!.bytes!, dtype);
        const norm = Math.hypot(...projected);
        const expected = reference.projectedBNorm[module.name]!;
        assert.ok(
          Math.abs(norm - expected) <= step * expected,
          `${module.name}: ‖C·B‖ is ${norm} instead of ${expected}`,
        );
        reference.projectedBSample[module.name]!.forEach((value, i) => {
          assert.ok(
            Math.abs(projected[i]! - value) <= step * (Math.abs(value) + expected / Math.sqrt(projected.length)),
            `${module.name}[${i}]: ${projected[i]} instead of ${value}`,
          );
        });
      }
    });
  }
});
