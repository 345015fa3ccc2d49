// Patterns of configurations mean what they mean in Python's re, or are refused.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { endingPattern, firstFitting, PatternError, type PythonPattern, wholePattern } from '../../src/core/patterns';
import { END, FLAGS, forCharacters } from '../../src/core/python-characters';
import { UNTRANSLATABLE } from '../../src/core/python-pattern';
import { root } from '../fixtures/make';

function fits(pattern: PythonPattern, name: string): boolean {
  return firstFitting([pattern], [name])?.[0] === 0;
}

function refusal(translate: () => unknown): PatternError | null {
  try {
    translate();
    return null;
  } catch (error) {
    assert.ok(error instanceof PatternError, String(error));
    return error;
  }
}

describe('patterns of whole names', () => {
  const cases: Record<string, [pattern: string, matching: string[], others: string[]][]> = {
    'as people write them': [
      [String.raw`.*\.(q|k|v)_proj`, ['model.layers.0.q_proj'], ['q_proj', 'model.layers.0.q_proj.x', 'a.o_proj']],
      [String.raw`model\.layers\.\d+\.mlp\.\w+`, ['model.layers.12.mlp.up_proj'], ['model.layers.x.mlp.up_proj']],
      [String.raw`^(?!.*vision).*\.(?:[qv]_proj|fc\d)$`, ['a.q_proj', 'a.fc1'], ['vision.q_proj', 'a.fc']],
    ],
    groups: [
      ['(?P<kind>[qk])_(?P=kind)', ['q_q', 'k_k'], ['q_k']],
      ['(?:a|b)c(?#a comment)+', ['acc', 'bc'], ['c']],
      ['(a)?b\\1', ['aba'], ['b', 'ab']],
      ['(a?)?b\\1', ['b', 'aba'], ['ab']],
      ['(a)?(?(1)b|c)', ['ab', 'c'], ['b', 'ac']],
      ['(?P<x>a)?b(?(x)c)', ['abc', 'b'], ['ab', 'bc']],
      ['(?>a|ab)c', ['ac'], ['abc']],
      ['(?:(?>a+)b)*', ['aabab', ''], ['aa']],
    ],
    lookarounds: [
      ['(?=.b)a.', ['ab'], ['ac']],
      ['(?!.b)a.', ['ac'], ['ab']],
      ['a.(?<=b)', ['ab'], ['ac']],
      ['a.(?<!b)', ['ac'], ['ab']],
      ['(a)(?<=\\1)b', ['ab'], []],
    ],
    repetitions: [
      ['a{2}', ['aa'], ['a', 'a{2}']],
      ['a{,2}', ['', 'aa'], ['aaa']],
      ['a{1,}b{1,2}?', ['aabb'], ['bb']],
      ['a{x}{}{', ['a{x}{}{'], ['a']],
      ['a*+b', ['aab', 'b'], ['aa']],
      ['a*+a', [], ['a', 'aa']],
      ['a?+a', ['aa'], ['a']],
      ['(?:a|ab){2}+', ['aa'], ['aba']],
      ['a{1,2}+a', ['aaa'], ['aa']],
      ['(?:^)*(?=a)+a', ['a'], []],
    ],
    flags: [
      ['(?i)q_Proj', ['Q_PROJ'], ['q-proj']],
      ['(?i:a)b(?-i:c)', ['Abc'], ['aBc']],
      ['(?i)[a-c][^x]s', ['Bys', 'BY\u017f'], ['BXs']],
      ['(?i)[ik]', ['\u0130', '\u0131', '\u212a', 'I', 'K'], ['s']],
      ['(?ai)[ik]', ['I', 'K'], ['\u0130', '\u0131', '\u212a']],
      ['(?s)a.', ['a\n', 'ab'], ['a']],
      ['a.', ['ab', 'a\r', 'a\u2028', 'a\u{1f600}'], ['a\n', 'a']],
      ['(?s:.).', ['\na'], ['a\n']],
      ['(?m)a$\n^b', ['a\nb'], ['ab']],
      ['a$\n^b', [], ['a\nb']],
      ['(?x) a b # comment\n c\\ [ ] | d', ['abc  ', 'd'], ['a b']],
      ['(?x: a )b ', ['ab '], ['ab']],
      ['(?a)\\w\\d', ['a1'], ['é1', 'a\u0661']],
      ['(?a:\\w)(?u:\\w)', ['aé'], ['éa']],
    ],
    positions: [
      [String.raw`\Aa\Z`, ['a'], ['a\n']],
      [String.raw`\Aa\z`, ['a'], ['a\n']],
      ['a$\n', ['a\n'], ['a']],
      [String.raw`a\b.b`, ['a.b'], ['aab', 'aéb']],
      [String.raw`a\B.\Bb`, ['aéb'], ['a.b']],
      [String.raw`\B`, [], ['']],
    ],
    characters: [
      [String.raw`\a\f\n\r\t\v\\`, ['\x07\f\n\r\t\v\\'], []],
      [String.raw`\x61\u0062\U00000063\U0001f600`, ['abc\u{1f600}'], []],
      [String.raw`\141\060\0`, ['a0\0'], []],
      [String.raw`(a)\1\\1`, ['aa\\1'], []],
      [String.raw`\d\D\w\W\s\S`, ['\u0661aé. a'], ['1aa..a']],
      [String.raw`\s`, [' ', '\x1c', '\x85', '\u3000'], ['\ufeff', '\u200b']],
      ['[]a]+', [']a'], ['b']],
      ['[^]a]+', ['b', '\n'], [']']],
      [String.raw`[a-c\d\-\]_-]+`, ['b7-]_'], ['d', '\\']],
      [String.raw`[\W\d]+`, ['.7'], ['a']],
      [String.raw`[^\W\d]+`, ['aé_'], ['.', '7']],
      ['[[a&&b||~~d]', ['[', '&', 'b', '|', '~'], ['e']],
      [String.raw`[\b]`, ['\b'], ['b']],
      ['.[^a]', ['\u{1f600}é'], ['\u{1f600}']],
    ],
  };

  for (const [group, rows] of Object.entries(cases))
    for (const [pattern, matching, others] of rows)
      it(`${group}: ${JSON.stringify(pattern)}`, () => {
        for (const name of matching)
          assert.ok(fits(wholePattern(pattern), name), `does not fit ${JSON.stringify(name)}`);
        for (const name of others) assert.ok(!fits(wholePattern(pattern), name), `fits ${JSON.stringify(name)}`);
      });
});

