// Saving in place and its way back: originals kept, restored bit for bit, patches that fit one adapter only.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs, {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Adapter, openAdapter } from '../../src/core/adapter';
import { SafeLoraError } from '../../src/core/errors';
import { keepOriginals, originalHashes } from '../../src/core/originals';
import { checkDestination, writeFolder } from '../../src/core/output';
import { type Projection, readProjection, writeAdapterFile } from '../../src/core/patch';
import { readPatch, writePatch } from '../../src/core/patch-file';
import { type Provenance } from '../../src/core/provenance';
import { hashRange } from '../../src/core/safetensors';
import { saveCopy, saveInPlace, writeObstacle } from '../../src/core/save';
import {
  randomTensor,
  root,
  safetensors,
  temporaryFolder,
  type TensorSpec,
  withHeader,
  writeAdapter,
} from '../fixtures/make';
import { markedProjection } from '../fixtures/projection';

const folder = temporaryFolder();
let cases = 0;
const names = ['model.layers.0.self_attn.q_proj', 'model.layers.1.self_attn.q_proj'] as const;
const FILE = 'adapter_model.safetensors';
const ORIGINALS = 'safe_lora_original.safetensors';

/** An adapter on two modules in a folder of its own. */
function newAdapter(seed = 1): string {
  const pairs = Object.fromEntries(
    names.map((name, i) => [name, { a: randomTensor(seed + i, [2, 4]), b: randomTensor(seed + 10 + i, [6, 2]) }]),
  );
  return writeAdapter(join(folder, `case-${cases++}`, 'adapter'), pairs);
}

async function save(path: string, modules: readonly string[], mark: number): Promise<void> {
  const adapter = await openAdapter(path);
  await saveInPlace(adapter, markedProjection(adapter, modules, mark), join(path, ORIGINALS), null);
}

async function restore(path: string): Promise<void> {
  await saveInPlace(await openAdapter(path), null, join(path, ORIGINALS), null);
}

function refusal(code: string, text: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof SafeLoraError);
    assert.equal(error.code, code);
    assert.match(error.message, text);
    assert.doesNotMatch(error.message, /\n/);
    return true;
  };
}

