// Writes ONNX models as bytes: only the part of the format that small arithmetic graphs need.
// Field numbers from onnx/onnx.proto (ONNX IR version 13).
import { PbfWriter } from 'pbf';

export const onnxType = {
  float: 1,
  uint8: 2,
  uint16: 4,
  int32: 6,
  int64: 7,
  float16: 10,
  double: 11,
  bfloat16: 16,
} as const;
export type OnnxType = keyof typeof onnxType;

/** A floating-point attribute, even if its value is an integer. */
export interface Real {
  real: number;
}

/** Numbers are integers. */
type Attribute = number | readonly number[] | Real | string;

/** onnxruntime's own operators, in addition to ONNX's. */
export const CONTRIB = 'com.microsoft';

export interface Node {
  op: string;
  /** ONNX's own if omitted. */
  domain?: typeof CONTRIB;
  /** An empty name means an omitted optional input, or an unused output. */
  inputs: string[];
  outputs: string[];
  attributes?: Record<string, Attribute>;
}

export interface GraphValue {
  name: string;
  type: OnnxType;
  /** Null for a dynamic dimension. */
  shape: readonly (number | null)[];
}

/** A constant in single precision, row-major. */
export interface Table {
  shape: readonly number[];
  values: Float32Array;
}

/** A constant whose bytes are in a file, or in memory passed to the session under the file's name. */
export interface External {
  type: OnnxType;
  shape: readonly number[];
  location: string;
  offset: number;
  length: number;
}

export interface Graph {
  opset: number;
  nodes: Node[];
  inputs: GraphValue[];
  outputs: GraphValue[];
  /** Lists are one-dimensional int64 constants, such as the axes of a reduction. */
  constants: Record<string, number[] | Table | External>;
}

/** In onnx.proto's AttributeProto. */
const attributeTypes = { float: 1, int: 2, string: 3, integers: 7 } as const;
const EXTERNAL = 1;

/** Serialises a graph as an ONNX ModelProto. */
export function encodeModel(graph: Graph): Uint8Array {
  const model = new PbfWriter();
  model.writeVarintField(1, 10); // ir_version: 10 is the oldest that every opset used here accepts
  model.writeMessage(7, writeGraph, graph);
  model.writeMessage(8, (opset, writer) => writer.writeVarintField(2, opset), graph.opset);
  if (graph.nodes.some(({ domain }) => domain === CONTRIB)) model.writeMessage(8, writeContrib, 1);
  return model.finish();
}

function writeContrib(version: number, writer: PbfWriter): void {
  writer.writeStringField(1, CONTRIB);
  writer.writeVarintField(2, version);
}

function writeGraph(graph: Graph, writer: PbfWriter): void {
  for (const node of graph.nodes) writer.writeMessage(1, writeNode, node);
  writer.writeStringField(2, 'safe-lora');
  for (const [name, value] of Object.entries(graph.constants)) writer.writeMessage(5, writeConstant, { name, value });
  for (const value of graph.inputs) writer.writeMessage(11, writeValue, value);
  for (const value of graph.outputs) writer.writeMessage(12, writeValue, value);
}

function writeNode(node: Node, writer: PbfWriter): void {
  for (const input of node.inputs) writer.writeStringField(1, input);
  for (const output of node.outputs) writer.writeStringField(2, output);
  writer.writeStringField(4, node.op);
  for (const [name, value] of Object.entries(node.attributes ?? {})) {
    writer.writeMessage(5, writeAttribute, { name, value });
  }
  if (node.domain) writer.writeStringField(7, node.domain);
}

function writeAttribute({ name, value }: { name: string; value: Attribute }, writer: PbfWriter): void {
  writer.writeStringField(1, name);
  if (typeof value === 'string') {
    writer.writeBytesField(4, new TextEncoder().encode(value));
    writer.writeVarintField(20, attributeTypes.string);
  } else if (typeof value === 'number') {
    writer.writeVarintField(3, value);
    writer.writeVarintField(20, attributeTypes.int);
  } else if ('real' in value) {
    writer.writeFloatField(2, value.real);
    writer.writeVarintField(20, attributeTypes.float);
  } else {
    for (const element of value) writer.writeVarintField(8, element);
    writer.writeVarintField(20, attributeTypes.integers);
  }
}

function writeConstant({ name, value }: { name: string; value: number[] | Table | External }, writer: PbfWriter): void {
  if (Array.isArray(value)) {
    writer.writeVarintField(1, value.length);
    writer.writeVarintField(2, onnxType.int64);
    for (const element of value) writer.writeVarintField(7, element);
    writer.writeStringField(8, name);
    return;
  }
  for (const dimension of value.shape) writer.writeVarintField(1, dimension);
  writer.writeVarintField(2, 'values' in value ? onnxType.float : onnxType[value.type]);
  writer.writeStringField(8, name);
  if (!('values' in value)) {
    const { location, offset, length } = value;
    for (const entry of Object.entries({ location, offset, length })) writer.writeMessage(13, writeEntry, entry);
    writer.writeVarintField(14, EXTERNAL);
    return;
  }
  const { values } = value;
  writer.writeBytesField(9, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
}

function writeEntry([key, value]: [string, string | number], writer: PbfWriter): void {
  writer.writeStringField(1, key);
  writer.writeStringField(2, String(value));
}

function writeValue(value: GraphValue, writer: PbfWriter): void {
  writer.writeStringField(1, value.name);
  writer.writeMessage(2, writeType, value);
}

function writeType(value: GraphValue, writer: PbfWriter): void {
  writer.writeMessage(1, writeTensorType, value);
}

function writeTensorType(value: GraphValue, writer: PbfWriter): void {
  writer.writeVarintField(1, onnxType[value.type]);
  writer.writeMessage(2, writeShape, value);
}

function writeShape(value: GraphValue, writer: PbfWriter): void {
  for (const [axis, size] of value.shape.entries()) {
    writer.writeMessage(
      1,
      (_, inner) => {
        if (size === null) inner.writeStringField(2, `${value.name}_${axis}`);
        else inner.writeVarintField(1, size);
      },
      size,
    );
  }
}
