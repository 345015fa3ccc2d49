// The arithmetic as ONNX graphs: a decoding step per provider and dtype, and two products shared by all.
import { decode, type FloatDtype } from '../core/dtype';
import { encodeModel, type GraphValue, type Node, onnxType, type OnnxType, type Table } from './onnx';
import { type Decoder, type Provider, traits } from './providers';

/** The source of V in a graph: rows of both stored weights, or V itself if the process has subtracted them. */
export type Source = { base: FloatDtype; aligned: FloatDtype } | 'v';

/** What a graph computes from a block of V's stored rows, [rows, n]. Names are those of its inputs and outputs. */
export type Step =
  /** Only `v` and `squares`. */
  | 'difference'
  /** `t` = `x`·V, `u` = `t`·Vᵀ and `squares`, if the block is the whole of V. x [k, rows], t [k, n], u [k, rows] */
  | 'whole'
  /** `t` = `sum` + `x`·V, the block's part of a product over all rows, and `squares`. */
  | 'over'
  /** `u` = `t`·Vᵀ, the block's columns of a product. */
  | 'along'
  /** `t` = `x`·Vᵀ, `u` = `sum` + `t`·V and `squares`, if V is stored transposed. x [k, n], t [k, rows], u [k, n] */
  | 'turned';

const steps: Readonly<Record<Step, { inputs: string[]; products: Node[]; outputs: string[] }>> = {
  difference: { inputs: [], products: [], outputs: ['v', 'squares'] },
  whole: { inputs: ['x'], products: [over('t', 'x'), along('u', 't')], outputs: ['t', 'u', 'squares'] },
  over: { inputs: ['x', 'sum'], products: [over('t', 'x', 'sum')], outputs: ['t', 'squares'] },
  along: { inputs: ['t'], products: [along('u', 't')], outputs: ['u'] },
  turned: {
    inputs: ['x', 'sum'],
    products: [along('t', 'x'), over('u', 't', 'sum')],
    outputs: ['t', 'u', 'squares'],
  },
};

/**
 * Σv² of each row: a reduction over everything at once loses three digits in single precision. Two nodes, since onnxruntime's
 * ReduceSumSquare takes three times as long on the CPU.
 */
const squares: readonly Node[] = [
  { op: 'Mul', inputs: ['v', 'v'], outputs: ['v_squared'] },
  { op: 'ReduceSum', inputs: ['v_squared', 'columns'], outputs: ['squares'], attributes: { keepdims: 0 } },
];

export function stepGraph(provider: Provider, source: Source, step: Step): Uint8Array {
  const v = source === 'v' ? { nodes: [], inputs: [matrix('v')], tables: {} } : difference(provider, source);
  const { inputs, products, outputs } = steps[step];
  const squared = outputs.includes('squares');
  return encodeModel({
    opset: traits[provider].opset,
    nodes: [...v.nodes, ...products, ...(squared ? squares : [])],
    inputs: [...v.inputs, ...inputs.map(matrix)],
    outputs: outputs.map((name) => (name === 'squares' ? { name, type: 'float', shape: [null] } : matrix(name))),
    constants: { ...v.tables, ...(squared ? { columns: [1] } : {}) },
  });
}

/** `product` from a V in memory: `sum` + `x`·V over a block's rows, or `x`·Vᵀ along them. */
export function productGraph(step: 'over' | 'along'): Uint8Array {
  const product = step === 'over' ? over('product', 'x', 'sum') : along('product', 'x');
  return encodeModel({
    opset: traits.cpu.opset,
    nodes: [product],
    inputs: product.inputs.map(matrix),
    outputs: [matrix('product')],
    constants: {},
  });
}

/** `x`·`x`ᵀ in double, [k, k], of x [k, n]. */
export function gramGraph(type: 'float' | 'double'): Uint8Array {
  const cast: Node = { op: 'Cast', inputs: ['x'], outputs: ['x_double'], attributes: { to: onnxType.double } };
  return encodeModel({
    opset: traits.cpu.opset,
    nodes: [cast, { op: 'Gemm', inputs: ['x_double', 'x_double'], outputs: ['product'], attributes: { transB: 1 } }],
    inputs: [{ name: 'x', type, shape: [null, null] }],
    outputs: [{ name: 'product', type: 'double', shape: [null, null] }],
    constants: {},
  });
}

/** The type in which rows of a weight enter a graph, bytes unchanged: JavaScript's tensors have no bfloat16. */
export function storedInput(
  provider: Provider,
  dtype: FloatDtype,
): { type: OnnxType; elementShape: readonly number[] } {
  if (dtype === 'F64') return { type: 'double', elementShape: [] };
  if (dtype === 'F32') return { type: 'float', elementShape: [] };
  if (traits[provider].decoder === 'gather-bytes') return { type: 'uint8', elementShape: [2] };
  return { type: 'uint16', elementShape: [] };
}