describe('saving in place', () => {
  it('gives the first file back after any number of saves', async () => {
    const path = newAdapter();
    const first = readFileSync(join(path, FILE));
    await save(path, [names[0]], 1);
    const once = readFileSync(join(path, ORIGINALS));
    await save(path, [names[0], names[1]], 2);
    assert.notDeepEqual(readFileSync(join(path, ORIGINALS)), once, 'extended');
    await save(path, [names[1]], 3);
    await restore(path);
    assert.deepEqual(readFileSync(join(path, FILE)), first);
    assert.deepEqual(readdirSync(path).sort(), ['adapter_config.json', FILE, ORIGINALS].sort(), 'nothing half-written');
  });

  it('keeps whatever padding and order the first header had', async () => {
    const path = newAdapter();
    const written = readFileSync(join(path, FILE));
    const length = Number(written.readBigUInt64LE(0));
    const header = Buffer.from(`${written.subarray(8, 8 + length).toString()}${' '.repeat(24)}`);
    const prefix = Buffer.alloc(8);
    prefix.writeBigUInt64LE(BigInt(header.length));
    const odd = Buffer.concat([prefix, header, written.subarray(8 + length)]);
    writeFileSync(join(path, FILE), odd);
    await save(path, [names[0]], 1);
    await restore(path);
    assert.deepEqual(readFileSync(join(path, FILE)), odd);
  });

  it('reads what an earlier version wrote, which named no replacement', async () => {
    const path = newAdapter();
    const adapter = await openAdapter(path);
    const made = markedProjection(adapter, [names[0]], 1);
    const { replacement, ...earlier } = made.provenance;
    const written = { ...earlier, schema: 'safe-lora/provenance@1' } as unknown as Provenance;
    await saveInPlace(adapter, { ...made, provenance: written }, join(path, ORIGINALS), null);
    assert.deepEqual((await openAdapter(path)).provenance, made.provenance);
    assert.equal(replacement, 'safe-lora');
  });

  it('opens with the originals to measure and the projection to show', async () => {
    const path = newAdapter();
    const before = await openAdapter(path);
    await save(path, [names[1]], 7);
    const after = await openAdapter(path);
    assert.deepEqual(
      after.modules.map(({ alreadyProjected }) => alreadyProjected),
      [false, false],
    );
    assert.equal(after.modules[1]!.b.path, join(path, ORIGINALS));
    const { tensors, provenance } = (await readProjection(after))!;
    assert.deepEqual([...tensors], [[names[1], new Uint8Array(48).fill(7)]]);
    assert.equal(provenance.selection.mode, 'count');
    assert.equal(await readProjection(before), null);
  });

  it('writes the same bytes whatever was saved before', async () => {
    const [one, other] = [newAdapter(), newAdapter()];
    await save(one, [names[0]], 1);
    await save(one, [names[1]], 2);
    await save(other, [names[1]], 2);
    assert.deepEqual(readFileSync(join(one, FILE)), readFileSync(join(other, FILE)));
  });

  it('keeps the mode of the file', async () => {
    const path = newAdapter();
    chmodSync(join(path, FILE), 0o640);
    await save(path, [names[0]], 1);
    assert.equal(statSync(join(path, FILE)).mode & 0o777, 0o640);
  });

  it('refuses when the file changed after it was opened, and leaves everything as it is', async () => {
    const path = newAdapter();
    const adapter = await openAdapter(path);
    utimesSync(join(path, FILE), new Date(), new Date(Date.now() + 5000));
    const before = readFileSync(join(path, FILE));
    await assert.rejects(
      saveInPlace(adapter, markedProjection(adapter, [names[0]], 1), join(path, ORIGINALS), null),
      refusal('changed-on-disk', /was changed on disk after it was opened.*reload/),
    );
    assert.deepEqual(readFileSync(join(path, FILE)), before);
    assert.ok(!existsSync(join(path, ORIGINALS)));
  });

  it('reads the originals where they lie now, also after a save that failed once they had grown', async () => {
    const path = newAdapter();
    await save(path, [names[0]], 1);
    const adapter = await openAdapter(path);
    // As a failed save leaves it: the originals hold more than when the adapter was opened, the adapter is as it was.
    await keepOriginals(join(path, ORIGINALS), adapter, await originalHashes(adapter), new Set(names));
    await saveInPlace(adapter, markedProjection(adapter, [names[1]], 2), join(path, ORIGINALS), null);
    const direct = newAdapter();
    await save(direct, [names[1]], 2);
    assert.deepEqual(readFileSync(join(path, FILE)), readFileSync(join(direct, FILE)));
  });

  it('does not restore from a head that was tampered with', async () => {
    const path = newAdapter();
    await save(path, [names[0]], 1);
    const kept = readFileSync(join(path, ORIGINALS)).toString('latin1');
    const head = /"head\\":\\"([^\\]+)/.exec(kept)![1]!;
    const bytes = Buffer.from(head, 'base64');
    bytes.write('[9,', bytes.indexOf('"shape":') + 8);
    writeFileSync(join(path, ORIGINALS), Buffer.from(kept.replace(head, bytes.toString('base64')), 'latin1'));
    assert.equal((await openAdapter(path)).originals, null);
  });

  it('saves the adapter even where a report cannot be put beside it', async () => {
    const path = newAdapter();
    mkdirSync(join(path, 'safe_lora_report.json'));
    const adapter = await openAdapter(path);
    const problem = await saveInPlace(adapter, markedProjection(adapter, [names[0]], 1), join(path, ORIGINALS), '{}');
    assert.match(problem!.message, /safe_lora_report\.json/);
    assert.deepEqual((await openAdapter(path)).provenance?.modules, [names[0]]);
  });

  it('never writes a projection of another size', async () => {
    const path = newAdapter();
    const before = readFileSync(join(path, FILE));
    const adapter = await openAdapter(path);
    const wrong = { ...markedProjection(adapter, [names[0]], 1), tensors: new Map([[names[0], new Uint8Array(8)]]) };
    await assert.rejects(
      saveInPlace(adapter, wrong, join(path, ORIGINALS), null),
      /made for another adapter|cannot write/,
    );
    assert.deepEqual(readFileSync(join(path, FILE)), before);
  });

  it('refuses to mix the originals of two trainings', async () => {
    const path = newAdapter();
    await save(path, [names[0]], 1);
    writeFileSync(join(path, FILE), readFileSync(join(newAdapter(50), FILE)));
    const retrained = readFileSync(join(path, FILE));
    await assert.rejects(
      save(path, [names[0]], 1),
      refusal('originals-foreign', /of another adapter or of an earlier training run; move it away/),
    );
    assert.deepEqual(readFileSync(join(path, FILE)), retrained);
  });

  it('does not take originals for those of an adapter that was changed since', async () => {
    const path = newAdapter();
    await save(path, [names[0]], 1);
    const bytes = readFileSync(join(path, FILE));
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(join(path, FILE), bytes);
    const adapter = await openAdapter(path);
    assert.equal(adapter.originals, null);
    assert.ok(adapter.modules[0]!.alreadyProjected);
    assert.deepEqual(
      adapter.notices.map(({ code }) => code),
      ['originals-foreign'],
    );
  });

  it('takes only what is needed of the originals, and only as it was kept', async () => {
    const path = newAdapter();
    const sha256 = await originalHashes(await openAdapter(path));
    await save(path, [names[0]], 1);
    const [file, originals] = [join(path, FILE), join(path, ORIGINALS)];
    const metadataOf = (at: string): Record<string, string> => {
      const bytes = readFileSync(at);
      const header = JSON.parse(bytes.toString('utf8', 8, 8 + Number(bytes.readBigUInt64LE(0)))) as {
        __metadata__: Record<string, string>;
      };
      return header.__metadata__;
    };
    const bOf = (name: string): string => `base_model.model.${name}.lora_B.weight`;
    // The file is the original, and says that it was projected; what is beside it is anything.
    const provenance = JSON.parse(metadataOf(file).safe_lora!) as Provenance;
    const forged = {
      ...provenance,
      modules: [...names],
      sha256: Object.fromEntries(names.map((name) => [name, sha256[bOf(name)]])),
    };
    const kept = JSON.parse(metadataOf(originals).safe_lora_original!) as object;
    const pairs = (mark: number): Record<string, TensorSpec> =>
      Object.fromEntries(names.map((name, i) => [bOf(name), { ...randomTensor(mark + i, [3, 4]) }]));
    const a = Object.fromEntries(
      names.map((name, i) => [`base_model.model.${name}.lora_A.weight`, randomTensor(1 + i, [2, 4])]),
    );
    const b = Object.fromEntries(names.map((name, i) => [bOf(name), randomTensor(11 + i, [6, 2])]));
    const interleaved = Object.fromEntries(
      names.flatMap((name) => Object.entries({ ...a, ...b }).filter(([key]) => key.includes(name))),
    );
    writeFileSync(file, safetensors(interleaved, { safe_lora: JSON.stringify(forged) }));
    writeFileSync(originals, safetensors(pairs(77), { safe_lora_original: JSON.stringify(kept) }));
    const adapter = await openAdapter(path);
    assert.equal(adapter.originals !== null, true);
    for (const { b: taken, alreadyProjected } of adapter.modules) {
      assert.deepEqual([taken.path, String(taken.shape), alreadyProjected], [file, '6,2', false]);
      assert.equal(await hashRange(taken), sha256[taken.name]);
    }
  });

  describe('with a tensor beside the pairs', () => {
    /** @returns the adapter, and what sets the last value of that tensor */
    function withHead(): { path: string; setRest: (value: number) => void } {
      const path = newAdapter();
      const file = join(path, FILE);
      const bytes = readFileSync(file);
      const end = 8 + Number(bytes.readBigUInt64LE(0));
      const header = JSON.parse(bytes.toString('utf8', 8, end)) as object;
      const size = bytes.length - end;
      const score = { dtype: 'F32', shape: [4], data_offsets: [size, size + 16] };
      writeFileSync(
        file,
        withHeader(
          JSON.stringify({ ...header, 'base_model.model.score.weight': score }),
          Buffer.concat([bytes.subarray(end), Buffer.alloc(16)]),
        ),
      );
      const setRest = (value: number): void => {
        writeFileSync(file, Buffer.concat([readFileSync(file).subarray(0, -1), Buffer.from([value])]));
      };
      return { path, setRest };
    }
    const another = refusal('originals-foreign', /tensors beside the LoRA pairs are no longer those/);

    it('gives the first file back or none', async () => {
      const { path, setRest } = withHead();
      const file = join(path, FILE);
      const first = readFileSync(file);
      await save(path, [names[0]], 1);
      setRest(1);
      const changed = readFileSync(file);
      await assert.rejects(restore(path), another);
      await assert.rejects(save(path, [names[0], names[1]], 2), another, 'nobody could restore what this makes');
      assert.deepEqual(readFileSync(file), changed);
      setRest(0);
      await restore(path);
      assert.deepEqual(readFileSync(file), first);
    });

    it('that was changed while nothing was projected gives that file back', async () => {
      const { path, setRest } = withHead();
      const file = join(path, FILE);
      await save(path, [names[0]], 1);
      await restore(path);
      setRest(1);
      const first = readFileSync(file);
      await save(path, [names[0]], 2);
      await restore(path);
      assert.deepEqual(readFileSync(file), first);
    });
  });

  it('gives back the header that was there last while nothing was projected', async () => {
    const path = newAdapter();
    const file = join(path, FILE);
    await save(path, [names[0]], 1);
    await restore(path);
    const bytes = readFileSync(file);
    const end = 8 + Number(bytes.readBigUInt64LE(0));
    writeFileSync(file, withHeader(`${bytes.toString('utf8', 8, end)}${' '.repeat(16)}`, bytes.subarray(end)));
    const first = readFileSync(file);
    await save(path, [names[0], names[1]], 2);
    await restore(path);
    assert.deepEqual(readFileSync(file), first);
  });

  it('names a file that only looks like originals', async () => {
    const path = newAdapter();
    writeFileSync(join(path, ORIGINALS), safetensors({ x: randomTensor(1, [2]) }));
    await assert.rejects(save(path, [names[0]], 1), refusal('originals-foreign', /safe_lora_original.*move it away/));
  });

  it('replaces a report that describes another state', async () => {
    const path = newAdapter();
    const report = join(path, 'safe_lora_report.json');
    const adapter = await openAdapter(path);
    await saveInPlace(adapter, markedProjection(adapter, [names[0]], 1), join(path, ORIGINALS), '{}\n');
    assert.equal(readFileSync(report, 'utf8'), '{}\n');
    await restore(path);
    assert.ok(!existsSync(report));
  });
});

