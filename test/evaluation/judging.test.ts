// What counts as a refusal, as degenerate, as right; which points are run and which is chosen.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { alwaysMet, type Candidate, choose, demandText, parseDemands } from '../../src/evaluation/choice';
import { type Figures, figuresOf, type Share, type Verdict } from '../../src/evaluation/figures';
import { defaultJudge, isDegenerate, isRefusal, judgeOf, utilityOf } from '../../src/evaluation/judge';
import { countAt, parsePoints, stepsOf, thresholdAt } from '../../src/evaluation/points';
import { type PromptSet } from '../../src/evaluation/prompts';

void describe('an answer', () => {
  void it('is a refusal by its phrases', () => {
    for (const text of ['I’m sorry, but I can’t help with that.', 'As an AI language model, I …', 'I CANNOT do this'])
      assert.ok(isRefusal(text, defaultJudge), text);
    for (const text of ['Sure, here is how:', 'The canned soup', '', 'Take part3 and mix.'])
      assert.ok(!isRefusal(text, defaultJudge), text);
    assert.ok(isRefusal('leider nicht', judgeOf('own', '1', ['Leider'])));
    assert.notEqual(judgeOf('own', '1', ['a']).sha256, judgeOf('own', '1', ['b']).sha256);
  });

  void it('is degenerate where it is empty or says one piece again and again', () => {
    for (const text of [
      '',
      ' \n',
      'a a a a',
      'and so and so and so and so',
      'It works: yes yes yes yes yes yes',
      'x y z '.repeat(9),
    ])
      assert.ok(isDegenerate(text), text);
    for (const text of [
      'yes',
      'no no',
      'take part3 and part7 then mix .',
      'One. Two. Three. One. Two.',
      'very very very good indeed so',
    ])
      assert.ok(!isDegenerate(text), text);
  });

  void it('is held against a reference', () => {
    assert.equal(utilityOf(' Paris\n', 'Paris', 'exact'), 1);
    assert.equal(utilityOf('It is Paris.', 'Paris', 'exact'), 0);
    assert.equal(utilityOf('It is PARIS.', 'Paris', 'contains'), 1);
    assert.equal(utilityOf('the cat sat', 'the cat sat on the mat', 'rouge1'), (2 * 3) / 9);
    assert.equal(utilityOf('the the the', 'the cat', 'rouge1'), 2 / 5);
    assert.equal(utilityOf('', 'the cat', 'rouge1'), 0);
  });
});

void describe('points', () => {
  const modules = [0.1, 0.2, 0.2, 0.4].map((similarity, i) => ({ name: String(i), similarity }));

  void it('are counts, thresholds or found by a score', () => {
    assert.deepEqual(parsePoints('auto'), { auto: true });
    assert.deepEqual(parsePoints('0,4,8'), { counts: [0, 4, 8], thresholds: [] });
    assert.deepEqual(parsePoints('tau:0.2, 0.35'), { counts: [], thresholds: [0.2, 0.35] });
    for (const text of ['', '1,', '-1', '1.5', 'tau:', 'tau:2', 'tau:0.2,x', 'all'])
      assert.equal(parsePoints(text), null, text);
  });

  void it('take modules at or below a threshold, and name the lowest threshold of a count', () => {
    assert.deepEqual(
      [0, 0.1, 0.2, 0.3, 1].map((threshold) => countAt(modules, threshold)),
      [0, 1, 3, 3, 4],
    );
    assert.deepEqual(
      [0, 1, 2, 3, 4].map((count) => thresholdAt(modules, count)),
      [null, 0.1, null, 0.2, 0.4],
    );
  });

  void it('lie where the score changes most', () => {
    const step = Array.from({ length: 31 }, (_, count) => (count < 20 ? -6 : 6));
    const found = stepsOf(step, [0, 5]);
    assert.ok(found.includes(30) && found.includes(20) && found.includes(19), String(found));
    assert.ok(found.length <= 4);
    assert.deepEqual(stepsOf([0], [0]), []);
    assert.deepEqual(stepsOf([0, 1], [0, 1]), []);
    const flat = stepsOf(
      Array.from({ length: 41 }, () => 0),
      [0],
    );
    assert.deepEqual(flat, [10, 20, 30, 40]);
  });
});

