// The reference's way to a module's similarity: the dense products of Safe LoRA's published code, through the same onnxruntime.
import { closeSync, openSync, readSync } from 'node:fs';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { type TensorInfo } from '../../src/core/safetensors';
import { encodeModel, type Node, onnxType } from '../../src/engine/onnx';
import { type ModuleTask } from '../../src/engine/protocol';

/**
 * `published`: V, C = V·Vᵀ / ‖V‖_F, then C·B, (C·B)·A and B·A, as the code of arXiv 2405.16833 has them.
 * `bracketed`: V·(Vᵀ·B) in place of C·B, for weights whose [out, out] matrix takes minutes and gigabytes; only a check of the numbers.
 */
export type Way = 'published' | 'bracketed';

export interface ReferenceResult {
  similarity: number;
  /** Of the arithmetic alone, in milliseconds: reading and the session's start are left out. */
  ms: number;
}

/** Measures the first update of a BF16 module. onnxruntime takes all cores, as it does by default. */
export async function referenceSimilarity(task: ModuleTask, way: Way): Promise<ReferenceResult> {
  const session = await InferenceSession.create(buildReference(way), { logSeverityLevel: 3 });
  const { a, b } = task.updates[0]!;
  const inputs = { base: read(task.base), aligned: read(task.aligned), a: read(a), b: read(b) };
  // The first run of a process starts threads and code that no later one waits for.
  await session.run(Object.fromEntries(Object.entries(inputs).map(([name, { type }]) => [name, smallest(type)])));
  const started = performance.now();
  const results = await session.run(inputs);
  const [dot, update2, projected2] = ['dot', 'update2', 'projected2'].map((name) =>
    (results[name]!.data as Float32Array).reduce((sum, value) => sum + value, 0),
  ) as [number, number, number];
  return { similarity: dot / Math.sqrt(update2 * projected2), ms: performance.now() - started };
}

function buildReference(way: Way): Uint8Array {
  const decode = (name: string): Node[] => [
    { op: 'BitCast', inputs: [name], outputs: [`${name}_bits`], attributes: { to: onnxType.bfloat16 } },
    { op: 'Cast', inputs: [`${name}_bits`], outputs: [`${name}_value`], attributes: { to: onnxType.float } },
  ];
  const projection: Record<Way, Node[]> = {
    published: [
      { op: 'Gemm', inputs: ['v', 'v'], outputs: ['vvt'], attributes: { transB: 1 } },
      // Row by row first: over all of V at once single precision loses three digits.
      { op: 'ReduceSumSquare', inputs: ['v', 'columns'], outputs: ['squares'], attributes: { keepdims: 0 } },
      { op: 'ReduceSum', inputs: ['squares'], outputs: ['v2'], attributes: { keepdims: 0 } },
      { op: 'Sqrt', inputs: ['v2'], outputs: ['norm'] },
      { op: 'Div', inputs: ['vvt', 'norm'], outputs: ['c'] },
      { op: 'MatMul', inputs: ['c', 'b'], outputs: ['cb'] },
    ],
    bracketed: [
      { op: 'Gemm', inputs: ['v', 'b'], outputs: ['vtb'], attributes: { transA: 1 } },
      { op: 'MatMul', inputs: ['v', 'vtb'], outputs: ['cb'] },
    ],
  };
  const rowSums = (op: string, from: string, to: string): Node => ({
    op,
    inputs: [from, 'columns'],
    outputs: [to],
    attributes: { keepdims: 0 },
  });
  return encodeModel({
    opset: 26,
    nodes: [
      ...decode('base'),
      ...decode('aligned'),
      { op: 'Sub', inputs: ['aligned_value', 'base_value'], outputs: ['v'] },
      ...projection[way],
      { op: 'MatMul', inputs: ['cb', 'a'], outputs: ['projected'] },
      { op: 'MatMul', inputs: ['b', 'a'], outputs: ['update'] },
      { op: 'Mul', inputs: ['projected', 'update'], outputs: ['product'] },
      rowSums('ReduceSum', 'product', 'dot'),
      rowSums('ReduceSumSquare', 'update', 'update2'),
      rowSums('ReduceSumSquare', 'projected', 'projected2'),
    ],
    inputs: [
      { name: 'base', type: 'uint16', shape: [null, null] },
      { name: 'aligned', type: 'uint16', shape: [null, null] },
      { name: 'a', type: 'float', shape: [null, null] },
      { name: 'b', type: 'float', shape: [null, null] },
    ],
    outputs: ['dot', 'update2', 'projected2'].map((name) => ({ name, type: 'float', shape: [null] }) as const),
    constants: { columns: [1] },
  });
}

function read({ path, offset, length, shape, dtype }: TensorInfo): Tensor {
  const bytes = new Uint8Array(length);
  const file = openSync(path, 'r');
  try {
    for (let done = 0; done < length;) done += readSync(file, bytes, done, length - done, offset + done);
  } finally {
    closeSync(file);
  }
  return dtype === 'F32'
    ? new Tensor('float32', new Float32Array(bytes.buffer), shape)
    : new Tensor('uint16', new Uint16Array(bytes.buffer), shape);
}

function smallest(type: Tensor.Type): Tensor {
  return type === 'float32'
    ? new Tensor(new Float32Array(1), [1, 1])
    : new Tensor('uint16', new Uint16Array(1), [1, 1]);
}
