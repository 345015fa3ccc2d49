// The products on the CPU: V is computed once and stays in memory as far as it fits.
import { Tensor } from 'onnxruntime-node';
import { AlignmentBuffer, AlignmentMatrix } from './alignment';
import { type Multiplier, type Products, putColumns, takeColumns } from './products';
import { type Sessions } from './sessions';
import { type StoredWeights } from './weights';

export class CpuMultiplier implements Multiplier {
  private readonly buffer: AlignmentBuffer;

  /** @param memory maximum bytes of V */
  constructor(
    private readonly sessions: Sessions,
    memory: number,
  ) {
    this.buffer = new AlignmentBuffer(memory);
  }

  async multiply(weights: StoredWeights, x: Float32Array, columns: number, memory: number): Promise<Products> {
    const alignment = new AlignmentMatrix(weights, this.sessions, this.buffer, memory);
    const [over, along] = [await this.sessions.product('over'), await this.sessions.product('along')];
    const tensor = (data: Float32Array): Tensor => new Tensor('float32', data, [columns, data.length / columns]);
    const zeros = (length: number): Float32Array => new Float32Array(columns * length);
    /** Adds X·V of a block to a sum, alternating between two buffers. */
    const add = async (
      part: Float32Array,
      v: Tensor,
      [sum, other]: readonly [Float32Array, Float32Array],
    ): Promise<[Float32Array, Float32Array]> => {
      await over.run({ x: tensor(part), v, sum: tensor(sum) }, { product: tensor(other) });
      return [other, sum];
    };
    const timesTransposed = async (matrix: Float32Array, v: Tensor): Promise<Float32Array> =>
      (await along.run({ x: tensor(matrix), v })).product!.data as Float32Array;

    const { rows, rowLength, transposed } = weights;
    if (transposed) {
      const t = zeros(rows);
      let u: [Float32Array, Float32Array] = [zeros(rowLength), zeros(rowLength)];
      for (const block of alignment.blocks) {
        const v = await alignment.block(block);
        const part = await timesTransposed(x, v);
        putColumns(t, rows, block, part);
        u = await add(part, v, u);
      }
      return { t, u: u[0], v2: alignment.sumOfSquares };
    }
    let t: [Float32Array, Float32Array] = [zeros(rowLength), zeros(rowLength)];
    for (const block of alignment.blocks) t = await add(takeColumns(x, rows, block), await alignment.block(block), t);
    const u = zeros(rows);
    for (const block of alignment.blocks) {
      putColumns(u, rows, block, await timesTransposed(t[0], await alignment.block(block)));
    }
    return { t: t[0], u, v2: alignment.sumOfSquares };
  }
}
