// Writes ONNX models as bytes: just the part of the format that small arithmetic graphs need.
// Field numbers from onnx/onnx.proto (ONNX IR version 13).
import { PbfWriter } from 'pbf';

export const onnxType = { float: 1, uint16: 4, int64: 7, float16: 10, double: 11, bfloat16: 16 } as const;
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
  /** Dimensions are dynamic; only their number is fixed. */
  rank: number;
}

export interface Graph {
  opset: number;
  nodes: Node[];
  inputs: GraphValue[];
  outputs: GraphValue[];
  /** One-dimensional int64 constants, such as the axes of a reduction. */
  constants: Record<string, number[]>;
}

const ATTRIBUTE_INT = 2;

/** Serialises a graph as an ONNX ModelProto. */
export function encodeModel(graph: Graph): Uint8Array {
  const model = new PbfWriter();
  model.writeVarintField(1, 10); // ir_version: 10 is the oldest that every opset used here accepts
  model.writeMessage(7, writeGraph, graph);
  model.writeMessage(8, (opset, writer) => { writer.writeVarintField(2, opset); }, graph.opset); // prettier-ignore
  return model.finish();
}

function writeGraph(graph: Graph, writer: PbfWriter): void {
  for (const node of graph.nodes) writer.writeMessage(1, writeNode, node);
  writer.writeStringField(2, 'safe-lora');
  for (const [name, values] of Object.entries(graph.constants)) writer.writeMessage(5, writeConstant, { name, values });
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

function writeConstant({ name, values }: { name: string; values: number[] }, writer: PbfWriter): void {
  writer.writeVarintField(1, values.length);
  writer.writeVarintField(2, onnxType.int64);
  for (const value of values) writer.writeVarintField(7, value);
  writer.writeStringField(8, name);
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
  for (let axis = 0; axis < value.rank; axis++) {
    writer.writeMessage(1, (dimension, inner) => { inner.writeStringField(2, dimension); }, `${value.name}_${axis}`); // prettier-ignore
  }
}
