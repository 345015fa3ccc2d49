// What `project` writes, and that nothing is ever damaged or half-written on the way.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { before, describe, it } from 'node:test';
import { openAdapter } from '../../src/core/adapter';
import { keepOriginals, originalHashes } from '../../src/core/originals';
import {
  cli,
  cliPath,
  type CliResult,
  plainConfig,
  randomTensor,
  safetensors,
  sample,
  smallCase,
  temporaryFolder,
  writeAdapter,
  writeModel,
} from '../fixtures/make';

const folder = temporaryFolder();
const models = ['--base', join(sample, 'base'), '--aligned', join(sample, 'aligned')];
let cases = 0;

/** A copy of a shipped adapter in a folder of its own. */
function sampleAdapter(name = 'harmful'): string {
  const path = join(folder, `case-${cases++}`, name);
  cpSync(join(sample, 'adapters', name), path, { recursive: true });
  return path;
}

function project(adapter: string, out: string, ...more: string[]): Promise<CliResult> {
  return cli(['project', adapter, ...models, '--out', out, '--quiet', ...more]);
}

async function succeed(run: Promise<CliResult>): Promise<void> {
  const { status, stderr } = await run;
  assert.equal(stderr, '');
  assert.equal(status, 0);
}

async function refused(run: Promise<CliResult>, cause: RegExp): Promise<void> {
  const { status, stderr } = await run;
  assert.match(stderr, /^safe-lora: [^\n]+\n$/);
  assert.match(stderr, cause);
  assert.equal(status, 1);
}

interface File {
  metadata: Record<string, string>;
  names: string[];
  tensors: Map<string, { dtype: string; shape: number[]; bytes: Buffer }>;
}

/** Reads a safetensors file with JSON.parse alone. */
function read(path: string): File {
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const { __metadata__: metadata, ...entries } = JSON.parse(bytes.subarray(8, 8 + length).toString()) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const tensors = new Map(
    Object.entries(entries).map(
      ([
        name,
        {
          dtype,
          shape,
          data_offsets: [begin, end],
        },
      ]) => [name, { dtype, shape, bytes: bytes.subarray(8 + length + begin, 8 + length + end) }],
    ),
  );
  return { metadata: metadata as unknown as Record<string, string>, names: Object.keys(entries), tensors };
}

const weights = (adapter: string): string => join(adapter, 'adapter_model.safetensors');

function changed(before: File, after: File): string[] {
  return before.names.filter((name) => !before.tensors.get(name)!.bytes.equals(after.tensors.get(name)!.bytes));
}

/** Names, modes and bytes of all that lies in a folder. */
function contents(path: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(path).map((name) => [
      name,
      `${statSync(join(path, name)).mode} ${readFileSync(join(path, name)).toString('base64')}`,
    ]),
  );
}