describe('what another program does to the adapter meanwhile', () => {
  const inPlace = (path: string, adapter: Adapter, projection: Projection): Promise<unknown> =>
    saveInPlace(adapter, projection, join(path, ORIGINALS), null);

  it('is seen also where size and time are as before', async () => {
    const path = newAdapter();
    const adapter = await openAdapter(path);
    const { atime, mtime } = statSync(join(path, FILE));
    const trained = readFileSync(join(path, FILE));
    trained.fill(3, trained.length - 40);
    writeFileSync(join(path, FILE), trained);
    utimesSync(join(path, FILE), atime, mtime);
    await assert.rejects(
      inPlace(path, adapter, markedProjection(adapter, [names[0]], 1)),
      refusal('changed-on-disk', /was changed on disk/),
    );
    assert.deepEqual(readFileSync(join(path, FILE)), trained);
    assert.ok(!existsSync(join(path, ORIGINALS)));
  });

  it('is seen also where it happens while the new file is written', async () => {
    const path = newAdapter();
    const adapter = await openAdapter(path);
    const trained = readFileSync(join(path, FILE));
    trained.fill(3, trained.length - 40);
    const made = markedProjection(adapter, [names[0]], 1);
    let asked = 0;
    const tensors = new (class extends Map<string, Uint8Array> {
      // Asked for the last time once the new file is synced.
      override get(name: string): Uint8Array | undefined {
        if (++asked === 2 * names.length) {
          writeFileSync(join(path, 'other'), trained);
          renameSync(join(path, 'other'), join(path, FILE));
        }
        return super.get(name);
      }
    })(made.tensors);
    await assert.rejects(
      inPlace(path, adapter, { ...made, tensors }),
      refusal('changed-on-disk', /was changed on disk/),
    );
    assert.deepEqual(readFileSync(join(path, FILE)), trained);
  });

  it('is not put in place, where what was written is not what was to be', async () => {
    const path = newAdapter();
    const before = readFileSync(join(path, FILE));
    const adapter = await openAdapter(path);
    const made = markedProjection(adapter, [names[0]], 1);
    let asked = 0;
    const tensors = new (class extends Map<string, Uint8Array> {
      override get(name: string): Uint8Array | undefined {
        const bytes = super.get(name);
        return bytes && ++asked > 1 ? bytes.map((byte) => byte + 1) : bytes;
      }
    })(made.tensors);
    await assert.rejects(
      inPlace(path, adapter, { ...made, tensors }),
      refusal('changed-on-disk', /the weights of .*q_proj changed while they were saved, and nothing was replaced/),
    );
    assert.deepEqual(readFileSync(join(path, FILE)), before);
  });
});

