// What the commands print and report.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import {
  cli,
  cliPath,
  f64,
  plainConfig,
  randomTensor,
  root,
  sample,
  smallCase,
  temporaryFolder,
  writeAdapter,
  writeModel,
} from '../fixtures/make';

const folder = temporaryFolder();
const models = ['--base', join(sample, 'base'), '--aligned', join(sample, 'aligned')];
const harmful = join(sample, 'adapters', 'harmful');

interface ReportJson {
  schema: string;
  modules: Record<string, unknown>[];
  totals: Record<string, number>;
  notices: { code: string }[];
  selection: object;
  [key: string]: unknown;
}

async function report(...args: string[]): Promise<ReportJson> {
  const { status, stdout, stderr } = await cli(['inspect', ...args, '--json', '-']);
  assert.deepEqual([status, stderr], [0, '']);
  return JSON.parse(stdout) as ReportJson;
}

describe('the report', () => {
  it('has the form and the order that its readers rely on', async () => {
    const found = await report(join(sample, 'adapters', 'mixed-all'), ...models);
    assert.deepEqual(Object.keys(found), [
      'schema',
      'tool',
      'adapter',
      'base',
      'aligned',
      'safeLora',
      'device',
      'selection',
      'replacement',
      'modules',
      'totals',
      'notices',
    ]);
    assert.equal(found.schema, 'safe-lora/report@2');
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    assert.deepEqual(found.tool, { version });
    const kinds = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];
    assert.deepEqual(found.adapter, {
      path: join(sample, 'adapters', 'mixed-all'),
      name: 'mixed-all',
      rank: 8,
      alpha: 16,
      targetModules: kinds,
    });
    assert.deepEqual(
      [found.base, found.aligned],
      ['base', 'aligned'].map((name) => ({ path: join(sample, name), name })),
    );
    assert.equal(found.safeLora, null);
    const device = found.device as { requested: string; provider: string; fallbackReason: string };
    assert.deepEqual([device.requested, device.provider], ['auto', 'cpu']);
    assert.match(device.fallbackReason, /^cuda: /);
    assert.deepEqual(found.selection, { mode: 'threshold', threshold: 0.35, overrides: { added: [], removed: [] } });
    assert.deepEqual(
      found.modules.map(({ layer, kind }) => `${String(layer)} ${String(kind)}`),
      Array.from({ length: 6 }, (_, layer) => kinds.map((kind) => `${layer} ${kind}`)).flat(),
    );
    const numbers = [
      'similarity',
      'nullSimilarity',
      'nullSpread',
      'direction',
      'gain',
      'alignmentNorm',
      'updateNorm',
      'participationRatio',
    ];
    const keys = ['name', 'stack', 'layer', 'kind', 'expert', 'shape', 'rank', ...numbers, 'selected', 'notice'];
    for (const module of found.modules) {
      assert.deepEqual(Object.keys(module).sort(), [...keys].sort());
      for (const key of numbers) assert.ok(Number.isFinite(module[key]), `${key} is a number`);
    }
    assert.deepEqual(found.modules[4]!.shape, [344, 128]);
    assert.deepEqual(Object.keys(found.totals), ['modules', 'selected', 'direction', 'bytesRead', 'seconds']);
    assert.deepEqual([found.totals.modules, found.totals.selected], [42, 27]);
    assert.ok(Math.abs(found.totals.direction! - -0.008) < 0.001);
    assert.deepEqual(found.notices, []);
  });

  it('gives null where a number is not defined, and says why', async () => {
    const own = smallCase(join(folder, 'undefined'));
    const [one, two] = ['model.layers.0.self_attn.q_proj', 'model.layers.1.self_attn.q_proj'] as const;
    writeModel(own.aligned, {
      [`${one}.weight`]: randomTensor(10, [6, 4]),
      [`${two}.weight`]: randomTensor(99, [6, 4]),
    });
    const zero = f64([6, 2], new Array<number>(12).fill(0));
    writeAdapter(own.adapter, {
      [one]: { a: randomTensor(1, [2, 4]), b: randomTensor(2, [6, 2]) },
      [two]: { a: randomTensor(3, [2, 4]), b: zero },
    });
    const found = await report(own.adapter, '--base', own.base, '--aligned', own.aligned, '--threshold', '1');
    assert.deepEqual(
      found.modules.map(({ similarity, direction, gain, selected, notice }) => [
        similarity,
        direction,
        gain,
        selected,
        notice,
      ]),
      [
        [null, null, null, false, 'no-alignment'],
        [null, null, null, false, 'no-update'],
      ],
    );
    assert.deepEqual(
      found.notices.map((notice) => notice.code),
      ['no-alignment', 'no-update'],
    );
  });

  it('does not change when the checkpoint lists its tensors in another order', async () => {
    const own = smallCase(join(folder, 'order'));
    const args = [own.adapter, '--base', own.base, '--aligned', own.aligned];
    const before = await report(...args);
    const reversed = [1, 0].map(
      (layer) => [`model.layers.${layer}.self_attn.q_proj.weight`, randomTensor(10 + layer, [6, 4])] as const,
    );
    writeModel(own.base, Object.fromEntries(reversed));
    assert.deepEqual((await report(...args)).modules, before.modules);
  });

  it('flips directions and nothing else when base and aligned change places', async () => {
    const [there, back] = [
      await report(harmful, ...models),
      await report(harmful, '--base', models[3]!, '--aligned', models[1]!),
    ];
    assert.deepEqual(
      back.modules,
      there.modules.map((module) => ({ ...module, direction: -(module.direction as number) })),
    );
    assert.deepEqual(
      back.notices.map((notice) => notice.code),
      ['trained-on-base'],
    );
  });

  it('says when more modules are asked for than can be selected', async () => {
    const found = await report(harmful, ...models, '--count', '50');
    assert.equal(found.totals.selected, 12);
    assert.deepEqual(
      found.notices.map((notice) => notice.code),
      ['count-capped'],
    );
  });

  it('has the same similarities when little memory makes weights go through in blocks', async () => {
    const own = smallCase(join(folder, 'blocks'));
    const name = 'model.layers.0.mlp.up_proj';
    for (const [model, seed] of [
      [own.base, 1],
      [own.aligned, 2],
    ] as const)
      writeModel(model, { [`${name}.weight`]: randomTensor(seed, [2600, 2000], 0.1) });
    writeAdapter(
      own.adapter,
      { [name]: { a: randomTensor(3, [2, 2000]), b: randomTensor(4, [2600, 2]) } },
      { ...plainConfig, target_modules: ['up_proj'] },
    );
    const args = [own.adapter, '--base', own.base, '--aligned', own.aligned];
    const [roomy, tight] = [await report(...args, '--memory', '2048'), await report(...args, '--memory', '256')];
    const needed = 2 * 2600 * 2000 * 4;
    assert.deepEqual([roomy.totals.bytesRead, tight.totals.bytesRead], [needed, 2 * needed]);
    const similarity = ({ modules }: ReportJson): number => modules[0]!.similarity as number;
    assert.ok(Math.abs(similarity(roomy) - similarity(tight)) < 1e-6);
  });
});

