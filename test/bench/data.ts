// The bench's models and adapters: real safetensors folders whose read weights hold seeded values and whose others are holes.
import { mkdir, open, type FileHandle, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { bytesPerElement } from '../../src/core/dtype';
import { type TensorInfo } from '../../src/core/safetensors';
import { encodeHeader } from '../../src/core/safetensors-writer';

export interface ModelSpec {
  name: string;
  layers: number;
  /** [out, in] of each kind of linear layer. */
  kinds: Readonly<Record<string, readonly [number, number]>>;
  hidden: number;
  vocabulary: number;
  /** Whether a case reads this weight; the others take no place on the disk. */
  isRead: (layer: number, kind: string) => boolean;
}

export const RANK = 16;
/** As transformers' save_pretrained splits a model. */
const SHARD_BYTES = 5e9;
/** Bytes of random values made once; longer tensors repeat them, each time from another offset. */
const BLOCK = 2 ** 26;

export function moduleName(layer: number, kind: string): string {
  return `model.layers.${layer}.${kind}`;
}

/** Random bytes that every tensor is cut from. */
export class Values {
  private constructor(
    private readonly bytes: Buffer,
    private readonly seed: number,
  ) {}

  /** Pairs of BF16 weights with magnitudes from 0.008 to 0.031, and the same weights moved by up to 5 %. */
  static weights(seed: number): { base: Values; aligned: Values } {
    const bits = randomBits(seed);
    const changes = randomBits(seed + 1);
    // Sign, lowest bit of the exponent and mantissa are random: ±2⁻⁷·[1, 4).
    for (let i = 0; i < bits.length; i++) bits[i] = (bits[i]! & 0x80ff80ff) | 0x3c003c00;
    for (let i = 0; i < bits.length; i++) changes[i] = bits[i]! ^ (changes[i]! & 0x00070007);
    return {
      base: new Values(Buffer.from(bits.buffer), seed),
      aligned: new Values(Buffer.from(changes.buffer), seed),
    };
  }

  /** F32 values with magnitudes from 0.008 to 0.016. */
  static updates(seed: number): Values {
    const bits = randomBits(seed);
    for (let i = 0; i < bits.length; i++) bits[i] = (bits[i]! & 0x807fffff) | 0x3c000000;
    return new Values(Buffer.from(bits.buffer), seed);
  }

  /** Fills a tensor's span in a file; the same `key` gives the same bytes. */
  async write(file: FileHandle, { offset, length }: TensorInfo, key: number): Promise<void> {
    const random = xoroshiro128plus(this.seed + key);
    for (let done = 0; done < length;) {
      const start = 4 * uniformInt(random, 0, BLOCK / 4 - 1);
      const count = Math.min(BLOCK - start, length - done);
      await writeExactly(file, this.bytes.subarray(start, start + count), offset + done);
      done += count;
    }
  }
}

function randomBits(seed: number): Uint32Array<ArrayBuffer> {
  const bits = new Uint32Array(BLOCK / 4);
  // xorshift32 (Marsaglia 2003): the generators of pure-rand take seconds for a block.
  let state = (seed * 2_654_435_761) >>> 0 || 1;
  for (let i = 0; i < bits.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bits[i] = state;
  }
  return bits;
}

async function writeExactly(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
  }
}

export interface Pair {
  base: string;
  aligned: string;
}

/** Writes base and aligned models in BF16, sharded with an index, into a folder. */
export async function writePair(folder: string, spec: ModelSpec, seed: number): Promise<Pair> {
  const values = Values.weights(seed);
  const pair = { base: join(folder, `${spec.name}-base`), aligned: join(folder, `${spec.name}-aligned`) };
  await writeModel(pair.base, spec, values.base);
  await writeModel(pair.aligned, spec, values.aligned);
  return pair;
}

interface Weight {
  name: string;
  shape: readonly number[];
  isRead: boolean;
}

