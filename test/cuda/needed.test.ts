// What a shared library needs, on libraries made here and on real ones, and on damaged bytes.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { SafeLoraError } from '../../src/core/errors';
import { readNeeded, X86_64 } from '../../src/cuda/needed';
import { elsewhere, root, temporaryFolder } from '../fixtures/make';
import { elf, loaded } from './elf';

const folder = temporaryFolder();
const runtime = (arch: string): string =>
  join(root, `node_modules/onnxruntime-node/bin/napi-v6/linux/${arch}/libonnxruntime.so.1`);

function written(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

describe('what a library needs', () => {
  it('is read in its order, with the folders that it asks for', async () => {
    const path = written('made.so', elf({ needed: ['libcublas.so.12', 'libc.so.6'], runpath: '$ORIGIN:/opt/x' }));
    assert.deepEqual(await readNeeded(path), {
      machine: X86_64,
      needed: ['libcublas.so.12', 'libc.so.6'],
      runpath: ['$ORIGIN', '/opt/x'],
    });
  });

  it("is read of onnxruntime's own libraries, for both processors", async () => {
    const { needed, runpath, machine } = await readNeeded(runtime('x64'));
    assert.equal(machine, X86_64);
    // As binutils' readelf lists them.
    const common = [
      'libdl.so.2',
      'librt.so.1',
      'libpthread.so.0',
      'libstdc++.so.6',
      'libm.so.6',
      'libgcc_s.so.1',
      'libc.so.6',
    ];
    assert.deepEqual(needed, [...common, 'ld-linux-x86-64.so.2']);
    assert.deepEqual(runpath, ['$ORIGIN']);
    const arm = await readNeeded(runtime('arm64'));
    assert.equal(arm.machine, 183);
    assert.deepEqual(arm.needed, [...common, 'ld-linux-aarch64.so.1']);
  });

  it('is what the loader finds in the libraries of this system', { skip: elsewhere }, async () => {
    const own = [process.execPath, runtime('x64')].flatMap((path) => [...loaded(path).values()]);
    const system = '/lib/x86_64-linux-gnu';
    const others = (existsSync(system) ? readdirSync(system) : [])
      .filter((name) => /\.so[.\d]*$/.test(name))
      .map((name) => join(system, name))
      .filter((path) => statSync(path).isFile() && readFileSync(path).readUInt32BE(0) === 0x7f454c46)
      .slice(0, 40);
    const libraries = [...new Set([...own, ...others])];
    assert.ok(libraries.length > 5);
    for (const path of [...libraries, process.execPath, runtime('x64')]) {
      const found = loaded(path);
      const reached = new Set<string>();
      const follow = async (from: string): Promise<void> => {
        for (const name of (await readNeeded(from)).needed) {
          if (reached.has(name)) continue;
          reached.add(name);
          assert.ok(found.has(name), `${from} needs ${name}, which the loader does not load for ${path}`);
          await follow(found.get(name)!);
        }
      };
      await follow(path);
      // The loader lists itself, whether it is named or not.
      const listed = [...found.keys()].filter((name) => !name.startsWith('ld-linux'));
      assert.deepEqual([...reached].filter((name) => !name.startsWith('ld-linux')).sort(), listed.sort(), path);
    }
  });

  it('is refused in one line where the file is none, cut off or for a 32-bit machine', async () => {
    const whole = elf({ needed: ['libcublas.so.12'] });
    const small = Buffer.from(whole);
    small[4] = 1;
    const cases: [string, Uint8Array, RegExp][] = [
      ['text.so', Buffer.from('GROUP ( libx.so.1 )'.padEnd(80)), /not an ELF file/],
      ['empty.so', Buffer.alloc(0), /cut off/],
      ['cut.so', whole.subarray(0, whole.length - 20), /cut off/],
      ['small.so', small, /64-bit/],
    ];
    for (const [name, bytes, reason] of cases) {
      const path = written(name, bytes);
      await assert.rejects(readNeeded(path), (error) => {
        assert.ok(error instanceof SafeLoraError);
        assert.equal(error.code, 'provider-package');
        assert.ok(error.message.startsWith(`${path}: `));
        assert.match(error.message, reason);
        return true;
      });
    }
  });

  it('never fails otherwise, whatever is changed in the bytes', async () => {
    const whole = elf({ needed: ['libcublas.so.12', 'libcudart.so.12'], runpath: '$ORIGIN' });
    const change = fc.record({ at: fc.nat(whole.length - 1), to: fc.nat(255) });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 6 }), async (changes) => {
        const bytes = Buffer.from(whole);
        for (const { at, to } of changes) bytes[at] = to;
        await readNeeded(written('changed.so', bytes)).catch((error: unknown) => {
          assert.ok(error instanceof SafeLoraError, String(error));
        });
      }),
      { numRuns: 500 },
    );
  });
});