describe('the projected adapter', () => {
  const selected = ['1', '2', '4'].map(
    (layer) => `base_model.model.model.layers.${layer}.self_attn.q_proj.lora_B.weight`,
  );

  it('differs from the old one in the selected lora_B tensors and nothing else', async () => {
    const adapter = sampleAdapter();
    const out = join(dirname(adapter), 'new');
    await succeed(project(adapter, out));
    const [old, fresh] = [read(weights(adapter)), read(weights(out))];
    assert.deepEqual(fresh.names, old.names, 'the same tensors in the same order');
    for (const name of old.names)
      assert.deepEqual(
        [fresh.tensors.get(name)!.dtype, fresh.tensors.get(name)!.shape],
        [old.tensors.get(name)!.dtype, old.tensors.get(name)!.shape],
      );
    assert.deepEqual(changed(old, fresh).sort(), selected);
    const { safe_lora: entry, ...kept } = fresh.metadata;
    assert.deepEqual(kept, old.metadata);
    const provenance = JSON.parse(entry!) as {
      modules: string[];
      selection: object;
      base: { name: string; headers: string };
    };
    assert.deepEqual(
      provenance.modules,
      ['1', '2', '4'].map((layer) => `model.layers.${layer}.self_attn.q_proj`),
    );
    assert.deepEqual(provenance.selection, {
      mode: 'threshold',
      threshold: 0.35,
      overrides: { added: [], removed: [] },
    });
    assert.match(provenance.base.headers, /^[0-9a-f]{64}$/);
    assert.deepEqual(
      readFileSync(join(out, 'adapter_config.json')),
      readFileSync(join(adapter, 'adapter_config.json')),
    );
  });

  it('is the same bytes for the same input, report included, wherever it is written', async () => {
    const [one, two] = [sampleAdapter('mixed-all'), sampleAdapter('mixed-all')];
    const outs = [join(dirname(one), 'first'), join(dirname(two), 'elsewhere', 'second')] as const;
    await succeed(project(one, outs[0]));
    await succeed(project(two, outs[1]));
    assert.deepEqual(contents(outs[0]), contents(outs[1]));
    const report = readFileSync(join(outs[0], 'safe_lora_report.json'), 'utf8');
    assert.ok(!report.includes(folder) && !report.includes(sample), 'no path travels');
    assert.ok(!/"path"|"seconds"/.test(report));
    assert.equal((JSON.parse(report) as { totals: { selected: number } }).totals.selected, 27);
  });

  it('takes along the other files with their modes, links inside it followed, and leaves the rest behind', async () => {
    const adapter = sampleAdapter();
    writeFileSync(join(adapter, 'README.md'), 'a card', { mode: 0o600 });
    writeFileSync(join(adapter, 'run.sh'), '#!/bin/sh\n', { mode: 0o755 });
    writeFileSync(join(adapter, '.gitattributes'), '*.safetensors lfs');
    mkdirSync(join(adapter, 'files'));
    writeFileSync(join(adapter, 'files', 'tokenizer'), 'words');
    symlinkSync(join('files', 'tokenizer'), join(adapter, 'tokenizer.json'));
    writeFileSync(join(dirname(adapter), 'secret'), 'a key');
    symlinkSync('../secret', join(adapter, 'LICENSE'));
    symlinkSync('files/../../secret', join(adapter, 'NOTICE'));
    symlinkSync('/nowhere', join(adapter, 'dangling'));
    for (const name of [
      'optimizer.pt',
      'scheduler.pt',
      'rng_state.pth',
      'rng_state_0.pth',
      'trainer_state.json',
      'training_args.bin',
      'safe_lora_notes.txt',
    ])
      writeFileSync(join(adapter, name), 'x');
    for (const name of ['checkpoint-100', '.cache']) mkdirSync(join(adapter, name));
    chmodSync(join(adapter, 'adapter_config.json'), 0o444);
    chmodSync(weights(adapter), 0o640);
    const out = join(dirname(adapter), 'new');
    const json = join(dirname(adapter), 'report.json');
    await succeed(project(adapter, out, '--json', json));
    assert.deepEqual(readdirSync(out).sort(), [
      '.gitattributes',
      'README.md',
      'adapter_config.json',
      'adapter_model.safetensors',
      'run.sh',
      'safe_lora_report.json',
      'tokenizer.json',
    ]);
    const mode = (name: string): number => statSync(join(out, name)).mode & 0o777;
    assert.deepEqual(
      ['README.md', 'run.sh', 'adapter_config.json', 'adapter_model.safetensors'].map(mode),
      [0o600, 0o755, 0o444, 0o640],
    );
    assert.ok(lstatSync(join(out, 'tokenizer.json')).isFile(), 'a file, not a link');
    const { notices } = JSON.parse(readFileSync(json, 'utf8')) as { notices: { code: string; message: string }[] };
    const left = notices.find((notice) => notice.code === 'files-left-out');
    assert.match(
      left!.message,
      /Not copied from the adapter's folder: \.cache, checkpoint-100, dangling, files, optimizer\.pt and 6 more\. Not copied, because they are links out of the adapter's folder: LICENSE, NOTICE; /,
    );
  });

  it('never touches the source, which may be read-only', async () => {
    const adapter = sampleAdapter();
    const times = (): unknown => readdirSync(adapter).map((name) => statSync(join(adapter, name)).mtimeMs);
    const before = [contents(adapter), times()];
    chmodSync(adapter, 0o555);
    await succeed(project(adapter, join(dirname(adapter), 'new')));
    assert.deepEqual([contents(adapter), times()], before);
  });

  it('is a whole copy with the provenance where nothing is selected', async () => {
    const adapter = sampleAdapter();
    const out = join(dirname(adapter), 'new');
    await succeed(project(adapter, out, '--threshold', '0'));
    assert.deepEqual(changed(read(weights(adapter)), read(weights(out))), []);
  });
});