describe('keys of rank_pattern and alpha_pattern', () => {
  const cases: [key: string, matching: string[], others: string[]][] = [
    ['q_proj', ['q_proj', 'layers.0.q_proj', 'a.q_proj\n'], ['xq_proj', 'q_proj.x']],
    ['layers.0.q_proj', ['model.layers.0.q_proj', 'layers_0_q_proj'], ['model.layers.00.q_proj']],
    ['a|b', ['a', 'x.b'], ['xb']],
    ['^a', ['a'], ['b.a']],
    // The parentheses that PEFT puts around a key can be used by it, and the group before it is the first.
    ['a)(b', ['ab', 'x.ab'], ['a']],
    [String.raw`a(?(1)b|c)`, ['x.ab', 'ac'], ['x.ac', 'ab']],
  ];
  for (const [key, matching, others] of cases)
    it(JSON.stringify(key), () => {
      for (const name of matching) assert.ok(fits(endingPattern(key), name), `does not fit ${JSON.stringify(name)}`);
      for (const name of others) assert.ok(!fits(endingPattern(key), name), `fits ${JSON.stringify(name)}`);
    });

  it('cannot begin with flags, which then are not at the start', () => {
    assert.match(refusal(() => endingPattern('(?i)q_proj'))!.message, /global flags not at the start/);
    assert.equal(
      refusal(() => endingPattern('(?i:q_proj)')),
      null,
    );
  });
});

