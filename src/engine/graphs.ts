// The arithmetic as ONNX graphs: a decoding step per provider and dtype, and one core that is the same everywhere.
import { type FloatDtype } from '../core/dtype';
import { encodeModel, type Node, onnxType, type OnnxType } from './onnx';

/**
 * What a run does with a block of a weight's stored rows. Stored [out, in]: `gather` adds its share to T, and once T is whole `apply`
 * makes the block's rows of U. Stored [in, out]: `both` makes the block's rows of T and adds their share to U.
 */
export type GraphPart = 'gather' | 'apply' | 'both';

export interface GraphKey {
  base: FloatDtype;
  aligned: FloatDtype;
  part: GraphPart;
}

/** How a dtype's bytes enter a graph: 16-bit formats as their bits, since JavaScript tensors have no bfloat16. */
export const inputType: Readonly<Record<FloatDtype, OnnxType>> = {
  F64: 'double',
  F32: 'float',
  F16: 'uint16',
  BF16: 'uint16',
};

/** BitCast came with opset 26. */
const CPU_OPSET = 26;

/**
 * Builds a graph. Inputs: `base` and `aligned`, [rows, columns] as stored; `x` (B and probes) for `gather` and `both`, `t` for `apply`;
 * `sum`, what earlier blocks came to, where the block only adds its share. Outputs: `squares` (ΣV² of each row), `t` = VᵀX and `u` = V·T,
 * as far as the part goes.
 */
export function buildGraph({ base, aligned, part }: GraphKey): Uint8Array {
  const double = base === 'F64' || aligned === 'F64';
  const nodes: Node[] = [
    ...decodeOnCpu('base', base, double),
    ...decodeOnCpu('aligned', aligned, double),
    { op: 'Sub', inputs: ['aligned_value', 'base_value'], outputs: [double ? 'v_double' : 'v'] },
  ];
  if (double) nodes.push({ op: 'Cast', inputs: ['v_double'], outputs: ['v'], attributes: { to: onnxType.float } });
  // Per row: a reduction over all of V at once loses three digits in single precision.
  const squares: Node = { op: 'ReduceSumSquare', inputs: ['v', 'columns'], outputs: ['squares'], attributes: { keepdims: 0 } }; // prettier-ignore
  const gemm = (inputs: string[], output: string, transA: 0 | 1): Node => ({
    op: 'Gemm',
    inputs,
    outputs: [output],
    attributes: { transA },
  });
  const products: Record<GraphPart, Node[]> = {
    gather: [squares, gemm(['v', 'x', 'sum'], 't', 1)],
    apply: [gemm(['v', 't'], 'u', 0)],
    both: [squares, gemm(['v', 'x'], 't', 0), gemm(['v', 't', 'sum'], 'u', 1)],
  };
  const matrix = (name: string) => ({ name, type: 'float' as const, rank: 2 });
  return encodeModel({
    opset: CPU_OPSET,
    nodes: [...nodes, ...products[part]],
    inputs: [
      { name: 'base', type: inputType[base], rank: 2 },
      { name: 'aligned', type: inputType[aligned], rank: 2 },
      ...(part === 'apply' ? [matrix('t')] : [matrix('x'), matrix('sum')]),
    ],
    outputs: {
      gather: [matrix('t'), { name: 'squares', type: 'float' as const, rank: 1 }],
      apply: [matrix('u')],
      both: [matrix('t'), matrix('u'), { name: 'squares', type: 'float' as const, rank: 1 }],
    }[part],
    constants: part === 'apply' ? {} : { columns: [1] },
  });
}

/** From a stored dtype to `NAME_value` in single precision, or in double where either weight is F64. */
function decodeOnCpu(name: string, dtype: FloatDtype, double: boolean): Node[] {
  const target = double ? 'double' : 'float';
  const output = `${name}_value`;
  if (inputType[dtype] === target) return [{ op: 'Identity', inputs: [name], outputs: [output] }];
  if (inputType[dtype] !== 'uint16') {
    return [{ op: 'Cast', inputs: [name], outputs: [output], attributes: { to: onnxType[target] } }];
  }
  const format = onnxType[dtype === 'F16' ? 'float16' : 'bfloat16'];
  return [
    { op: 'BitCast', inputs: [name], outputs: [`${name}_bits`], attributes: { to: format } },
    { op: 'Cast', inputs: [`${name}_bits`], outputs: [output], attributes: { to: onnxType[target] } },
  ];
}