describe('where the output may lie', () => {
  it('is refused at, in or above the adapter, also through links', async () => {
    const adapter = sampleAdapter();
    symlinkSync(dirname(adapter), join(folder, `link-${cases}`));
    const link = join(folder, `link-${cases}`, basename(adapter));
    for (const out of [
      adapter,
      `${adapter}/`,
      join(adapter, 'new'),
      join(adapter, 'a', 'b'),
      dirname(adapter),
      join(adapter, '..', basename(adapter)),
      link,
      join(link, 'new'),
    ]) {
      await refused(project(adapter, out, '--force'), /overlaps the adapter folder/);
    }
    assert.deepEqual(readdirSync(adapter).sort(), ['adapter_config.json', 'adapter_model.safetensors']);
  });

  it('is refused where something exists, and replaced with --force only if it is an earlier result that loses nothing', async () => {
    const adapter = sampleAdapter();
    const out = join(dirname(adapter), 'new');
    mkdirSync(out);
    await refused(project(adapter, out), /the output folder exists/);
    await refused(project(adapter, out, '--force'), /not a result of safe-lora/);
    rmSync(out, { recursive: true });
    cpSync(adapter, out, { recursive: true });
    await refused(project(adapter, out, '--force'), /not a result of safe-lora/);
    rmSync(out, { recursive: true });
    await succeed(project(adapter, out));
    await refused(project(adapter, out, '--count', '8'), /the output folder exists/);
    writeFileSync(join(out, 'notes.txt'), 'mine');
    await refused(project(adapter, out, '--count', '8', '--force'), /would lose notes\.txt/);
    rmSync(join(out, 'notes.txt'));
    // Under the name of a file that went along.
    const config = join(out, 'adapter_config.json');
    const alike = readFileSync(config);
    writeFileSync(config, '{"mine": true}');
    await refused(
      project(adapter, out, '--force'),
      /would lose adapter_config\.json, which safe-lora did not put there as it is/,
    );
    rmSync(config);
    mkdirSync(config);
    await refused(project(adapter, out, '--force'), /would lose adapter_config\.json/);
    rmSync(config, { recursive: true });
    writeFileSync(config, alike);
    // The adapter's own may have changed since.
    const trained = join(adapter, 'adapter_config.json');
    writeFileSync(trained, `${readFileSync(trained, 'utf8')}\n`);
    await succeed(project(adapter, out, '--count', '8', '--force'));
    assert.equal(changed(read(weights(adapter)), read(weights(out))).length, 8);
    assert.deepEqual(readdirSync(dirname(adapter)).sort(), ['harmful', 'new']);
  });

  it('is never written through a link or over a file', async () => {
    const adapter = sampleAdapter();
    const [target, link, file] = ['target', 'link', 'file'].map((name) => join(dirname(adapter), name)) as [
      string,
      string,
      string,
    ];
    await succeed(project(adapter, target));
    symlinkSync(target, link);
    writeFileSync(file, 'mine');
    await refused(project(adapter, link, '--force'), /is not a folder/);
    await refused(project(adapter, file, '--force'), /is not a folder/);
    assert.equal(readFileSync(file, 'utf8'), 'mine');
  });

  it('for the JSON is refused where it would replace anything but a report', async () => {
    const adapter = sampleAdapter();
    const out = join(dirname(adapter), 'new');
    const config = readFileSync(join(adapter, 'adapter_config.json'));
    for (const json of [join(adapter, 'adapter_config.json'), weights(adapter), adapter])
      await refused(
        project(adapter, out, '--json', json),
        /was not written by safe-lora; choose another file for --json/,
      );
    await refused(project(adapter, out, '--json', join(folder, 'no', 'such', 'folder.json')), /does not exist/);
    assert.deepEqual(readFileSync(join(adapter, 'adapter_config.json')), config);
    assert.ok(!existsSync(out));
    const json = join(dirname(adapter), 'report.json');
    await succeed(project(adapter, out, '--json', json));
    await succeed(project(adapter, out, '--json', json, '--force', '--count', '2'));
    assert.equal((JSON.parse(readFileSync(json, 'utf8')) as { totals: { selected: number } }).totals.selected, 2);
  });
});