describe('a folder that is replaced', () => {
  const write = async (adapter: Adapter, out: string, force: boolean): Promise<void> => {
    const destination = await checkDestination(out, adapter, force);
    await writeFolder(
      destination,
      adapter,
      (path) => writeAdapterFile(path, adapter, null),
      () => '{}\n',
    );
  };

  it('is back where the new one cannot be put in its place', async () => {
    const path = newAdapter();
    const out = join(dirname(path), 'out');
    const adapter = await openAdapter(path);
    await writeFolder(
      await checkDestination(out, adapter, false),
      adapter,
      (file) => writeAdapterFile(file, adapter, markedProjection(adapter, [names[0]], 1)),
      () => '{}\n',
    );
    const before = readFileSync(join(out, FILE));
    const { renameSync: rename } = fs;
    fs.renameSync = (from, to) => {
      if (to === out && String(from).includes('-new-')) throw Object.assign(new Error('EIO'), { code: 'EIO' });
      rename(from, to);
    };
    syncBuiltinESMExports();
    try {
      await assert.rejects(write(adapter, out, true), refusal('file-access', /out: cannot write it: EIO/));
    } finally {
      fs.renameSync = rename;
      syncBuiltinESMExports();
    }
    assert.deepEqual(readFileSync(join(out, FILE)), before);
    assert.deepEqual(
      readdirSync(dirname(out)).filter((name) => name.startsWith('.')),
      [],
    );
  });

  it('stays under another name where something else has come to its place', async () => {
    const path = newAdapter();
    const out = join(dirname(path), 'out');
    const old = join(dirname(path), '.out.safe-lora-old-ab12');
    for (const [folder, content] of [
      [old, 'earlier'],
      [out, 'mine'],
    ] as const) {
      mkdirSync(folder);
      writeFileSync(join(folder, 'notes'), content);
    }
    await assert.rejects(
      write(await openAdapter(path), out, true),
      refusal('output-exists', /not a result of safe-lora/),
    );
    const kept = readdirSync(dirname(path)).find((name) => name.startsWith('out.earlier-'))!;
    assert.equal(readFileSync(join(dirname(path), kept, 'notes'), 'utf8'), 'earlier');
    assert.equal(readFileSync(join(out, 'notes'), 'utf8'), 'mine');
  });

  it('does not hold up its successor where it is read-only', async () => {
    const path = newAdapter();
    const out = join(dirname(path), 'out');
    const adapter = await openAdapter(path);
    const project = async (mark: number): Promise<void> =>
      writeFolder(
        await checkDestination(out, adapter, true),
        adapter,
        (file) => writeAdapterFile(file, adapter, markedProjection(adapter, [names[0]], mark)),
        () => '{}\n',
      );
    await project(1);
    mkdirSync(join(out, 'more'));
    for (const at of [join(out, 'more'), out]) chmodSync(at, 0o500);
    const asides = (): string[] => readdirSync(dirname(out)).filter((name) => name.startsWith('.'));
    // A folder that nobody put there is not lost, read-only or not.
    await assert.rejects(project(2), refusal('output-exists', /would lose more, which/));
    chmodSync(out, 0o700);
    fs.rmdirSync(join(out, 'more'));
    chmodSync(out, 0o500);
    await project(2);
    assert.deepEqual(asides(), []);
  });

  it('is named where a kill left it aside', async () => {
    const out = join(folder, `case-${cases++}`);
    mkdirSync(join(folder, `.${basename(out)}.safe-lora-old-12ab`));
    await assert.rejects(openAdapter(out), refusal('file-access', /replacing it was interrupted.*safe-lora-old-12ab/));
  });
});

