// Headers of safetensors files, right and wrong ones: what this reader accepts and refuses, held against the safetensors package.
// CASES=100000 SEED=7 tries more of them.
import assert from 'node:assert/strict';
import { createReadStream, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { before, describe, it } from 'node:test';
import { SafeLoraError } from '../../src/core/errors';
import { headerLength, parseHeader, refuseOtherFormat } from '../../src/core/safetensors';
import { mutateBytes, mutateSafetensors } from '../attack/fuzz/file-mutations';
import { readFile } from '../attack/fuzz/independent';
import { mutateJson } from '../attack/fuzz/json-mutations';
import { Random } from '../attack/fuzz/random';
import { bits16, f32, safetensors, temporaryFolder, withHeader } from '../fixtures/make';
import { program, pythonEnvironment } from './environment';

const CASES = Number(process.env.CASES ?? 20_000);
const SEED = Number(process.env.SEED ?? 5);

/** A tensor as both readers give it: name, dtype, shape, bytes in hexadecimal. */
type Tensor = [name: string, dtype: string, shape: number[], bytes: string];
/** The tensors by name, or the reason why the file is refused. */
type Answer = Tensor[] | string;

/** What this reader refuses and the package reads: another reader could take it differently, or it is more than any file has. */
const STRICTER: readonly [message: RegExp, why: string][] = [
  [/does not begin with "\{"/, 'space before the header, which the format does not allow'],
  [/names "(?!dtype"|shape"|data_offsets").*" twice/, 'a name twice, of which the package takes the last'],
  [/has an unknown field/, 'an unknown field in an entry, which the package passes over'],
  [/names a tensor with \d+ (?:characters|parts)/, 'a name beyond the caps'],
  [/more than \d+ numbers/, 'a shape beyond the cap of dimensions'],
  [/is not a whole number from 0 to 9007199254740991/, 'a number above 2⁵³ − 1, which would not be exact here'],
];

/** One of every width, one without bytes, one of a width below a byte; metadata. */
const valid = safetensors(
  {
    'a.weight': f32([2, 3], [1, 2, 3, 4, 5, 6]),
    b: bits16('BF16', [4], [1, 2, 3, 4]),
    empty: f32([0, 3], []),
    scalar: { dtype: 'F64', shape: [], bytes: Buffer.alloc(8, 1) },
    packed: { dtype: 'F4', shape: [2, 2], bytes: Buffer.alloc(2, 7) },
  },
  { format: 'pt', note: 'é' },
);

function fileOf(random: Random): Buffer {
  let file = valid;
  for (let count = random.chance(0.7) ? 1 : 2; count > 0; count--) file = random.pick(MUTATIONS)(file, random);
  return file;
}

const MUTATIONS: readonly ((file: Buffer, random: Random) => Buffer)[] = [
  mutateSafetensors,
  onHeader(mutateJson),
  onHeader(otherSpelling),
  onHeader(otherNumber),
  onHeader(otherField),
  onHeader((header, random) => mutateBytes(Buffer.from(header), random).toString('utf8')),
];

function onHeader(mutate: (header: string, random: Random) => string): (file: Buffer, random: Random) => Buffer {
  return (file, random) => {
    try {
      const { header, data } = readFile(file);
      return withHeader(mutate(header, random), data);
    } catch {
      // It is none any more.
      return mutateBytes(file, random);
    }
  };
}

/** The same or nearly the same JSON: space between tokens, escapes in strings, something before or after. */
function otherSpelling(header: string, random: Random): string {
  const spots = [...header.matchAll(/[{}[\],:]|(?<=")[a-z]/g)];
  const { index, 0: found } = random.pick(spots);
  const rest = header.slice(index + found.length);
  if (/[a-z]/.test(found)) return `${header.slice(0, index)}\\u00${found.charCodeAt(0).toString(16)}${rest}`;
  const space = random.pick([' ', '\n', '\t', '\r', '   ', '\f', '\u00a0', ',', '//', '\0']);
  return header.slice(0, index) + (random.chance(0.5) ? space + found : found + space) + rest;
}

const NUMBERS = ['0', '00', '01', '-0', '-1', '1.0', '1e0', '1E+0', '+1', '.5', '0x1', 'null', '"1"', '[1]', 'true', 'NaN', '2147483648', '4294967296', '9007199254740991', '9007199254740992', '9007199254740993', '18446744073709551615', '18446744073709551616', '1'.repeat(400)]; // prettier-ignore

/** One number of a shape or of offsets. */
function otherNumber(header: string, random: Random): string {
  const spots = [...header.matchAll(/(?<=[[,])\d+(?=[\],])/g)];
  if (spots.length === 0) return header;
  const { index, 0: found } = random.pick(spots);
  return header.slice(0, index) + random.pick(NUMBERS) + header.slice(index + found.length);
}

const FIELDS = ['"dtype":"F32"', '"shape":[1]', '"data_offsets":[0,0]', '"other":1', '"other":{"a":[null]}', '"":""', '"__metadata__":{}', '"__metadata__":{"a":1}', '"__metadata__":null', '"a.weight":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}', '"new":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}']; // prettier-ignore
const DTYPES = ['BOOL', 'F4', 'F6_E2M3', 'F6_E3M2', 'U8', 'I8', 'F8_E5M2', 'F8_E4M3', 'F8_E8M0', 'F8_E4M3FNUZ', 'F8_E5M2FNUZ', 'I16', 'U16', 'F16', 'BF16', 'I32', 'U32', 'F32', 'C64', 'F64', 'I64', 'U64', 'f32', 'F128', 'X']; // prettier-ignore

/** One field more, one less, or another dtype. */
function otherField(header: string, random: Random): string {
  const open = random.pick([...header.matchAll(/\{/g)]);
  const fields = [...header.matchAll(/"(?:dtype|shape|data_offsets)":(?:"[^"]*"|\[[^\]]*\]),?/g)];
  const dtypes = [...header.matchAll(/(?<="dtype":")[^"]*/g)];
  if (fields.length === 0 || dtypes.length === 0) return header;
  const draw = random.below(3);
  if (draw === 0) return `${header.slice(0, open.index + 1)}${random.pick(FIELDS)},${header.slice(open.index + 1)}`;
  const { index, 0: found } = random.pick(draw === 1 ? fields : dtypes);
  return header.slice(0, index) + (draw === 1 ? '' : random.pick(DTYPES)) + header.slice(index + found.length);
}

const PATH = 'x.safetensors';

function ourAnswer(file: Buffer): Answer {
  try {
    const start = file.subarray(0, 128);
    refuseOtherFormat(start, PATH);
    const length = headerLength(start, file.length, PATH);
    const { tensors } = parseHeader(file.subarray(8, 8 + length), file.length, PATH);
    return [...tensors.values()].map(({ name, dtype, shape, offset, length: size }) => [name, dtype, [...shape], file.toString('hex', offset, offset + size)]); // prettier-ignore
  } catch (error) {
    if (error instanceof SafeLoraError) return error.message;
    throw error;
  }
}

const sorted = (tensors: Tensor[]): Tensor[] => tensors.toSorted(([a], [b]) => (a < b ? -1 : 1));

describe(`${CASES} headers of seed ${SEED}`, () => {
  const folder = temporaryFolder();
  const [source, target] = [join(folder, 'headers.bin'), join(folder, 'answers.jsonl')];
  const files = Array.from({ length: CASES }, (_, i) => fileOf(new Random(SEED, i)));
  before(async () => {
    const python = await pythonEnvironment();
    const parts = files.flatMap((file) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(file.length);
      return [length, file];
    });
    writeFileSync(source, Buffer.concat(parts));
    await program(python, 'headers.py', source, target);
  });

  it('are accepted and refused as the package does, with the same tensors, and every difference is explained', async () => {
    const counts = new Map<string, number>();
    const unexplained: string[] = [];
    let i = 0;
    for await (const line of createInterface(createReadStream(target))) {
      const file = files[i++]!;
      const [theirs, ours] = [JSON.parse(line) as Answer, ourAnswer(file)];
      const what = compare(ours, theirs);
      counts.set(what, (counts.get(what) ?? 0) + 1);
      if (what === 'unexplained') unexplained.push(`case ${i - 1}: ${JSON.stringify(ours)} and ${JSON.stringify(theirs)}: ${file.toString('latin1', 8, 400)}`); // prettier-ignore
    }
    assert.equal(i, CASES);
    for (const [what, count] of counts) console.log(`${String(count).padStart(7)} ${what}`);
    assert.deepEqual(unexplained.slice(0, 20), []);
    for (const what of ['accepted', 'refused'])
      assert.ok((counts.get(what) ?? 0) > CASES / 10, `${what}: ${counts.get(what)}`);
  });
});

function compare(ours: Answer, theirs: Answer): string {
  if (typeof ours === 'string') {
    if (typeof theirs === 'string') return 'refused';
    return STRICTER.find(([message]) => message.test(ours))?.[1] ?? 'unexplained';
  }
  if (typeof theirs === 'string') return 'unexplained';
  return JSON.stringify(sorted(ours)) === JSON.stringify(sorted(theirs)) ? 'accepted' : 'unexplained';
}
