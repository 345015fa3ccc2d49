// What model cards say of the models they are about, however they are written.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ancestryOf, MAX_FRONT_MATTER, parseCard, type ReadCard } from '../../src/models/card';
import { readme } from './cache';

describe('a model card', () => {
  const cards: [string, string, Awaited<ReturnType<typeof parseCard>>][] = [
    ['one base', readme('base_model: org/base'), { baseModels: ['org/base'], relation: null }],
    [
      'a list',
      readme('base_model:', '- org/base', 'base_model_relation: quantized'),
      { baseModels: ['org/base'], relation: 'quantized' },
    ],
    [
      'several',
      readme('base_model: [org/one, org/two]', 'base_model_relation: merge'),
      { baseModels: ['org/one', 'org/two'], relation: 'merge' },
    ],
    [
      'an unknown relation',
      readme('base_model: org/base', 'base_model_relation: cousin'),
      { baseModels: ['org/base'], relation: null },
    ],
    ['none', readme('license: mit'), { baseModels: [], relation: null }],
    [
      'Windows lines',
      readme('base_model: org/base').replaceAll('\n', '\r\n'),
      { baseModels: ['org/base'], relation: null },
    ],
    ['no id', readme('base_model: ../../etc/passwd', 'license: mit'), { baseModels: [], relation: null }],
    ['a number', readme('base_model: 7'), { baseModels: [], relation: null }],
    ['no front matter', '# A model\nbase_model: org/base\n', null],
    ['front matter without end', '---\nbase_model: org/base\n', null],
    ['no YAML', readme('base_model: [org/base', 'x: : :'), null],
    ['a list at its top', readme('- base_model'), null],
    ['an endless front matter', readme('base_model: org/base', `x: ${'y'.repeat(MAX_FRONT_MATTER)}`), null],
    [
      'a bomb',
      readme(
        'a: &a [x,x,x,x,x,x,x,x,x]',
        'b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]',
        'c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]',
        'base_model: [*c,*c]',
      ),
      null,
    ],
  ];
  for (const [what, text, card] of cards) {
    it(`with ${what}`, async () => {
      assert.deepEqual(await parseCard(text), card);
    });
  }
});

describe('the cards of a model', () => {
  const reader =
    (cards: Record<string, string>, asked: string[] = []): ReadCard =>
    (id) => {
      asked.push(id);
      return Promise.resolve(cards[id] ?? null);
    };

  it('lead from quantised over a mirror and instruct to the base', async () => {
    const cards = {
      'a/model-it-bnb-4bit': readme('base_model: b/model-it', 'base_model_relation: quantized'),
      'b/model-it': readme('base_model: c/Model-it'),
      'c/Model-it': readme('base_model: c/model-pt'),
      'c/model-pt': readme('base_model: d/other'),
    };
    assert.deepEqual(await ancestryOf('a/model-it-bnb-4bit', reader(cards)), {
      original: 'c/Model-it',
      base: 'c/model-pt',
      saidBy: 'c/Model-it',
    });
  });

  it('name the stage before, from where the table leads on', async () => {
    const cards = { 'allenai/OLMo-2-1124-7B-Instruct': readme('base_model: allenai/OLMo-2-1124-7B-DPO') };
    const { base, saidBy } = await ancestryOf('allenai/OLMo-2-1124-7B-Instruct', reader(cards));
    assert.deepEqual([base, saidBy], ['allenai/OLMo-2-1124-7B', 'allenai/OLMo-2-1124-7B-DPO']);
  });

  it('say nothing of a merge, an adapter or a model without a card', async () => {
    for (const card of [
      readme('base_model: [a/one, a/two]'),
      readme('base_model: a/one', 'base_model_relation: merge'),
      readme('base_model: a/one', 'base_model_relation: adapter'),
      '',
    ]) {
      assert.deepEqual(await ancestryOf('a/model', reader({ 'a/model': card })), {
        original: 'a/model',
        base: null,
        saidBy: null,
      });
    }
  });

  it('may lead in a circle or without end, which is given up', async () => {
    const circle = { 'a/m': readme('base_model: b/m'), 'b/m': readme('base_model: a/m') };
    assert.equal((await ancestryOf('a/m', reader(circle))).base, null);
    const itself = { 'a/m': readme('base_model: a/m', 'base_model_relation: finetune') };
    assert.equal((await ancestryOf('a/m', reader(itself))).base, null);
    const asked: string[] = [];
    const endless: ReadCard = (id) => {
      asked.push(id);
      return Promise.resolve(readme(`base_model: x${asked.length}/m`, 'base_model_relation: quantized'));
    };
    assert.equal((await ancestryOf('a/m', endless)).base, null);
    assert.ok(asked.length <= 5);
  });
});