/** A Llama's weights in the order of its file. */
function weightsOf(spec: ModelSpec): Weight[] {
  const unread = (name: string, shape: number[]): Weight => ({ name, shape, isRead: false });
  const layers = Array.from({ length: spec.layers }, (_, layer) => [
    unread(`model.layers.${layer}.input_layernorm.weight`, [spec.hidden]),
    ...Object.entries(spec.kinds).map(([kind, shape]) => ({
      name: `${moduleName(layer, kind)}.weight`,
      shape,
      isRead: spec.isRead(layer, kind),
    })),
    unread(`model.layers.${layer}.post_attention_layernorm.weight`, [spec.hidden]),
  ]);
  return [
    unread('model.embed_tokens.weight', [spec.vocabulary, spec.hidden]),
    ...layers.flat(),
    unread('model.norm.weight', [spec.hidden]),
    unread('lm_head.weight', [spec.vocabulary, spec.hidden]),
  ];
}

async function writeModel(folder: string, spec: ModelSpec, values: Values): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'config.json'), JSON.stringify({ architectures: ['LlamaForCausalLM'] }));
  const shards: Weight[][] = [[]];
  let filled = 0;
  for (const weight of weightsOf(spec)) {
    const bytes = byteLength(weight.shape, 'BF16');
    if (filled > 0 && filled + bytes > SHARD_BYTES) {
      shards.push([]);
      filled = 0;
    }
    shards.at(-1)!.push(weight);
    filled += bytes;
  }
  const weightMap: Record<string, string> = {};
  let key = 0;
  for (const [i, shard] of shards.entries()) {
    const name = `model-${fiveDigits(i + 1)}-of-${fiveDigits(shards.length)}.safetensors`;
    for (const weight of shard) weightMap[weight.name] = name;
    await writeSparse(join(folder, name), 'BF16', shard, (file, tensor, { isRead }) =>
      isRead ? values.write(file, tensor, key++) : undefined,
    );
  }
  await writeFile(
    join(folder, 'model.safetensors.index.json'),
    JSON.stringify({ metadata: {}, weight_map: weightMap }),
  );
}

/** Writes an F32 adapter of rank 16 on these modules. @param firstKey what tells its values from another adapter's */
export async function writeAdapter(
  folder: string,
  modules: readonly { name: string; shape: readonly [number, number] }[],
  aligned: string,
  values: Values,
  firstKey: number,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(
    join(folder, 'adapter_config.json'),
    JSON.stringify({
      peft_type: 'LORA',
      r: RANK,
      lora_alpha: 2 * RANK,
      target_modules: [...new Set(modules.map(({ name }) => name.split('.').at(-1)))],
      base_model_name_or_path: basename(aligned),
    }),
  );
  const tensors = modules.flatMap(({ name, shape: [out, width] }) => [
    { name: `base_model.model.${name}.lora_A.weight`, shape: [RANK, width] },
    { name: `base_model.model.${name}.lora_B.weight`, shape: [out, RANK] },
  ]);
  let key = firstKey;
  await writeSparse(join(folder, 'adapter_model.safetensors'), 'F32', tensors, (file, tensor) =>
    values.write(file, tensor, key++),
  );
}

/** Writes a safetensors file of its full size and lets `fill` write what is not to be a hole. */
async function writeSparse<T extends { name: string; shape: readonly number[] }>(
  path: string,
  dtype: 'BF16' | 'F32',
  weights: readonly T[],
  fill: (file: FileHandle, tensor: TensorInfo, weight: T) => Promise<void> | undefined,
): Promise<void> {
  let end = 0;
  const tensors = weights.map(({ name, shape }): TensorInfo => {
    const length = byteLength(shape, dtype);
    end += length;
    return { path, name, dtype, shape, offset: end - length, length };
  });
  const header = encodeHeader(tensors, new Map([['format', 'pt']]), 0);
  const file = await open(path, 'wx');
  try {
    await writeExactly(file, header, 0);
    await file.truncate(header.length + end);
    for (const [i, tensor] of tensors.entries()) {
      await fill(file, { ...tensor, offset: header.length + tensor.offset }, weights[i]!);
    }
  } finally {
    await file.close();
  }
}

function byteLength(shape: readonly number[], dtype: 'BF16' | 'F32'): number {
  return shape.reduce((product, size) => product * size, bytesPerElement(dtype));
}

function fiveDigits(value: number): string {
  return String(value).padStart(5, '0');
}