describe('saving a copy', () => {
  it('takes the other files along where they are absent, and loads', async () => {
    const path = newAdapter();
    writeFileSync(join(path, 'README.md'), 'mine');
    const target = join(dirname(path), 'copy');
    mkdirSync(target);
    writeFileSync(join(target, 'README.md'), 'theirs');
    const adapter = await openAdapter(path);
    await saveCopy(join(target, FILE), adapter, markedProjection(adapter, [names[0]], 1), null);
    assert.equal(readFileSync(join(target, 'README.md'), 'utf8'), 'theirs');
    assert.deepEqual((await openAdapter(target)).provenance?.modules, [names[0]]);
  });

  it('refuses a folder with an adapter, and a name that PEFT does not load', async () => {
    const path = newAdapter();
    const adapter = await openAdapter(path);
    await assert.rejects(
      saveCopy(join(newAdapter(), FILE), adapter, null, null),
      refusal('output-exists', /contains an adapter already/),
    );
    await assert.rejects(
      saveCopy(join(dirname(path), 'x.safetensors'), adapter, null, null),
      refusal('output-exists', /named adapter_model.safetensors/),
    );
  });

  it('refuses when the adapter changed after it was opened', async () => {
    const path = newAdapter();
    const adapter = await openAdapter(path);
    writeFileSync(join(path, FILE), readFileSync(join(newAdapter(50), FILE)));
    utimesSync(join(path, FILE), new Date(), new Date(Date.now() + 5000));
    const target = join(dirname(path), 'copy', FILE);
    await assert.rejects(
      saveCopy(target, adapter, markedProjection(adapter, [names[0]], 1), null),
      refusal('changed-on-disk', /was changed on disk/),
    );
    assert.ok(!existsSync(target));
  });

  it('copies an adapter with nothing applied bit for bit', async () => {
    const path = newAdapter();
    const target = join(dirname(path), 'copy', FILE);
    await saveCopy(target, await openAdapter(path), null, null);
    assert.deepEqual(readFileSync(target), readFileSync(join(path, FILE)));
  });
});