describe('an adapter that was projected before', () => {
  it('is refused without --again; with it further modules are projected and the earlier ones stay', async () => {
    const adapter = sampleAdapter();
    const [once, twice] = [join(dirname(adapter), 'once'), join(dirname(adapter), 'twice')];
    await succeed(project(adapter, once));
    await refused(
      project(once, twice, '--threshold', '0.52'),
      /were projected before and the originals are not there.*--again/,
    );
    await succeed(project(once, twice, '--threshold', '0.52', '--again'));
    const further = changed(read(weights(once)), read(weights(twice)));
    assert.deepEqual(
      further,
      ['0', '5'].map((layer) => `base_model.model.model.layers.${layer}.self_attn.q_proj.lora_B.weight`),
    );
    const provenance = JSON.parse(read(weights(twice)).metadata.safe_lora!) as { modules: string[] };
    assert.deepEqual(
      provenance.modules,
      ['0', '1', '2', '4', '5'].map((layer) => `model.layers.${layer}.self_attn.q_proj`),
    );
  });

  it('is measured and projected from the originals where they were kept beside it', async () => {
    const adapter = sampleAdapter();
    const [once, direct, again] = ['once', 'direct', 'again'].map((name) => join(dirname(adapter), name)) as [
      string,
      string,
      string,
    ];
    await succeed(project(adapter, once));
    const every = await openAdapter(adapter);
    const names = new Set(every.modules.map((module) => module.name));
    await keepOriginals(join(once, 'safe_lora_original.safetensors'), every, await originalHashes(every), names);
    await succeed(project(adapter, direct, '--count', '2'));
    await succeed(project(once, again, '--count', '2'));
    assert.deepEqual(changed(read(weights(direct)), read(weights(again))), []);
    assert.ok(!existsSync(join(again, 'safe_lora_original.safetensors')));
  });
});

