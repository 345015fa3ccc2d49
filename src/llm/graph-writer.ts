// Builds an ONNX graph, operator by operator. Values are identified by name.
import { encodeModel, type External, type GraphValue, type Node, onnxType, type Table } from '../engine/onnx';

export interface EncodedGraph {
  model: Uint8Array;
  /** Constants passed to the session beside the model, by location; none if others are in files. */
  memory: Map<string, Uint8Array>;
}

type Attributes = NonNullable<Node['attributes']>;

const OPSET = 21;

/** Smaller constants are stored in the model itself. */
const MOST_INLINE = 4096;

export class GraphWriter {
  private readonly nodes: Node[] = [];
  private readonly constants: Record<string, number[] | Table | External> = {};
  private readonly memory = new Map<string, Uint8Array>();
  private readonly declared: GraphValue[] = [];
  private readonly given: GraphValue[] = [];
  private readonly made = new Map<string, string>();
  private count = 0;

  /** @param usesFiles constants are in files: onnxruntime then takes none from memory, and all others are stored in the model itself */
  constructor(private readonly usesFiles: boolean) {}

  protected encode(): EncodedGraph {
    const { nodes, declared, given, constants, memory } = this;
    return { model: encodeModel({ opset: OPSET, nodes, inputs: declared, outputs: given, constants }), memory };
  }

  protected input(name: string, type: GraphValue['type'], shape: GraphValue['shape']): void {
    this.declared.push({ name, type, shape });
  }

  /** Makes the operator's result an output of the graph. */
  protected output({ name, type, shape }: GraphValue, op: string, inputs: string[], attributes?: Attributes): void {
    this.node(op, inputs, [name], attributes);
    this.given.push({ name, type, shape });
  }

  protected add(op: string, inputs: string[], attributes?: Attributes, domain?: Node['domain']): string {
    const output = this.value(op);
    this.node(op, inputs, [output], attributes, domain);
    return output;
  }

  protected node(
    op: string,
    inputs: string[],
    outputs: string[],
    attributes?: Attributes,
    domain?: Node['domain'],
  ): void {
    this.nodes.push({ op, inputs, outputs, ...(attributes && { attributes }), ...(domain && { domain }) });
  }

  /** A unique name. */
  protected value(what: string): string {
    return `${what}_${this.count++}`;
  }

  /** The value for a key, created on first use. */
  protected once(key: string, make: () => string): string {
    let name = this.made.get(key);
    if (name === undefined) {
      name = make();
      this.made.set(key, name);
    }
    return name;
  }

  protected split(x: string, axis: number, sizes: string, count: number): string[] {
    const outputs = Array.from({ length: count }, () => this.value('part'));
    this.node('Split', [x, sizes], outputs, { axis });
    return outputs;
  }

  protected transposed(x: string, ...perm: number[]): string {
    return this.add('Transpose', [x], { perm });
  }

  protected toSingle(x: string): string {
    return this.add('Cast', [x], { to: onnxType.float });
  }

  protected integers(...values: number[]): string {
    const name = `integers:${values.join(',')}`;
    this.constants[name] = values;
    return name;
  }

  protected real(value: number): string {
    const name = `real:${value}`;
    this.constants[name] = { shape: [], values: Float32Array.of(value) };
    return name;
  }

  /** A constant stored in a file. */
  protected external(name: string, external: External): string {
    this.constants[name] = external;
    return name;
  }

  /** A constant, row-major; large ones are passed to the session beside the model, unless that uses files. */
  protected bytes(
    name: string,
    type: 'float' | 'uint8',
    shape: readonly number[],
    values: Float32Array | Uint8Array,
  ): string {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    if (values instanceof Float32Array && (bytes.length <= MOST_INLINE || this.usesFiles)) {
      this.constants[name] = { shape, values };
      return name;
    }
    this.constants[name] = { type, shape, location: name, offset: 0, length: bytes.length };
    this.memory.set(name, bytes);
    return name;
  }
}