describe('what is read-only', () => {
  it('are links and the hub cache, not what lies below a linked parent', async () => {
    const path = newAdapter();
    assert.equal(await writeObstacle(await openAdapter(path)), null);
    const linked = join(dirname(path), 'linked');
    symlinkSync(path, linked);
    assert.equal(await writeObstacle(await openAdapter(linked)), 'symbolic-link');
    const parent = join(folder, `parent-${cases++}`);
    symlinkSync(dirname(path), parent);
    assert.equal(await writeObstacle(await openAdapter(join(parent, 'adapter'))), null);
    const cached = join(folder, 'models--me--lora', 'snapshots', 'abc');
    mkdirSync(cached, { recursive: true });
    for (const name of ['adapter_config.json', FILE]) writeFileSync(join(cached, name), readFileSync(join(path, name)));
    assert.equal(await writeObstacle(await openAdapter(cached)), 'hub-cache');
  });
});

describe('a patch', () => {
  it('gives the projection back on the adapter that it was made from', async () => {
    const path = newAdapter();
    const adapter = await openAdapter(path);
    const made = markedProjection(adapter, [names[1]], 5);
    const patch = join(dirname(path), 'a.safelora.safetensors');
    await writePatch(patch, adapter, await originalHashes(adapter), made);
    const back = await readPatch(patch, adapter);
    assert.deepEqual(back, made);
    assert.equal(
      JSON.stringify(back.provenance),
      JSON.stringify(made.provenance),
      'to the letter: it is written again',
    );
    await save(path, [names[0]], 1);
    assert.deepEqual(await readPatch(patch, await openAdapter(path)), made, 'also after another save in place');
  });

  it('holds nothing but the replaced tensors', async () => {
    const adapter = await openAdapter(newAdapter());
    const patch = join(folder, `${cases++}.safelora.safetensors`);
    await writePatch(patch, adapter, await originalHashes(adapter), markedProjection(adapter, [names[1]], 5));
    const bytes = readFileSync(patch);
    const header = JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE(0))).toString()) as object;
    assert.deepEqual(Object.keys(header), ['__metadata__', `base_model.model.${names[1]}.lora_B.weight`]);
  });

  it('is refused on any other adapter, by its tensors', async () => {
    const adapter = await openAdapter(newAdapter());
    const patch = join(folder, `${cases++}.safelora.safetensors`);
    await writePatch(patch, adapter, await originalHashes(adapter), markedProjection(adapter, [names[1]], 5));
    await assert.rejects(
      readPatch(patch, await openAdapter(newAdapter(99))),
      refusal(
        'patch-foreign',
        /was made from another adapter \(adapter\).*apply it to the adapter that it was made from/,
      ),
    );
  });

  it('is refused when damaged, or when it is no patch', async () => {
    const path = newAdapter();
    const adapter = await openAdapter(path);
    const patch = join(folder, `${cases++}.safelora.safetensors`);
    await writePatch(patch, adapter, await originalHashes(adapter), markedProjection(adapter, [names[1]], 5));
    const bytes = readFileSync(patch);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(patch, bytes);
    await assert.rejects(readPatch(patch, adapter), refusal('patch-format', /is not the tensor that was saved/));
    await assert.rejects(readPatch(join(path, FILE), adapter), refusal('patch-format', /is not a Safe LoRA patch/));
  });
});