describe('a pattern is refused', () => {
  const invalid = [
    ...[
      '(',
      ')',
      'a)',
      '(?',
      '(?P',
      '(?P<a',
      '(?P<1>a)',
      '(?P<>a)',
      '(?P<a>b)(?P<a>c)',
      '(?P=a)',
      '(?P>a)',
      '(?#a',
      '(?q)',
    ],
    ...['*', '+a', '?', '{1}', '|*', '^*', '\\b+', 'a**', 'a+*', 'a{1}{2}', 'a???', 'a{2,1}', 'a{4294967295}', '(?i)*'],
    ...['[', '[]', '[^]', '[a', '[b-a]', '[a-\\d]', '[\\d-z]', '[\\A]', '[\\8]', '[\\400]'],
    ...['\\', 'a\\', '\\q', '\\x6', '\\u12', '\\U00110000', '\\400', '\\1', '(\\1)', '(a)\\2', '(?P<a>(?P=a))'],
    ...['(?<=a+)b', '(?<!a|bc)', '(?<a)', '(?<=(a)\\1)', '(?(0)a)', '(?(x)a)', '(a)(?(1)b|c|d)'],
    ...['a(?i)', '(?i', '(?-i)a', '(?i-i:a)', '(?au:a)', '(?a)(?u)', '(?L)', '(?-a:a)', '(?-:a)', '(?i-:a)', '|(?i)'],
  ];
  for (const pattern of invalid)
    it(`as in Python: ${pattern}`, () => {
      const error = refusal(() => wholePattern(pattern));
      assert.equal(error?.kind, 'invalid');
      assert.match(error.message, /^is not a regular expression of Python \(.+\)$/);
    });

  const untranslatable: Record<keyof typeof UNTRANSLATABLE, string[]> = {
    length: ['a'.repeat(10_001), '\\b'.repeat(1000)],
    depth: ['('.repeat(101) + ')'.repeat(101), '('.repeat(5000), '()' + '(?(1)'.repeat(1000)],
    repeated: ['(a)+\\1', '(?:(a)b)*\\1', '(?:(a)|b\\1)*', '(?:(a)?(?(1)b|c))+'],
    idle: ['(?>(?:|a)*)', '(?:(?:|a)*b)?+', '(?=((?:|a)*))\\1'],
    open: ['(?(1)a|b)(c)', '(a(?(1)b|c))', '(?(2)a)'],
    caselessReference: ['(?i)(a)\\1', '(a)(?i:\\1)'],
    caselessLetter: ['(?i)é', '(?i)[a-ü]', '(?i)[^é]'],
    named: ['\\N{DIGIT ONE}', '[\\N{DIGIT ONE}]'],
  };
  for (const [reason, patterns] of Object.entries(untranslatable))
    it(`that JavaScript cannot match like Python: ${reason}`, () => {
      for (const pattern of patterns) {
        const error = refusal(() => wholePattern(pattern));
        assert.equal(error?.kind, 'untranslatable');
        assert.equal(error.reason, UNTRANSLATABLE[reason as keyof typeof UNTRANSLATABLE]);
      }
    });

  it('not for a letter without case, or an unrelated repetition', () => {
    assert.ok(fits(wholePattern('(?i)模A'), '模a'));
    assert.ok(fits(wholePattern('(?:a|)*(b)\\1(?>(?:ab?)*)'), 'aabbaab'));
  });
});

