// The filters of the table of modules.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { layerFilter, nameFilter } from '../../webview/adapter/filter';

const modules = [0, 1, 2, 11, 12].flatMap((layer) =>
  ['q_proj', 'v_proj'].map((kind) => ({ name: `model.layers.${layer}.self_attn.${kind}`, layer })),
);
const head = { name: 'lm_head', layer: null };
const namesOf = (matches: ReturnType<typeof nameFilter>): string[] =>
  [...modules, head].filter((module) => matches!(module)).map(({ name }) => name);

describe('the filter by name', () => {
  it('takes a part of the name in any case, and an expression between slashes', () => {
    assert.equal(namesOf(nameFilter(' Q_PROJ ')).length, 5);
    assert.deepEqual(namesOf(nameFilter('/layers\\.(0|1)\\..*v_proj$/')), [
      'model.layers.0.self_attn.v_proj',
      'model.layers.1.self_attn.v_proj',
    ]);
    assert.equal(namesOf(nameFilter('')).length, 11);
    assert.deepEqual(namesOf(nameFilter('(')), []);
  });

  it('says where an expression cannot be read', () => {
    assert.equal(nameFilter('/(/'), null);
  });
});

describe('the filter by layer', () => {
  it('takes layers and ranges of them, both ends included, and no module outside all layers', () => {
    assert.deepEqual([...new Set(namesOf(layerFilter('1-2, 12')).map((name) => name.split('.')[2]))], ['1', '2', '12']);
    assert.deepEqual(namesOf(layerFilter('11–11')).length, 2);
    assert.equal(namesOf(layerFilter('  ')).length, 11);
  });

  it('says where it is something else', () => {
    for (const text of ['a', '1-', '-1', '1,,2', '1.5', '9999999']) assert.equal(layerFilter(text), null, text);
  });
});
