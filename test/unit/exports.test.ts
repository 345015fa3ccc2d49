// What is taken out of the editor: names are text in a spreadsheet and in Markdown, whatever they are.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ModuleReport, Report } from '../../src/core/report';
import { reportCsv, reportMarkdown } from '../../src/host/editor/exports';
import { kinds, tricks } from '../fixtures/hostile';

function reportOf(names: readonly string[], about = 'adapter'): Report {
  const module = (name: string): ModuleReport => ({
    name,
    stack: null,
    layer: 0,
    kind: 'q_proj',
    expert: null,
    shape: [6, 4],
    rank: 2,
    similarity: 0.25,
    nullSimilarity: 0.5,
    nullSpread: 0.01,
    direction: -0.125,
    gain: 1e-7,
    alignmentNorm: 1,
    updateNorm: 1,
    participationRatio: 2,
    selected: true,
    notice: null,
  });
  const model = { path: '/models', name: about };
  return {
    schema: 'safe-lora/report@2',
    tool: { version: '1' },
    adapter: { path: '/adapters', name: about, rank: 2, alpha: 4, targetModules: [] },
    base: model,
    aligned: model,
    safeLora: null,
    device: { requested: 'cpu', provider: 'cpu', fallbackReason: null },
    selection: { mode: 'threshold', threshold: 0.35, overrides: { added: [], removed: [] } },
    replacement: 'safe-lora',
    modules: names.map(module),
    totals: { modules: names.length, selected: names.length, direction: -0.125, bytesRead: 0, seconds: 0 },
    notices: [{ code: 'config-differs', message: about, modules: [] }],
  };
}

/** RFC 4180, read by code that shares nothing with the writer. */
function readCsv(text: string): string[][] {
  const rows: string[][] = [[]];
  for (let at = 0; at < text.length;) {
    const [, quoted, plain = '', end] = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/y.exec(text.slice(at))!;
    rows.at(-1)!.push(quoted?.replaceAll('""', '"') ?? plain);
    if (end === '\r\n') rows.push([]);
    at += (quoted === undefined ? plain.length : quoted.length + 2) + end!.length;
  }
  return rows.slice(0, -1);
}

describe('The table for a spreadsheet', () => {
  it('runs no name as a formula', () => {
    const names = [
      '=1+1',
      '+1',
      '-1',
      '@SUM(1)',
      '\t=1',
      '\r=1',
      '\n=1',
      '  =1',
      '\u200b=1',
      '\ufeff=1',
      '＝1',
      '＋1',
      '－1',
      '＠1',
      '\tx',
    ];
    const [, ...rows] = readCsv(reportCsv(reportOf(names)));
    assert.deepEqual(
      rows.map(([name]) => name),
      names.map((name) => `'${name}`),
    );
  });

  it('gives every other name back as it is, in a row of its own', () => {
    const names = ['a,b', 'a"b', 'a\r\nb', 'a;=b', 'a\tb', 'q_proj', '"', ...kinds];
    const [, ...rows] = readCsv(reportCsv(reportOf(names)));
    assert.deepEqual(
      rows.map(([name]) => name),
      names,
    );
  });

  it('keeps numbers numbers, also negative ones', () => {
    const [head, row] = readCsv(reportCsv(reportOf(['q_proj'])));
    assert.equal(row![head!.indexOf('direction')], '-0.125');
    assert.equal(row![head!.indexOf('gain')], '1e-7');
  });
});

describe('The report in Markdown', () => {
  it('has one row a module and no markup from names', () => {
    const names = [...kinds, 'a|b', 'a`b', '# a', '- a', 'x\n\n## y'];
    const text = reportMarkdown(reportOf(names, Object.values(tricks).join(' ')));
    const rows = text.split('\n').filter((line) => line.startsWith('| ') && line.includes('0.250'));
    assert.equal(rows.length, names.length);
    // Cells end at pipes without a backslash.
    for (const row of rows) assert.equal(row.replace(/\\./g, '').split('|').length, 8, row);
    const outsideCode = text.replace(/`[^`\n]*`/g, '').replace(/\\./g, '');
    assert.doesNotMatch(outsideCode, /[<>[\]]|https?:\/\/|\r/);
    assert.equal(text.split('\n').filter((line) => line.startsWith('- ')).length, 1);
  });

  it('shows plain names as they are', () => {
    const text = reportMarkdown(reportOf(['model.layers.0.self_attn.q_proj'], 'Llama-2-7b-chat-hf'));
    assert.match(text, /^\*\*Llama-2-7b-chat-hf\*\* \(rank 2/);
    assert.match(
      text,
      /\n\| `model\.layers\.0\.self_attn\.q_proj` \| 0\.250 \| 0\.500 ± 0\.010 \| −0\.125 \| \\< 0\.001 % \| yes \|\n/,
    );
  });

  it('names the rule beside what was done by hand', () => {
    const report = reportOf(['a', 'b']);
    const text = reportMarkdown({
      ...report,
      selection: { ...report.selection, overrides: { added: ['b'], removed: [] } },
    });
    assert.match(text, /^2 of 2 modules at or below τ = 0\.35 \(by hand: 1 added, 0 removed\); agreement/m);
  });
});