describe('what Python recorded', () => {
  type Vector = [usage: 'w' | 'e', pattern: string, matching?: string[], others?: string[]];
  const vectors = readFileSync(join(root, 'test/fixtures/python-patterns.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Vector);
  const translated = vectors.map(([usage, pattern, matching = null, others = []]) => {
    let made: PythonPattern = { source: '', plain: null };
    const error = refusal(() => (made = usage === 'w' ? wholePattern(pattern) : endingPattern(pattern)));
    return { pattern, matching, others, made, error };
  });

  it('holds for every pattern and name', () => {
    let names = 0;
    for (const { pattern, matching, others, made, error } of translated) {
      if (!matching || error) continue;
      const foreign = Array.from(new Set([...matching, ...others].join(''))).filter((each) => each > '\x7f');
      for (const each of [made.source, forCharacters(foreign)(made.source)]) {
        const expression = new RegExp(each, FLAGS);
        for (const name of [...matching, ...others]) {
          names++;
          assert.equal(expression.test(name + END), matching.includes(name), JSON.stringify({ pattern, name }));
        }
      }
      if (made.plain === null) continue;
      for (const name of [...matching, ...others])
        assert.equal(fits(made, name), matching.includes(name), JSON.stringify({ pattern, name }));
    }
    assert.ok(names > 20_000);
  });

  it('is refused where Python refuses it', () => {
    const accepted = translated.filter(({ matching, error }) => !matching && !error);
    assert.deepEqual(accepted, []);
  });

  it('is seldom refused where Python does not, and for a documented reason', () => {
    const valid = translated.filter(({ matching }) => matching);
    const refused = valid.filter(({ error }) => error);
    const reasons: readonly string[] = Object.values(UNTRANSLATABLE);
    for (const { error, pattern } of refused) {
      assert.equal(error?.kind, 'untranslatable', pattern);
      assert.ok(reasons.includes(error.reason));
    }
    assert.ok(refused.length < 0.02 * valid.length, `${refused.length} of ${valid.length}`);
  });
});

describe('matching', () => {
  it('finds the first pattern that fits each name', () => {
    const patterns = [endingPattern('q_proj'), endingPattern('layers.1.*'), endingPattern('k_proj')];
    assert.deepEqual(firstFitting(patterns, ['a.q_proj', 'layers.1.k_proj', 'layers.2.k_proj', 'x']), [0, 1, 2, -1]);
    assert.deepEqual(firstFitting([], ['a']), [-1]);
  });

  it('gives up in time, whatever the patterns are', () => {
    const hostile: [pattern: string, name: string][] = [
      ['(a*)*(a*)*b', 'a'.repeat(60)],
      ['(?:a|b|){4294967294}', 'a'],
      ['(?:\\w?){900}\\Z', `${'é'.repeat(60)}.`],
      ['(?:a|b)*x', 'ab'.repeat(5_000_000)],
    ];
    for (const [pattern, name] of hostile) {
      const start = performance.now();
      assert.equal(firstFitting([wholePattern(pattern)], [name]), null, pattern);
      // A quarter of a second for the limit, the rest for a slow machine.
      assert.ok(performance.now() - start < 5000, pattern);
    }
    const many = Array.from({ length: 100_000 }, (_, i) => ({ source: `^(?:layers)\\.${i}\\.q_proj`, plain: null }));
    assert.equal(firstFitting(many, ['x', 'y', 'z']), null);
  });

  it('keeps up with a pattern for each module of a large model', () => {
    const kinds = ['q', 'k', 'v', 'o', 'gate', 'up', 'down'];
    const names = Array.from({ length: 80 }, (_, layer) => kinds.map((kind) => `model.layers.${layer}.${kind}_proj`));
    const patterns = names.flat().map(endingPattern);
    assert.deepEqual(firstFitting(patterns, names.flat()), Array.from(patterns.keys()));
    assert.deepEqual(firstFitting(patterns, names.flat(), { left: 0 }), null);
  });

  it('takes a dot of a plain name as any character, as Python does, and the first pattern in their order', () => {
    const patterns = ['layers.1.q', 'c', 'b.c', 'b_c'].map(endingPattern);
    const names = ['layers_1xq', 'x.layers.1.q', 'xlayers.1.q', 'a.b_c', 'a.b.c', 'abxc', 'c\n', 'b.é'];
    assert.deepEqual(firstFitting(patterns, names.slice(0, 6)), [0, 0, -1, 2, 1, -1]);
    assert.deepEqual(firstFitting(patterns, names), [0, 0, -1, 2, 1, -1, 1, -1]);
  });
});