describe('what a file says twice', () => {
  const made = async (): Promise<{ path: string; adapter: Adapter; patch: string; projection: Projection }> => {
    const path = newAdapter();
    const adapter = await openAdapter(path);
    const patch = join(folder, `${cases++}.safelora.safetensors`);
    return { path, adapter, patch, projection: markedProjection(adapter, names, 5) };
  };
  const crafted: [string, (projection: Projection) => Projection][] = [
    ['no modules', (one) => ({ ...one, provenance: { ...one.provenance, modules: [] } })],
    ['one of two modules', (one) => ({ ...one, provenance: { ...one.provenance, modules: [names[0]] } })],
    ['a module twice', (one) => ({ ...one, provenance: { ...one.provenance, modules: [names[0], names[0]] } })],
    [
      'a module that is not there',
      (one) => ({
        ...one,
        provenance: {
          ...one.provenance,
          modules: [names[0], 'x'],
          sha256: { [names[0]]: one.provenance.sha256[names[0]]!, x: '0' },
        },
      }),
    ],
    [
      'an unknown schema',
      (one) => ({
        ...one,
        provenance: { ...one.provenance, schema: 'safe-lora/provenance@3' as Provenance['schema'] },
      }),
    ],
    [
      'an unknown replacement',
      (one) => ({ ...one, provenance: { ...one.provenance, replacement: 'x' as 'safe-lora' } }),
    ],
    ['no hash', ({ tensors, provenance: { sha256: _, ...rest } }) => ({ tensors, provenance: rest as Provenance })],
  ];
  for (const [what, craft] of crafted)
    it(`is refused in a patch where it differs: ${what}`, async () => {
      const { adapter, patch, projection } = await made();
      await writePatch(patch, adapter, await originalHashes(adapter), craft(projection));
      await assert.rejects(readPatch(patch, adapter), refusal('patch-format', /save the patch again/));
    });

  it('is refused in a patch whose tensors are more, or fewer, than its modules', async () => {
    const { adapter, patch, projection } = await made();
    const [first, second] = names.map((name) => markedProjection(adapter, [name], 5)) as [Projection, Projection];
    const sha256 = await originalHashes(adapter);
    await writePatch(patch, adapter, sha256, { ...first, tensors: projection.tensors });
    await assert.rejects(readPatch(patch, adapter), refusal('patch-format', /is not the tensor that was saved/));
    await writePatch(patch, adapter, sha256, { ...projection, tensors: second.tensors });
    await assert.rejects(readPatch(patch, adapter), refusal('patch-format', /it lacks .*0\.self_attn\.q_proj/));
    const [other] = ['v_proj'].map((name) => ({ name, b: { ...adapter.modules[0]!.b, name } }));
    const more = { ...adapter, modules: [...adapter.modules, { ...adapter.modules[0]!, ...other! }] };
    const tensors = new Map([...projection.tensors, ['v_proj', projection.tensors.get(names[0])!] as const]);
    await writePatch(patch, more, sha256, { ...projection, tensors });
    await assert.rejects(readPatch(patch, adapter), refusal('patch-format', /belong to no module of the adapter/));
  });

  it('is refused in an adapter', async () => {
    const { path, adapter, projection } = await made();
    const { provenance } = projection;
    for (const wrong of [
      { ...provenance, modules: [names[0]] },
      { ...provenance, modules: ['x'], sha256: { x: '0' } },
    ]) {
      const target = join(folder, `${cases++}`);
      mkdirSync(target);
      writeFileSync(join(target, 'adapter_config.json'), readFileSync(join(path, 'adapter_config.json')));
      await writeAdapterFile(join(target, FILE), adapter, { ...projection, provenance: wrong });
      await assert.rejects(openAdapter(target), refusal('adapter-layout', /does not fit its tensors/));
    }
  });
});