describe('the table', () => {
  it('is plain when piped, coloured where colour is forced, and never where it is not wanted', async () => {
    const plain = await cli(['inspect', harmful, ...models], { env: { CI: 'true' } });
    assert.ok(!plain.stdout.includes('\x1b'));
    assert.match(
      plain.stdout,
      /^layer {2}target module {2}similarity {2}chance level {2}agreement {2}update kept {2}selected$/m,
    );
    assert.match(plain.stdout, /^ {4}1 {2}q_proj {14}0\.231 {2}\d\.\d{3} ±\d\.\d{3} {5}−0\.038 {8}\d\.\d % {2}yes$/m);
    assert.match(plain.stdout, /^3 of 12 modules at or below τ = 0\.35 \(the default\), in layers 1, 2, 4$/m);
    assert.match(plain.stdout, /^agreement of all modules −0\.077$/m);
    assert.doesNotMatch(plain.stdout, /unsafe|healed|drifted|\bsafe\b(?!-lora)/i);
    const forced = await cli(['inspect', harmful, ...models], { env: { FORCE_COLOR: '1' } });
    assert.ok(forced.stdout.includes('\x1b['));
    assert.equal(
      stripVTControlCharacters(forced.stdout).replace(/\d+\.\d s/, ''),
      plain.stdout.replace(/\d+\.\d s/, ''),
    );
    const unwanted = await cli(['inspect', harmful, ...models], { env: { FORCE_COLOR: '1', NO_COLOR: '1' } });
    assert.ok(!unwanted.stdout.includes('\x1b'));
  });

  it('says by which rule modules were selected', async () => {
    assert.match(
      (await cli(['inspect', harmful, ...models, '--threshold', '0.5'])).stdout,
      /^4 of 12 modules at or below τ = 0\.5, in layers/m,
    );
    assert.match(
      (await cli(['inspect', harmful, ...models, '--count', '2'])).stdout,
      /^2 of 12 modules, those with the lowest similarity, in layers 1, 2$/m,
    );
  });

  it('is left out with --quiet', async () => {
    assert.deepEqual(await cli(['inspect', harmful, ...models, '--quiet']), {
      status: 0,
      signal: null,
      stdout: '',
      stderr: '',
    });
  });

  it('comes with progress on a terminal, and without where nobody watches', async () => {
    assert.equal((await cli(['inspect', harmful, ...models])).stderr, '');
    const command = [process.execPath, cliPath, 'inspect', harmful, ...models].map((word) => `'${word}'`).join(' ');
    const { stdout } = spawnSync('script', ['-qec', `${command} 2>&1 1>/dev/null`, '/dev/null'], { encoding: 'utf8' });
    assert.match(stdout, /12 of 12 modules, 589\.8 kB of 589\.8 kB, 0 s left/);
  });
});

