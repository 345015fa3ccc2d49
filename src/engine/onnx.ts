// Writes ONNX models as bytes: just the part of the format that small arithmetic graphs need.
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

export interface Node {
  op: string;
  inputs: string[];
  outputs: string[];
  /** Integer attributes; all that these graphs use. */
  attributes?: Record<string, number>;
}

export interface GraphValue {
  name: string;
  type: OnnxType;
  /** Null where a dimension is dynamic. */
  shape: readonly (number | null)[];
}

/** A constant in single precision, row-major. */
export interface Table {
  shape: readonly number[];
  values: Float32Array;
}

export interface Graph {
  opset: number;
  nodes: Node[];
  inputs: GraphValue[];
  outputs: GraphValue[];
  /** Lists are one-dimensional int64 constants, such as the axes of a reduction. */
  constants: Record<string, number[] | Table>;
}

const ATTRIBUTE_INT = 2;

/** Serialises a graph as an ONNX ModelProto. */
export function encodeModel(graph: Graph): Uint8Array {
  const model = new PbfWriter();
  model.writeVarintField(1, 10); // ir_version: 10 is the oldest that every opset used here accepts
  model.writeMessage(7, writeGraph, graph);
  model.writeMessage(8, (opset, writer) => writer.writeVarintField(2, opset), graph.opset);
  return model.finish();
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
}

function writeAttribute({ name, value }: { name: string; value: number }, writer: PbfWriter): void {
  writer.writeStringField(1, name);
  writer.writeVarintField(3, value);
  writer.writeVarintField(20, ATTRIBUTE_INT);
}

function writeConstant({ name, value }: { name: string; value: number[] | Table }, writer: PbfWriter): void {
  if (Array.isArray(value)) {
    writer.writeVarintField(1, value.length);
    writer.writeVarintField(2, onnxType.int64);
    for (const element of value) writer.writeVarintField(7, element);
    writer.writeStringField(8, name);
    return;
  }
  const { shape, values } = value;
  for (const dimension of shape) writer.writeVarintField(1, dimension);
  writer.writeVarintField(2, onnxType.float);
  writer.writeStringField(8, name);
  writer.writeBytesField(9, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
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
