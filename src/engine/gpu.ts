// The products on a device: V is computed there from the stored bytes and never leaves it.
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { SafeLoraError } from '../core/errors';
import { LARGEST_BLOCK } from './memory';
import { type Multiplier, type Products, putColumns, takeColumns } from './products';
import { type Step } from './graphs';
import { type Sessions } from './sessions';
import { type Rows, split, type StoredWeights } from './weights';

/** Rows in one run: Σv² starts a thread group for each, and WebGPU counts groups with 16 bits. */
const MOST_ROWS = 2 ** 16 - 1;

/** Elements of V below which a device without memory counts as failed. */
const SMALLEST_BLOCK = 2 ** 16;

/** A block's rows exist as stored, and once more on their way to the device. */
const COPIES = 2;

export class GpuMultiplier implements Multiplier {
  /** @param blockElements maximum elements of V in one run; fewer once the device's memory was insufficient */
  constructor(
    private readonly sessions: Sessions,
    private blockElements = LARGEST_BLOCK,
  ) {}

  async multiply(weights: StoredWeights, x: Float32Array, columns: number, memory: number): Promise<Products> {
    const room = Math.max(SMALLEST_BLOCK, memory / (weights.elementBytes * COPIES));
    for (;;) {
      const elements = Math.min(this.blockElements, room);
      const rows = Math.min(MOST_ROWS, Math.floor(elements / weights.rowLength));
      const blocks = split({ begin: 0, end: weights.rows }, rows);
      try {
        return await this.multiplyBlocks(weights, x, columns, blocks);
      } catch (error) {
        if (!isOutOfMemory(error)) throw error;
        const tried = blocks[0]!.end * weights.rowLength;
        if (blocks[0]!.end === 1 || tried / 2 < SMALLEST_BLOCK) throw outOfMemory(error as Error);
        this.blockElements = tried / 2;
        await this.sessions.release();
      }
    }
  }

  private async multiplyBlocks(
    weights: StoredWeights,
    x: Float32Array,
    columns: number,
    blocks: readonly Rows[],
  ): Promise<Products> {
    const { rows, rowLength, transposed, source } = weights;
    const tensor = (data: Float32Array): Tensor => new Tensor('float32', data, [columns, data.length / columns]);
    const zeros = (length: number): Float32Array => new Float32Array(columns * length);
    let v2 = 0;
    const run = async (
      step: Step,
      block: Rows,
      inputs: Record<string, Float32Array>,
    ): Promise<Record<string, Float32Array>> => {
      const session = await this.sessions.step(source, step);
      const feeds = weights.feeds(block);
      for (const [name, data] of Object.entries(inputs)) feeds[name] = tensor(data);
      const outputs = await session.run(feeds);
      for (const square of numbers(outputs.squares)) v2 += square;
      return Object.fromEntries(Object.entries(outputs).map(([name, output]) => [name, numbers(output)]));
    };

    if (transposed) {
      const t = zeros(rows);
      let u = zeros(rowLength);
      for (const block of blocks) {
        const product = await run('turned', block, { x, sum: u });
        putColumns(t, rows, block, product.t!);
        u = product.u!;
      }
      return { t, u, v2 };
    }
    if (blocks.length === 1) {
      const { t, u } = await run('whole', blocks[0]!, { x });
      return { t: t!, u: u!, v2 };
    }
    let t = zeros(rowLength);
    for (const block of blocks) t = (await run('over', block, { x: takeColumns(x, rows, block), sum: t })).t!;
    const u = zeros(rows);
    for (const block of blocks) putColumns(u, rows, block, (await run('along', block, { t })).u!);
    return { t, u, v2 };
  }
}

function numbers(output: InferenceSession.OnnxValueMapType[string] | undefined): Float32Array {
  return output ? (output.data as Float32Array) : new Float32Array();
}

/** The providers' errors for failed allocations: Dawn's validation of a null buffer, CUDA's and DirectML's messages. */
function isOutOfMemory(error: unknown): boolean {
  return (
    error instanceof Error &&
    /max buffer size limit|maximum storage buffer binding size|\[Invalid Buffer|OUT_OF_(DEVICE|HOST)_MEMORY|out of memory|failed to allocate memory|ALLOC_FAILED|resource allocation failed|E_OUTOFMEMORY|8007000E/i.test(
      error.message,
    )
  );
}

function outOfMemory(cause: Error): SafeLoraError {
  return new SafeLoraError(
    'engine-failed',
    `The device has no memory for a block of ${SMALLEST_BLOCK} weights (${cause.message}); close other programs that use it, or use --device cpu.`,
    { cause },
  );
}