describe('an interrupted run', () => {
  // Large enough that saving takes a while: 64 MB that are only copied.
  const large = join(folder, 'large');
  const call = (...more: string[]): string[] => [
    cliPath,
    'project',
    join(large, 'adapter'),
    '--base',
    join(large, 'base'),
    '--aligned',
    join(large, 'aligned'),
    '--out',
    join(large, 'out', 'new'),
    '--count',
    '5',
    '--quiet',
    ...more,
  ];
  const outputs = (): string[] => (existsSync(join(large, 'out')) ? readdirSync(join(large, 'out')).sort() : []);

  before(() => {
    const names = Array.from({ length: 8 }, (_, layer) => `model.layers.${layer}.self_attn.q_proj`);
    for (const [model, seed] of [
      ['base', 1],
      ['aligned', 2],
    ] as const) {
      writeModel(
        join(large, model),
        Object.fromEntries(names.map((name, layer) => [`${name}.weight`, randomTensor(10 * seed + layer, [64, 64])])),
      );
    }
    const tensors = names.flatMap((name, layer) => [
      [`base_model.model.${name}.lora_A.weight`, randomTensor(30 + layer, [4, 64])] as const,
      [`base_model.model.${name}.lora_B.weight`, randomTensor(40 + layer, [64, 4])] as const,
    ]);
    mkdirSync(join(large, 'adapter'));
    writeFileSync(join(large, 'adapter', 'adapter_config.json'), JSON.stringify(plainConfig));
    const rest = { dtype: 'F32', shape: [16, 1_000_000], bytes: Buffer.alloc(64_000_000, 7) };
    writeFileSync(
      weights(join(large, 'adapter')),
      safetensors({ ...Object.fromEntries(tensors), 'score.weight': rest }),
    );
    mkdirSync(join(large, 'out'));
  });

  /**
   * Starts a run and ends it a while after it has come to something: how long that takes is the machine's affair.
   * @returns the exit status or signal, and how long the run went on after the signal
   */
  async function interrupted(
    signal: NodeJS.Signals,
    since: 'started' | 'computing' | 'writing',
    milliseconds: number,
    ...more: string[]
  ): Promise<{ status: number | NodeJS.Signals | null; after: number }> {
    const child = spawn(process.execPath, call(...more), { stdio: 'ignore' });
    const closed = new Promise<number | NodeJS.Signals | null>((resolve) =>
      child.on('close', (code, by) => {
        resolve(code ?? by);
      }),
    );
    const before = outputs();
    const hasCome = {
      started: () => true,
      computing: () => childrenOf(child.pid!).length > 0,
      // A claim is there before it, and for a moment when the destination is checked.
      writing: () => outputs().some((name) => name.includes('safe-lora-new') && !before.includes(name)),
    }[since];
    while (child.exitCode === null && !hasCome()) await new Promise((resolve) => setTimeout(resolve, 1));
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    const sent = performance.now();
    child.kill(signal);
    const status = await closed;
    return { status, after: performance.now() - sent };
  }

  it('leaves nothing or the whole when it is killed at any moment, and the next run cleans up', async () => {
    const started = performance.now();
    assert.equal(spawnSync(process.execPath, call(), { stdio: 'ignore' }).status, 0);
    const duration = performance.now() - started;
    const whole = contents(join(large, 'out', 'new'));
    rmSync(join(large, 'out', 'new'), { recursive: true });
    const seen = { nothing: 0, leftover: 0, whole: 0 };
    for (let i = 0; i < 16; i++) {
      if (i < 8) await interrupted('SIGKILL', 'started', duration * (0.4 + (0.65 * i) / 8));
      else await interrupted('SIGKILL', 'writing', 8 * (i - 8));
      if (existsSync(join(large, 'out', 'new'))) {
        assert.deepEqual(contents(join(large, 'out', 'new')), whole, 'what stands under the name is whole');
        seen.whole++;
        rmSync(join(large, 'out', 'new'), { recursive: true });
      } else if (outputs().length > 0) seen.leftover++;
      else seen.nothing++;
    }
    assert.ok(seen.leftover > 0, `the kills hit the writing: ${JSON.stringify(seen)}`);
    assert.equal(spawnSync(process.execPath, call(), { stdio: 'ignore' }).status, 0);
    assert.deepEqual(outputs(), ['new']);
    assert.deepEqual(contents(join(large, 'out', 'new')), whole);
  });

  it('keeps the old result or has the new one, whole, when a replacement is killed', async () => {
    const target = join(large, 'out', 'new');
    const old = contents(target);
    const started = performance.now();
    assert.equal(spawnSync(process.execPath, call('--force', '--count', '7'), { stdio: 'ignore' }).status, 0);
    const duration = performance.now() - started;
    const fresh = contents(target);
    assert.notDeepEqual(fresh, old);
    for (let i = 0; i < 12; i++) {
      if (i < 6) await interrupted('SIGKILL', 'started', duration * (0.5 + (0.55 * i) / 6), '--force');
      else await interrupted('SIGKILL', 'writing', 10 * (i - 6), '--force');
      // Between the two renames the old one stands aside; the next run puts it back, even if it then refuses.
      if (!existsSync(target)) spawnSync(process.execPath, call(), { stdio: 'ignore' });
      const now = contents(target);
      assert.ok(
        [old, fresh].some((state) => JSON.stringify(state) === JSON.stringify(now)),
        'the old or the new, whole',
      );
    }
  });

  it('puts the old result back when it died between the two renames', () => {
    const target = join(large, 'out', 'new');
    spawnSync(process.execPath, call('--force'), { stdio: 'ignore' });
    const old = contents(target);
    const dead = spawnSync('true').pid;
    renameSync(target, join(large, 'out', `.new.safe-lora-old-${dead}`));
    mkdirSync(join(large, 'out', `.new.safe-lora-new-${dead}`));
    const { status, stderr } = spawnSync(process.execPath, call(), { encoding: 'utf8' });
    assert.equal(status, 1);
    assert.match(stderr, /the output folder exists/);
    assert.deepEqual(outputs(), ['new']);
    assert.deepEqual(contents(target), old);
  });

  it('ends at once on Ctrl-C with status 130 and leaves nothing half-written', async () => {
    const whole = contents(join(large, 'out', 'new'));
    rmSync(join(large, 'out', 'new'), { recursive: true });
    for (const [since, milliseconds] of [
      ['computing', 0],
      ['computing', 100],
      ['computing', 300],
      ['writing', 0],
      ['writing', 30],
    ] as const) {
      const { status, after } = await interrupted('SIGINT', since, milliseconds);
      if (!outputs().includes('new')) {
        assert.equal(status, 130);
        assert.ok(after < 500, `it went on for ${after} ms`);
        assert.deepEqual(outputs(), []);
        continue;
      }
      // The signal came after the command's end. Node itself ends by it, once it has stopped listening.
      assert.ok([0, 130, 'SIGINT'].includes(status!), String(status));
      assert.deepEqual(outputs(), ['new']);
      assert.deepEqual(contents(join(large, 'out', 'new')), whole);
      rmSync(join(large, 'out', 'new'), { recursive: true });
    }
  });

  it('leaves nothing on a full disk, and says so', () => {
    // A limit on file size stands for the disk: the write fails in the middle of the adapter.
    const limited = ['-c', 'ulimit -f 4000; exec "$@"', 'limited', process.execPath, ...call()];
    const { status, stderr } = spawnSync('bash', limited, { encoding: 'utf8' });
    assert.match(
      stderr,
      /^safe-lora: [^\n]*adapter_model\.safetensors: cannot write it: the file would be larger than this system allows[^\n]*\n$/,
    );
    assert.equal(status, 1);
    assert.deepEqual(outputs(), []);
  });
});