describe('an interrupted save in place', () => {
  const script = join(root, 'test/fixtures/save-in-place.ts');

  it('leaves a file that opens and originals that give the first one back, whenever it is killed', async () => {
    const path = newAdapter();
    const first = readFileSync(join(path, FILE));
    for (let kill = 0; kill < 12; kill++) {
      const child = spawn(process.execPath, ['--import', 'tsx', script, path], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await once(child.stdout, 'data');
      await sleep(3 + 17 * kill);
      child.kill('SIGKILL');
      await once(child, 'close');
      const adapter = await openAdapter(path);
      assert.ok(
        adapter.modules.every(({ alreadyProjected }) => !alreadyProjected),
        `after kill ${kill}`,
      );
    }
    assert.notDeepEqual(readFileSync(join(path, FILE)), first, 'saves had taken place');
    await restore(path);
    assert.deepEqual(readFileSync(join(path, FILE)), first);
    const temporary = readdirSync(path).filter((name) => name.startsWith('.'));
    assert.deepEqual(temporary, [], 'the next save clears what a killed one left');
  });

  it('changes nothing where there is no room', () => {
    const path = newAdapter();
    const before = Object.fromEntries(readdirSync(path).map((name) => [name, readFileSync(join(path, name), 'hex')]));
    // One block of 512 bytes a file: the adapter does not fit.
    const limited = `ulimit -f 1; exec "${process.execPath}" --import tsx "${script}" "${path}"`;
    const { status, stderr } = spawnSync('sh', ['-c', limited], {
      encoding: 'utf8',
      env: { ...process.env, TSX_DISABLE_CACHE: '1' },
    });
    assert.equal(status, 1);
    assert.match(
      stderr,
      /adapter_model\.safetensors.*cannot write it: the file would be larger than this system allows/,
    );
    const after = Object.fromEntries(readdirSync(path).map((name) => [name, readFileSync(join(path, name), 'hex')]));
    assert.deepEqual(after, before);
  });
});
