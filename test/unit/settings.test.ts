// What the settings may hold: the code's rules against package.json's schema, and what is used instead of a wrong value.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { SECTION, type Settings, settingNames } from '../../src/host/common/contributions';
import { checkSetting, rules } from '../../src/host/settings/setting-rules';
import { root } from '../fixtures/make';

interface Schema {
  type: string;
  default: unknown;
  enum?: string[];
  minimum?: number;
  maximum?: number;
}

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  contributes: { configuration: { properties: Record<string, Schema> } };
};

describe('a setting', () => {
  it('has the same limits and the same default in the code as in package.json', () => {
    for (const name of settingNames) {
      const schema = manifest.contributes.configuration.properties[`${SECTION}.${name}`]!;
      const rule = rules[name];
      if (rule.kind === 'choice') {
        assert.deepEqual([...rule.choices].sort(), [...schema.enum!].sort());
        assert.equal(rule.choices[0], schema.default);
      } else if (rule.kind !== 'pairs' && rule.kind !== 'folders') {
        const { kind, min, max, instead } = rule;
        assert.deepEqual(
          [kind, min, max, instead],
          [schema.type, schema.minimum, schema.maximum ?? Infinity, schema.default],
        );
      }
      assert.deepEqual(checkSetting(name, schema.default), { value: schema.default, wrong: [] });
    }
  });

  const cases: [keyof Settings, unknown, unknown][] = [
    ['threshold', 1.5, 0.35],
    ['threshold', '0.5', 0.35],
    ['threshold', null, 0.35],
    ['count', 3.7, 3],
    ['count', 0, 8],
    ['workers', 100, 64],
    ['workers', -1, 0],
    ['memoryBudget', 100, 1024],
    ['selection', 'treshold', 'threshold'],
    ['device', 'gpu', 'auto'],
    ['keepOriginals', true, 'beside'],
    ['pairs', [], {}],
    ['modelFolders', '/models', []],
  ];
  for (const [name, value, instead] of cases) {
    it(`${name} ${JSON.stringify(value)} is wrong, and ${JSON.stringify(instead)} is used instead`, () => {
      const checked = checkSetting(name, value);
      assert.deepEqual(checked.value, instead);
      assert.deepEqual(checked.wrong, [{ path: [], value, wanted: rules[name], instead }]);
    });
  }

  it('leaves out a folder that is none or relative, and keeps the others', () => {
    const { value, wrong } = checkSetting('modelFolders', ['/models', 'models', '~/models', 7, '', '~user']);
    assert.deepEqual(value, ['/models', '~/models']);
    const left = { wanted: { kind: 'folder' }, instead: undefined };
    assert.deepEqual(wrong, [
      { path: [1], value: 'models', ...left },
      { path: [3], value: 7, ...left },
      { path: [4], value: '', ...left },
      { path: [5], value: '~user', ...left },
    ]);
  });

  it('leaves out a pair that is none, and keeps the others', () => {
    const good = { base: 'b', aligned: 'a' };
    for (const bad of [null, 'folder', { base: 'b' }, { base: 'b', aligned: '' }, { base: 1, aligned: 2 }]) {
      const { value, wrong } = checkSetting('pairs', { good, bad });
      assert.deepEqual(value, { good });
      assert.deepEqual(wrong, [{ path: ['bad'], value: bad, wanted: { kind: 'pair' }, instead: undefined }]);
    }
  });
});