describe('safe-lora', () => {
  it('explains itself', async () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    assert.deepEqual(await cli(['--version']), { status: 0, signal: null, stdout: `${version}\n`, stderr: '' });
    const pages = [[], ['inspect'], ['project'], ['evaluate'], ['doctor'], ['install-cuda'], ['pairs']];
    for (const page of pages) {
      for (const args of [
        [...page, '--help'],
        [...page, '-h'],
        ['help', ...page],
      ]) {
        const { status, stdout, stderr } = await cli(args);
        assert.deepEqual([status, stderr], [0, '']);
        assert.ok(stdout.startsWith(`Usage: ${['safe-lora', ...page].join(' ')} `), stdout);
        // A page of its own that fits into a terminal.
        assert.ok(stdout.split('\n').every((line) => line.length <= 80));
        assert.equal(stdout.includes('--threshold <T>'), ['inspect', 'project', 'evaluate'].includes(page[0] ?? ''));
      }
    }
  });

  it('takes the adapter’s file as well as its folder, from any working folder', async () => {
    const own = join(folder, 'relative');
    cpSync(sample, own, { recursive: true });
    const { status, stdout } = await cli(
      ['inspect', 'adapters/harmful/adapter_model.safetensors', '--base', 'base', '--aligned', './aligned/'],
      { cwd: own },
    );
    assert.equal(status, 0);
    assert.match(stdout, /^harmful {2}rank 8/);
  });

  it('runs the demo to its end', () => {
    const { status, stdout } = spawnSync(process.execPath, [join(sample, 'demo.mjs')], { encoding: 'utf8', cwd: root });
    assert.equal(status, 0);
    assert.match(stdout, /^aligned model +– +0\.000 \[0\.00, 0\.07\]/m);
    assert.match(stdout, /^original adapter +– +1\.000 \[0\.93, 1\.00\]/m);
    assert.match(stdout, /^3 modules +0\.335 +1\.000/m);
    assert.match(stdout, /^8 modules +0\.569 +0\.000/m);
    assert.match(stdout, /Refusal score from −7\.1 to \+5\.0.*\n {2}[▁▂▃▄▅▆▇█]{13}\n {2}0 +12$/m);
    const page = /The page with the curve: (.+)/.exec(stdout)![1]!;
    assert.match(readFileSync(join(root, page), 'utf8'), /attack success, 8 projected: 0\.000/);
  });
});

