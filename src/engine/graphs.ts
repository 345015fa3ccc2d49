// The arithmetic as ONNX graphs: a decoding step per provider and dtype, and one core that is the same everywhere.
import { type FloatDtype } from '../core/dtype';
import { encodeModel, type Node, onnxType, type OnnxType } from './onnx';

/** `whole`: T and U in one run. `gather` then `apply`: the same for weights that go through in blocks of rows. */
export type GraphPart = 'whole' | 'gather' | 'apply';

export interface GraphKey {
  base: FloatDtype;
  aligned: FloatDtype;
  /** The weight is stored [in, out]. */
  transposed: boolean;
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
 * Builds a graph. Inputs: `base` and `aligned`, [rows, columns] as stored; `x` (B and probes) for `whole` and `gather`, `t` for `apply`.
 * Outputs: `t` = VᵀX, `squares` (ΣV² of each row) and `u` = V·T, as far as the part goes.
 */
export function buildGraph(key: GraphKey): Uint8Array {
  const double = key.base === 'F64' || key.aligned === 'F64';
  const [transV, transBack] = key.transposed ? [0, 1] : [1, 0];
  const gathers = key.part !== 'apply';
  const applies = key.part !== 'gather';
  const nodes: Node[] = [
    ...decodeOnCpu('base', key.base, double),
    ...decodeOnCpu('aligned', key.aligned, double),
    { op: 'Sub', inputs: ['aligned_value', 'base_value'], outputs: [double ? 'v_double' : 'v'] },
  ];
  if (double) nodes.push({ op: 'Cast', inputs: ['v_double'], outputs: ['v'], attributes: { to: onnxType.float } });
  if (gathers) {
    // Per row: a reduction over all of V at once loses three digits in single precision.
    nodes.push({ op: 'ReduceSumSquare', inputs: ['v', 'columns'], outputs: ['squares'], attributes: { keepdims: 0 } });
    nodes.push({ op: 'Gemm', inputs: ['v', 'x'], outputs: ['t'], attributes: { transA: transV } });
  }
  if (applies) nodes.push({ op: 'Gemm', inputs: ['v', 't'], outputs: ['u'], attributes: { transA: transBack } });
  return encodeModel({
    opset: CPU_OPSET,
    nodes,
    inputs: [
      { name: 'base', type: inputType[key.base], rank: 2 },
      { name: 'aligned', type: inputType[key.aligned], rank: 2 },
      { name: gathers ? 'x' : 't', type: 'float', rank: 2 },
    ],
    outputs: [
      ...(gathers
        ? ([
            { name: 't', type: 'float', rank: 2 },
            { name: 'squares', type: 'float', rank: 1 },
          ] as const)
        : []),
      ...(applies ? ([{ name: 'u', type: 'float', rank: 2 }] as const) : []),
    ],
    constants: gathers ? { columns: [1] } : {},
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
