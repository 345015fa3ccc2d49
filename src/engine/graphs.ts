// The arithmetic as ONNX graphs: a decoding step per provider and dtype, and two products that are the same everywhere.
import { type FloatDtype } from '../core/dtype';
import { encodeModel, type GraphValue, type Node, onnxType, type OnnxType } from './onnx';

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
 * From rows of both stored weights, `base` and `aligned`, to the same rows of their difference `v`, and `squares`, Σv² of each row.
 * The squares go by row, since a reduction over everything at once loses three digits in single precision, and through two nodes,
 * since onnxruntime's ReduceSumSquare takes three times as long.
 */
export function differenceGraph(base: FloatDtype, aligned: FloatDtype): Uint8Array {
  const double = base === 'F64' || aligned === 'F64';
  const nodes: Node[] = [
    ...decodeOnCpu('base', base, double),
    ...decodeOnCpu('aligned', aligned, double),
    { op: 'Sub', inputs: ['aligned_value', 'base_value'], outputs: [double ? 'v_double' : 'v'] },
  ];
  if (double) nodes.push({ op: 'Cast', inputs: ['v_double'], outputs: ['v'], attributes: { to: onnxType.float } });
  nodes.push(
    { op: 'Mul', inputs: ['v', 'v'], outputs: ['v_squared'] },
    { op: 'ReduceSum', inputs: ['v_squared', 'columns'], outputs: ['squares'], attributes: { keepdims: 0 } },
  );
  return encodeModel({
    opset: CPU_OPSET,
    nodes,
    inputs: [
      { name: 'base', type: inputType[base], rank: 2 },
      { name: 'aligned', type: inputType[aligned], rank: 2 },
    ],
    outputs: [matrix('v'), { name: 'squares', type: 'float', rank: 1 }],
    constants: { columns: [1] },
  });
}

/** `sum` + `x`·`v`: what a block of rows adds to a product over all rows. x [k, rows], v [rows, n], sum and product [k, n]. */
export function addOverRowsGraph(): Uint8Array {
  return productGraph(['x', 'v', 'sum'], 0);
}

/** `x`·`v`ᵀ: the columns of a product that belong to a block of rows. x [k, n], v [rows, n], product [k, rows]. */
export function alongRowsGraph(): Uint8Array {
  return productGraph(['x', 'v'], 1);
}

/** `x`·`x`ᵀ in double, [k, k], of x [k, n]. */
export function gramGraph(type: 'float' | 'double'): Uint8Array {
  const cast: Node = { op: 'Cast', inputs: ['x'], outputs: ['x_double'], attributes: { to: onnxType.double } };
  return encodeModel({
    opset: CPU_OPSET,
    nodes: [cast, { op: 'Gemm', inputs: ['x_double', 'x_double'], outputs: ['product'], attributes: { transB: 1 } }],
    inputs: [{ name: 'x', type, rank: 2 }],
    outputs: [{ name: 'product', type: 'double', rank: 2 }],
    constants: {},
  });
}

function productGraph(inputs: string[], transB: 0 | 1): Uint8Array {
  return encodeModel({
    opset: CPU_OPSET,
    nodes: [{ op: 'Gemm', inputs, outputs: ['product'], attributes: { transB } }],
    inputs: inputs.map(matrix),
    outputs: [matrix('product')],
    constants: {},
  });
}

function matrix(name: string): GraphValue {
  return { name, type: 'float', rank: 2 };
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