describe('an engine that dies', () => {
  it('is reported as such, nothing is written, and the next run works', async () => {
    const own = smallCase(join(folder, 'engine'));
    const huge = 3000;
    const name = 'model.layers.0.self_attn.q_proj';
    for (const [model, seed] of [
      [own.base, 1],
      [own.aligned, 2],
    ] as const)
      writeModel(model, { [`${name}.weight`]: randomTensor(seed, [huge, huge]) });
    writeAdapter(own.adapter, { [name]: { a: randomTensor(3, [64, huge]), b: randomTensor(4, [huge, 64]) } });
    const args = [
      'project',
      own.adapter,
      '--base',
      own.base,
      '--aligned',
      own.aligned,
      '--count',
      '1',
      '--quiet',
      '--out',
      join(folder, 'engine', 'out'),
    ];
    const child = spawn(process.execPath, [cliPath, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const closed = new Promise<number | null>((resolve) => child.on('close', resolve));
    const engines = (): number[] => childrenOf(child.pid!);
    // The module of the first is taken up by a second.
    const killed = new Set<number>();
    while (killed.size < 2) {
      for (const pid of engines().filter((one) => !killed.has(one))) {
        killed.add(pid);
        process.kill(pid, 'SIGKILL');
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.equal(await closed, 3);
    assert.match(
      stderr,
      /^safe-lora: The engine's process was ended by SIGKILL while it computed model\.layers\.0\.self_attn\.q_proj[^\n]*\n$/,
    );
    assert.deepEqual(readdirSync(join(folder, 'engine')).sort(), ['adapter', 'aligned', 'base']);
    assert.equal((await cli(args)).status, 0);
  });
});

/** The processes that a process has started. */
function childrenOf(pid: number): number[] {
  const tasks = join('/proc', String(pid), 'task', String(pid), 'children');
  return existsSync(tasks) ? readFileSync(tasks, 'utf8').trim().split(' ').filter(Boolean).map(Number) : [];
}