/** The graph source that a provider supports for two dtypes. */
export function sourceFor(provider: Provider, base: FloatDtype, aligned: FloatDtype): Source {
  const double = base === 'F64' || aligned === 'F64';
  const { decoder } = traits[provider];
  return decoder === 'none' || (double && provider !== 'cpu') ? 'v' : { base, aligned };
}

interface Decoded {
  nodes: Node[];
  value: string;
  input: GraphValue;
  tables: Record<string, Table>;
}

/** Nodes that make `v`, single precision, from `base` and `aligned`. */
function difference(provider: Provider, dtypes: { base: FloatDtype; aligned: FloatDtype }) {
  const double = dtypes.base === 'F64' || dtypes.aligned === 'F64';
  const [base, aligned] = (['base', 'aligned'] as const).map((name): Decoded => {
    const { type, elementShape } = storedInput(provider, dtypes[name]);
    const input: GraphValue = { name, type, shape: [null, null, ...elementShape] };
    const single = decodeStored(name, dtypes[name], traits[provider].decoder);
    if (!double || type === 'double') return { ...single, input };
    const cast: Node = {
      op: 'Cast',
      inputs: [single.value],
      outputs: [`${name}_double`],
      attributes: { to: onnxType.double },
    };
    return { nodes: [...single.nodes, cast], value: `${name}_double`, tables: single.tables, input };
  }) as [Decoded, Decoded];
  const subtract: Node = { op: 'Sub', inputs: [aligned.value, base.value], outputs: [double ? 'v_double' : 'v'] };
  const narrow: Node = { op: 'Cast', inputs: ['v_double'], outputs: ['v'], attributes: { to: onnxType.float } };
  return {
    nodes: [...base.nodes, ...aligned.nodes, subtract, ...(double ? [narrow] : [])],
    inputs: [base.input, aligned.input],
    tables: { ...base.tables, ...aligned.tables },
  };
}

/** Converts a 16-bit dtype's bits to `value` in single precision, bit for bit; wider dtypes stay as they are. */
function decodeStored(name: string, dtype: FloatDtype, decoder: Decoder): Omit<Decoded, 'input'> {
  if (dtype !== 'F16' && dtype !== 'BF16') return { nodes: [], value: name, tables: {} };
  const [index, value, table] = [`${name}_index`, `${name}_value`, `values_of_${dtype}`];
  const cast = (to: OnnxType): Node => ({
    op: 'Cast',
    inputs: [name],
    outputs: [index],
    attributes: { to: onnxType[to] },
  });
  switch (decoder) {
    case 'gather':
      return {
        nodes: [cast('int32'), { op: 'Gather', inputs: [table, index], outputs: [value] }],
        value,
        tables: { [table]: { shape: [65536], values: valuesOf(dtype) } },
      };
    case 'gather-bytes':
      return {
        nodes: [cast('int64'), { op: 'GatherND', inputs: [table, index], outputs: [value] }],
        value,
        tables: { [table]: { shape: [256, 256], values: valuesByBytes(dtype) } },
      };
    default: {
      const format = onnxType[dtype === 'F16' ? 'float16' : 'bfloat16'];
      return {
        nodes: [
          { op: 'BitCast', inputs: [name], outputs: [index], attributes: { to: format } },
          { op: 'Cast', inputs: [index], outputs: [value], attributes: { to: onnxType.float } },
        ],
        value,
        tables: {},
      };
    }
  }
}

/** All 65536 values of a 16-bit dtype, indexed by their bits. */
function valuesOf(dtype: FloatDtype): Float32Array {
  const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
  return Float32Array.from(decode(new Uint8Array(bits.buffer), dtype));
}

/** The same, indexed by low and high byte: the order of an element's two bytes in storage. */
function valuesByBytes(dtype: FloatDtype): Float32Array {
  const values = valuesOf(dtype);
  return Float32Array.from({ length: 65536 }, (_, i) => values[((i & 255) << 8) | (i >> 8)]!);
}

function over(product: string, x: string, ...sum: string[]): Node {
  return { op: 'Gemm', inputs: [x, 'v', ...sum], outputs: [product] };
}

function along(product: string, x: string): Node {
  return { op: 'Gemm', inputs: [x, 'v'], outputs: [product], attributes: { transB: 1 } };
}

function matrix(name: string): GraphValue {
  return { name, type: 'float', shape: [null, null] };
}
