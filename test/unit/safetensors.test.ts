// The safetensors reader and writer.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type SafeLoraError } from '../../src/core/errors';
import { openSafetensors, parseHeader, readTensor } from '../../src/core/safetensors';
import { encodeHeader } from '../../src/core/safetensors-writer';
import { HeaderFuzzer } from '../fixtures/header-mutations';
import { f32, safetensors, temporaryFolder, withHeader } from '../fixtures/make';

const folder = temporaryFolder();

describe('reading a safetensors file', () => {
  it('finds every tensor, in the order of the header, with names that JavaScript would reorder', async () => {
    const path = join(folder, 'names.safetensors');
    const entry = (begin: number): string => `{"dtype":"F32","shape":[1],"data_offsets":[${begin},${begin + 4}]}`;
    writeFileSync(
      path,
      withHeader(
        `{"b":${entry(0)},"10":${entry(4)},"9":${entry(8)},"__proto__":${entry(12)},"constructor":${entry(16)},"\\u00fc":${entry(20)}}`,
        Buffer.from(Float32Array.from([1, 2, 3, 4, 5, 6]).buffer),
      ),
    );
    const file = await openSafetensors(path);
    assert.deepEqual([...file.tensors.keys()], ['b', '10', '9', '__proto__', 'constructor', 'ü']);
    assert.equal(Buffer.from(await readTensor(file.tensors.get('__proto__')!)).readFloatLE(), 4);
  });

  it('takes tensors in any order of their bytes, empty ones and scalars', () => {
    const header = Buffer.from(
      '{"late":{"dtype":"F32","shape":[],"data_offsets":[2,6]},"none":{"dtype":"F64","shape":[0,3],"data_offsets":[2,2]},"early":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}',
    );
    const { tensors } = parseHeader(header, 8 + header.length + 6, 'x');
    assert.deepEqual(
      [...tensors.values()].map(({ name, offset, length }) => [name, offset - 8 - header.length, length]),
      [
        ['late', 2, 4],
        ['none', 2, 0],
        ['early', 0, 2],
      ],
    );
  });

  it('refuses a dtype that it does not know, as the reference reader does', () => {
    for (const dtype of ['F8_NEXT', 'constructor', 'f32', 'X'.repeat(5000)]) {
      const header = Buffer.from(`{"new":{"dtype":"${dtype}","shape":[3],"data_offsets":[0,12]}}`);
      assert.throws(
        () => parseHeader(header, 8 + header.length + 12, 'x'),
        ({ code, message }: SafeLoraError) => code === 'unsupported-dtype' && message.length < 500,
      );
    }
  });

  it('refuses a shape that overflows on the way to 0 elements', () => {
    const header = Buffer.from('{"x":{"dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}}');
    assert.throws(() => parseHeader(header, 8 + header.length, 'x'), /is too large/);
  });

  it('reads back the header that it writes', () => {
    const file = safetensors(
      { 'a"\\': f32([1, 2], [1, 2]), ü: f32([2], [3, 4]) },
      { format: 'pt', text: 'line\nbreak ü' },
    );
    const first = parseHeader(file.subarray(8, 8 + Number(file.readBigUInt64LE(0))), file.length, 'x');
    const written = Buffer.from(encodeHeader(first.tensors.values(), first.metadata, first.dataStart));
    assert.equal(written.length % 8, 0);
    const second = parseHeader(written.subarray(8), written.length + 16, 'x');
    assert.deepEqual(second.metadata, first.metadata);
    assert.deepEqual(
      [...second.tensors.values()].map((tensor) => ({ ...tensor, offset: tensor.offset - second.dataStart })),
      [...first.tensors.values()].map((tensor) => ({ ...tensor, offset: tensor.offset - first.dataStart })),
    );
  });

  it('reads or cleanly refuses ten thousand mutated headers', () => {
    const fuzzer = new HeaderFuzzer(20240516);
    const verdicts = { accepted: 0, refused: 0 };
    let slowest = 0;
    for (let i = 0; i < 10_000; i++) {
      const started = performance.now();
      verdicts[fuzzer.next()]++;
      slowest = Math.max(slowest, performance.now() - started);
    }
    assert.ok(verdicts.accepted > 500 && verdicts.refused > 5000, `both outcomes are met: ${JSON.stringify(verdicts)}`);
    assert.ok(slowest < 1000, `no header takes long: ${slowest} ms`);
  });
});