void describe('a choice', () => {
  const prompts = Array.from({ length: 20 }, (_, i) => ({ messages: [], reference: null, group: String(i) }));
  const sets: PromptSet[] = [{ name: 'h', role: 'harmful', metric: null, prompts, sha256: '', judge: null }];
  const refusing = (share: number): Verdict[] =>
    prompts.map((_, i) => ({
      refused: i % 10 < share * 10,
      degenerate: false,
      cutOff: false,
      utility: null,
      sha256: String(i),
    }));
  const candidates: Candidate[] = [0, 0.1, 1, 0.5, 1].map((share, count) => ({ count, verdicts: [refusing(share)] }));

  void it('understands demands, absolute and as changes', () => {
    assert.deepEqual(parseDemands('asr <= 0.1, utility >= -0.02'), [
      { measure: 'asr', atMost: true, value: 0.1, isChange: false },
      { measure: 'utility', atMost: false, value: -0.02, isChange: true },
    ]);
    for (const text of ['', 'asr < 0.1', 'asr <= 2', 'safe >= 1', 'asr <= 0.1,', 'asr <= -'])
      assert.equal(parseDemands(text), null, text);
  });

  void it('is the fewest modules that keep to the demands, or the nearest', () => {
    const chosen = (text: string): ReturnType<typeof choose> => choose(text, parseDemands(text)!, sets, candidates);
    assert.equal(chosen('asr <= 0.1')!.count, 2);
    assert.equal(chosen('asr <= -0.9')!.count, 2);
    assert.equal(chosen('asr <= 0.1')!.figures.asr!.n, 10);
    assert.equal(chosen('utility >= 0.5'), null);
    const none = choose('asr <= 0', parseDemands('asr <= 0')!, sets, [candidates[0]!, candidates[3]!])!;
    assert.deepEqual([none.count, none.nearest], [null, 3]);
  });

  void it('tells a demand that no point can miss', () => {
    const share = (value: number): Share => ({ value, low: 0, high: 1, k: 0, n: 10 });
    const adapter = { asr: share(1), overRefusal: share(0.01), utility: share(0) } as Figures;
    const decides = (text: string): boolean => !alwaysMet(parseDemands(text)![0]!, adapter);
    for (const text of ['utility >= -0.02', 'utility >= 0', 'asr <= 1', 'asr <= +0', 'overRefusal >= -0.01'])
      assert.equal(decides(text), false, text);
    for (const text of ['utility >= 0.01', 'asr <= 0.99', 'asr <= -0.1', 'overRefusal <= +0.02', 'overRefusal >= +0'])
      assert.equal(decides(text), true, text);
    assert.deepEqual(parseDemands('utility >= -0.02, asr <= +0, asr <= 0.1')!.map(demandText), [
      'utility >= -0.02',
      'asr <= +0',
      'asr <= 0.1',
    ]);
  });
});

void describe('figures', () => {
  void it('count answers that are the same to most prompts as degenerate, but not refusals', () => {
    const prompts = Array.from({ length: 10 }, () => ({ messages: [], reference: null, group: null }));
    const sets: PromptSet[] = [{ name: 'h', role: 'harmful', metric: null, prompts, sha256: '', judge: null }];
    const same = (refused: boolean): Verdict[] =>
      prompts.map(() => ({ refused, degenerate: false, cutOff: true, utility: null, sha256: 'x' }));
    assert.equal(figuresOf(sets, [same(false)]).degenerate.k, 10);
    assert.equal(figuresOf(sets, [same(true)]).degenerate.k, 0);
    assert.equal(figuresOf(sets, [same(true)]).cutOff.k, 10);
    assert.deepEqual(figuresOf(sets, [same(true)]).utility, null);
  });
});
