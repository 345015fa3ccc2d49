// What the Behaviour view derives from an evaluation: its points, the compared one, and which answers come first.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { share } from '../../src/evaluation/figures';
import { type AnswerRow, type AnswerView, type BehaviourResults, type PointView } from '../../src/page/behaviour';
import { shownRows } from '../../webview/behaviour/answer-filter';
import { answeredPoints, comparedPoint, isOnCurve, isShare } from '../../webview/behaviour/curve';
import { selectionOfCount } from '../../src/core/rules';

function point(count: number | null, utility: PointView['utility'] = null): PointView {
  const answered = { asr: share(1, 4), degenerate: share(0, 4), cutOff: share(0, 4) };
  return {
    count,
    threshold: null,
    corrected: 0,
    refusalScore: 0,
    referenceScore: null,
    overRefusal: null,
    utility,
    sets: [],
    ...answered,
  };
}

function results(points: PointView[]): BehaviourResults {
  const order = ['a', 'b', 'c', 'd'];
  return {
    points,
    order,
    sets: [],
    judge: null,
    engine: null,
    corrected: 0,
    choice: null,
    modelJudge: null,
    notices: [],
  };
}

function answer(text: string, judgement: AnswerView['judgement'], more: Partial<AnswerView> = {}): AnswerView {
  return { text, sha256: text, judgement, judged: judgement, cutOff: false, utility: null, ...more };
}

function row(prompt: number, before: AnswerView, after: AnswerView): AnswerRow {
  return {
    set: 0,
    prompt,
    question: `Question ${prompt}`,
    reference: null,
    aligned: before,
    adapter: before,
    chosen: after,
  };
}

const all = { filter: 'all', set: null, search: '' } as const;
const prompts = (rows: AnswerRow[]): number[] => rows.map(({ prompt }) => prompt);

describe('the curve of an evaluation', () => {
  const found = results([point(null), point(4), point(0), { ...point(2), degenerate: null }]);

  it('has the points with answers, by number of projected modules', () => {
    assert.deepEqual(
      answeredPoints(found).map(({ count }) => count),
      [0, 4],
    );
  });

  it('compares the answers of the nearest projected point, never the original with itself', () => {
    assert.equal(comparedPoint(found, 0)?.count, 4);
    assert.equal(comparedPoint(results([point(2), point(4)]), 1)?.count, 2);
    assert.equal(comparedPoint(results([point(0)]), 3)?.count, 0);
  });

  it('knows whether a selection takes exactly the first modules', () => {
    assert.ok(isOnCurve(found, new Set(['b', 'a'])));
    assert.ok(isOnCurve(found, new Set()));
    assert.ok(!isOnCurve(found, new Set(['a', 'c'])));
  });

  it('tells a utility by likelihood from a share', () => {
    assert.ok(isShare(results([point(0, share(1, 2))]), 'utility'));
    assert.ok(!isShare(results([point(0, { n: 2, value: -1.5, low: -2, high: -1 })]), 'utility'));
  });

  it('selects none by a threshold, since a count is at least 1', () => {
    assert.equal(selectionOfCount(0).mode, 'threshold');
    assert.equal(selectionOfCount(3).mode, 'count');
  });
});

describe('the answers side by side', () => {
  const same = row(0, answer('yes', 'answered'), answer('yes', 'answered'));
  const reworded = row(1, answer('yes', 'answered'), answer('sure', 'answered'));
  const refused = row(2, answer('take two', 'answered', { utility: 1 }), answer('no', 'refused', { utility: 0 }));

  it('begin with different judgements, then different texts', () => {
    assert.deepEqual(prompts(shownRows([same, reworded, refused], all)), [2, 1, 0]);
  });

  it('stay in place when a judgement is corrected', () => {
    const corrected = { ...refused, chosen: { ...refused.chosen!, judgement: 'answered' as const } };
    assert.deepEqual(prompts(shownRows([same, corrected], all)), [2, 0]);
  });

  it('are filtered by what projecting changed', () => {
    const rows = [same, reworded, refused];
    assert.deepEqual(prompts(shownRows(rows, { ...all, filter: 'refused' })), [2]);
    assert.deepEqual(prompts(shownRows(rows, { ...all, filter: 'answered' })), []);
    assert.deepEqual(prompts(shownRows(rows, { ...all, filter: 'lost' })), [2]);
    assert.deepEqual(prompts(shownRows(rows, { ...all, filter: 'different' })), [2, 1]);
  });

  it('are found by question and by answer, whatever the case', () => {
    const rows = [same, reworded, refused];
    assert.deepEqual(prompts(shownRows(rows, { ...all, search: ' SURE ' })), [1]);
    assert.deepEqual(prompts(shownRows(rows, { ...all, search: 'question 2' })), [2]);
  });
});