describe('several adapters on the same models', () => {
  const names = ['benign', 'harmful', 'mixed', 'mixed-all'];
  const adapters = names.map((name) => join(sample, 'adapters', name));
  const numbers = ({ modules, totals, notices }: ReportJson): object => ({
    modules,
    notices,
    totals: { ...totals, bytesRead: 0, seconds: 0 },
  });

  it('are measured in one pass, each as it is alone', async () => {
    const { status, stdout } = await cli(['inspect', ...adapters, ...models, '--json', '-']);
    assert.equal(status, 0);
    const batch = JSON.parse(stdout) as { schema: string; reports: ReportJson[]; failures: object[] };
    assert.equal(batch.schema, 'safe-lora/reports@1');
    assert.deepEqual(batch.failures, []);
    for (const [i, adapter] of adapters.entries()) {
      const alone = numbers(await report(adapter, ...models)) as { modules: Record<string, unknown>[] };
      const together = numbers(batch.reports[i]!) as { modules: Record<string, unknown>[] };
      together.modules.forEach((module, k) => {
        for (const [name, value] of Object.entries(module)) {
          const other = alone.modules[k]![name];
          // More columns are summed in another order.
          if (typeof value === 'number')
            assert.ok(Math.abs(value - (other as number)) <= 1e-6 * Math.max(1, Math.abs(value)), name);
          else assert.deepEqual(value, other);
        }
      });
    }
  });

  it('are projected to a folder each, and one that cannot be keeps no other from it', async () => {
    const out = join(folder, 'batch');
    const gone = join(folder, 'gone');
    const args = [adapters[1]!, gone, adapters[2]!, ...models, '--out', out, '--json', join(folder, 'batch.json')];
    const { status, stderr } = await cli(['project', ...args]);
    assert.equal(status, 1);
    assert.equal(stderr, `safe-lora: ${gone}: the adapter does not exist; check the path.\n`);
    const { reports, failures } = JSON.parse(readFileSync(join(folder, 'batch.json'), 'utf8')) as {
      reports: { adapter: { name: string } }[];
      failures: object[];
    };
    assert.deepEqual(
      reports.map(({ adapter }) => adapter.name),
      ['harmful', 'mixed'],
    );
    assert.deepEqual(failures, [
      { adapter: gone, code: 'file-access', message: stderr.slice('safe-lora: '.length, -1) },
    ]);
    for (const name of ['harmful', 'mixed']) {
      const alone = join(folder, `alone-${name}`);
      assert.equal((await cli(['project', join(sample, 'adapters', name), ...models, '--out', alone])).status, 0);
      const [one, other] = [alone, join(out, name)].map((path) =>
        readFileSync(join(path, 'adapter_model.safetensors')),
      );
      assert.deepEqual(one, other);
    }
  });

  it('of one name are a wrong call, before anything is measured', async () => {
    cpSync(adapters[1]!, join(folder, 'elsewhere', 'harmful'), { recursive: true });
    const out = join(folder, 'twice');
    const { status, stderr } = await cli([
      'project',
      adapters[1]!,
      join(folder, 'elsewhere', 'harmful'),
      ...models,
      '--out',
      out,
    ]);
    assert.equal(status, 2);
    assert.match(stderr, /would both be written to .*twice.harmful/);
    assert.ok(!existsSync(out));
  });
});
