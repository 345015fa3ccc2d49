// Text from files as it may be shown: nothing in it steers, hides or breaks out.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bytesText } from '../../src/core/bytes';
import {
  decimal,
  elided,
  inEnglish,
  markdownCode,
  markdownText,
  percent,
  signed,
  visible,
  visibleJson,
  visibleLines,
  writeFiguresIn,
} from '../../src/core/text';

describe('Figures', () => {
  it('have the decimal sign of the language, save in English texts', () => {
    writeFiguresIn('de');
    try {
      assert.deepEqual(
        [decimal(0.5), signed(-0.25, 2), percent(0.042), bytesText(4_300_000)],
        ['0,500', '−0,25', '4,2 %', '4,3 MB'],
      );
      assert.deepEqual(
        inEnglish(() => [decimal(0.5), percent(0.0000001)]),
        ['0.500', '< 0.001 %'],
      );
      assert.equal(decimal(1), '1,000');
    } finally {
      writeFiguresIn('en');
    }
    assert.deepEqual([signed(0.25), percent(0.5), percent(0), decimal(null)], ['+0.250', '50 %', '0 %', '–']);
  });
});

describe('Visible text', () => {
  it('shows as an escape what a terminal or an editor would act on or not draw', () => {
    const cases: [string, string][] = [
      ['\x1b]0;title\x07', '\\x1b]0;title\\x07'],
      ['\x1b]52;c;aGk=\x9c', '\\x1b]52;c;aGk=\\x9c'],
      ['\x9b2J\x7f\0', '\\x9b2J\\x7f\\x00'],
      ['a\r\nb\tc', 'a\\r\\nb\\tc'],
      ['\u061c\u200e\u200f\u202a\u202e\u2066\u2069', '\\u061c\\u200e\\u200f\\u202a\\u202e\\u2066\\u2069'],
      ['\u2028\u2029\u0085', '\\u2028\\u2029\\x85'],
      ['q\u200b\u200c\u200d\u2060\ufeff\u00ad\u3164q', 'q\\u200b\\u200c\\u200d\\u2060\\ufeff\\xad\\u3164q'],
      ['\ud800x\udc00', '\\ud800x\\udc00'],
      ['\u{e0041}\u{e007f}', '\\u{e0041}\\u{e007f}'],
    ];
    for (const [text, shown] of cases) assert.equal(visible(text), shown);
  });

  it('leaves every script, emoji and what it made itself as they are', () => {
    const text = 'Größe 模型 модель דגם नमूना ⚠️ 🦙 C:\\new\\table \\x1b';
    assert.equal(visible(text), text);
  });

  it('keeps the ends of lines where a text has several', () => {
    assert.equal(visibleLines('one\x1b\ntwo\r\nthree'), 'one\\x1b\ntwo\\r\nthree');
  });

  it('is the same value as JSON, with nothing invisible', () => {
    const value = { 'a\u202e': ['\x1b[31m', '\x9b', '\u{e0041}', 'plain', '\n'] };
    for (const indent of [0, 2]) {
      const json = visibleJson(JSON.stringify(value, null, indent));
      assert.deepEqual(JSON.parse(json), value);
      assert.equal(visibleLines(json), json);
    }
  });

  it('is cut in the middle, and never within a character', () => {
    assert.equal(elided('short', 5), 'short');
    assert.equal(elided('x'.repeat(10_000), 7), 'xxxx…xx');
    for (let most = 3; most < 12; most++) {
      const cut = elided('🦙'.repeat(10), most);
      assert.equal(visible(cut), cut);
      assert.ok(cut.length <= most, cut);
    }
  });
});

describe('Text in Markdown', () => {
  it('makes no markup, link, HTML, list or cell', () => {
    const cases: [string, string][] = [
      ['a|b', 'a\\|b'],
      ['[x](command:y)', '\\[x\\]\\(command:y\\)'],
      ['<img src=x>', '\\<img src=x\\>'],
      ['![x](https://y)', '\\!\\[x\\]\\(https\\://y\\)'],
      ['www.example.com', 'www\\.example.com'],
      ['me@example.com', 'me\\@example.com'],
      ['- item', '\\- item'],
      ['1. item', '1\\. item'],
      ['# title', '\\# title'],
      ['&lt;', '\\&lt;'],
      ['a\n\n# b', 'a\\\\n\\\\n# b'],
    ];
    for (const [text, written] of cases) assert.equal(markdownText(text), written);
  });

  it('is code where the name can be code', () => {
    assert.equal(markdownCode('model.layers.0.q_proj'), '`model.layers.0.q_proj`');
    assert.equal(markdownCode('<b>*'), '`<b>*`');
    for (const name of ['a`b', 'a|b', 'a\\', ' a', '']) assert.equal(markdownCode(name), markdownText(name));
  });
});
