import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { attentionMask } from '../../src/llm/mask';

/** Rows as text: `x` where a token attends, `.` where it does not. */
function drawn(span: Parameters<typeof attentionMask>[0]): string[] {
  const { data, dims } = attentionMask(span);
  const columns = dims[3]!;
  const signs = [...(data as Float32Array)].map((value) => (value === 0 ? 'x' : value <= -1e30 ? '.' : '?')).join('');
  return Array.from({ length: signs.length / columns }, (_, i) => {
    const line = signs.slice(i * columns, (i + 1) * columns);
    return `${line.slice(0, span.capacity)} ${line.slice(span.capacity)}`;
  });
}

const alone = { heads: 2, keyValueHeads: 2, window: null };

describe('the mask of attention', () => {
  it('lets a token see those before it, and nothing of a prompt that has none', () => {
    assert.deepEqual(drawn({ ...alone, before: [0], width: 3, capacity: 1 }), ['. x..', '. xx.', '. xxx']);
  });

  it('lets each row see what its own cache holds', () => {
    assert.deepEqual(drawn({ ...alone, before: [2, 4], width: 1, capacity: 4 }), ['xx.. x', 'xxxx x']);
  });

  it('ends at the window, which counts the token itself', () => {
    assert.deepEqual(drawn({ ...alone, window: 2, before: [3], width: 3, capacity: 4 }), [
      '..x. x..',
      '.... xx.',
      '.... .xx',
    ]);
    assert.deepEqual(drawn({ ...alone, window: 1, before: [2], width: 1, capacity: 2 }), ['.. x']);
  });

  it('repeats the positions for every head that shares keys and values', () => {
    const span = { heads: 6, keyValueHeads: 2, window: null, before: [1], width: 2, capacity: 2 };
    const once = ['x. x.', 'x. xx'];
    assert.deepEqual(drawn(span), [...once, ...once, ...once]);
    assert.deepEqual(attentionMask(span).dims, [1, 1, 6, 4]);
  });
});
