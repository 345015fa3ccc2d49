// A decoder-only model as an ONNX graph, with an adapter beside it as a gated branch: y = W·x + [B | B'] · (g ⊗ A·x). A row's gates g say for
// each module whether it is off, as it was trained, or projected, so that the aligned model, the adapter and every selection are rows of
// one batch. Hidden states are flat, [tokens, hidden]; only attention sees [rows, positions, …].
import { CONTRIB, encodeModel, type External, type GraphValue, type Node, onnxType, type Table } from '../engine/onnx';
import { type Provider } from '../engine/providers';
import { type Activation, type Architecture } from './architecture';
import { EMBEDDING, hasBias, HEAD, layerPrefix, linears, PREFIX } from './parameters';
import { type Bits, BLOCK, quantise } from './quantise';
import {
  ADAPTED,
  gateName,
  inputs,
  keyValueNames,
  outputs,
  OWN_TOKENS,
  OWNERS,
  pastName,
  type ShapedBy,
  shapeName,
} from './names';
import { type Rope } from './rope';

/** How a model's matrices are held: in single precision, or rounded. */
export const precisions = ['float32', 'int8', 'int4'] as const;
export type Precision = (typeof precisions)[number];

/** A LoRA update on a matrix, in single precision. */
export interface Branch {
  rank: number;
  /** [rank, in] */
  a: Float32Array;
  /** [out, 2·rank]: B as it was trained and B projected, both times the update's scale */
  b: Float32Array;
}

/** Where the parameters come from. */
export interface Parameters {
  /** Matrices can be used from where they lie, in single precision. */
  readonly areInFiles: boolean;
  /** A matrix as it lies in its file, where it can be used from there. */
  stored(name: string): External;
  /** In single precision, row-major. */
  values(name: string): Float32Array;
}

export interface ModelGraph {
  architecture: Architecture;
  precision: Precision;
  parameters: Parameters;
  /** Names of the modules that the adapter changes, such as `model.layers.0.self_attn.q_proj`, in the order of the gates. */
  branches: ReadonlyMap<string, Branch>;
  /** What `modules_to_save` kept in place of the model's own, by the parameter's name: row-major, [rows, hidden]. */
  saved: ReadonlyMap<string, Float32Array>;
  /** Longest sequence. */
  positions: number;
}

export interface BuiltGraph {
  model: Uint8Array;
  /** Constants that the session is given beside the model, by the location that it names; none where others lie in files. */
  memory: Map<string, Uint8Array>;
}

const OPSET = 21;

/** Smaller constants are part of the model itself. */
const MOST_INLINE = 4096;

/** Logits of tokens that only one of two heads has. */
const NEVER = -1e30;

export function buildGraph(graph: ModelGraph, provider: Provider): BuiltGraph {
  return new Builder(graph, provider).build();
}

class Builder {
  private readonly nodes: Node[] = [];
  private readonly constants: Record<string, number[] | Table | External> = {};
  private readonly memory = new Map<string, Uint8Array>();
  private readonly declared: GraphValue[] = [];
  private readonly given: GraphValue[] = [];
  private readonly made = new Map<string, string>();
  private readonly a: Architecture;
  private count = 0;
  /** Names of the gates, [rows, 1, 2, 1], by module. */
  private readonly gates = new Map<string, string>();

  constructor(
    private readonly graph: ModelGraph,
    private readonly provider: Provider,
  ) {
    this.a = graph.architecture;
  }

  private get usesFiles(): boolean {
    return this.graph.precision === 'float32' && this.graph.parameters.areInFiles;
  }

  build(): BuiltGraph {
    const { a } = this;
    this.declareInputs();
    let sum = this.embed();
    let added: string | undefined;
    a.layers.forEach((_, layer) => {
      [sum, added] = this.layer(layer, sum, added);
    });
    const [normed] = this.addNorm(sum, added!, `${PREFIX}norm`);
    this.answer(this.add('Gather', [normed, inputs.asked]));
    const { nodes, declared, given, constants, memory } = this;
    return { model: encodeModel({ opset: OPSET, nodes, inputs: declared, outputs: given, constants }), memory };
  }

  private declareInputs(): void {
    this.input(inputs.tokens, 'int64', [null]);
    this.input(inputs.positions, 'int64', [null, null]);
    this.input(inputs.last, 'int32', [null]);
    this.input(inputs.total, 'int32', []);
    this.input(inputs.asked, 'int64', [null]);
    this.input(inputs.picks, 'int64', [null, null]);
    [...this.graph.branches.keys()].forEach((module, i) => {
      this.input(gateName(i), 'float', [null, 1, 2, 1]);
      this.gates.set(module, gateName(i));
    });
    if (this.graph.saved.size > 0) this.input(ADAPTED, 'float', [null]);
  }

  /** [tokens, hidden] */
  private embed(): string {
    const { embeddingScale } = this.a;
    const saved = this.graph.saved.get(EMBEDDING);
    if (saved) this.input(OWN_TOKENS, 'int64', [null]);
    const own = this.gathered(saved ? OWN_TOKENS : inputs.tokens);
    const embedded = saved
      ? this.either(this.ofTokens(), this.add('Gather', [this.savedMatrix(EMBEDDING, saved), inputs.tokens]), own)
      : own;
    return embeddingScale === 1 ? embedded : this.add('Mul', [embedded, this.real(embeddingScale)]);
  }

  private gathered(tokens: string): string {
    const { vocabulary, hidden } = this.a;
    if (this.graph.precision === 'float32') {
      // A device gathers from what is in single precision anyway; not all of them know bf16.
      if (this.provider !== 'cpu') return this.add('Gather', [this.matrix(EMBEDDING), tokens]);
      const { name, isSingle } = this.stored(EMBEDDING);
      const rows = this.add('Gather', [name, tokens]);
      return isSingle ? rows : this.toSingle(rows);
    }
    const { values, scales } = quantise(this.graph.parameters.values(EMBEDDING), vocabulary, hidden, 8);
    const blocks = Math.ceil(hidden / BLOCK);
    return this.add(
      'GatherBlockQuantized',
      [
        this.bytes('embedding:values', 'uint8', [vocabulary, blocks * BLOCK], values),
        tokens,
        this.bytes('embedding:scales', 'float', [vocabulary, blocks], scales),
      ],
      { bits: 8, block_size: BLOCK, quantize_axis: 1, gather_axis: 0 },
      CONTRIB,
    );
  }

  /** @returns what the next layer begins with: the residual stream, and what is still to be added to it */
  private layer(index: number, before: string, added: string | undefined): [sum: string, added: string] {
    const { a } = this;
    const prefix = layerPrefix(index);
    let [normed, sum] =
      added === undefined
        ? [this.norm(before, `${prefix}input_layernorm`), before]
        : this.addNorm(before, added, `${prefix}input_layernorm`);
    let attended = this.attention(index, normed);
    if (a.hasSandwichNorm) attended = this.norm(attended, `${prefix}post_attention_layernorm`);
    const second = a.hasSandwichNorm ? 'pre_feedforward_layernorm' : 'post_attention_layernorm';
    [normed, sum] = this.addNorm(sum, attended, `${prefix}${second}`);
    const result = this.mlp(prefix, normed);
    return [sum, a.hasSandwichNorm ? this.norm(result, `${prefix}post_feedforward_layernorm`) : result];
  }

  private attention(index: number, x: string): string {
    const { a } = this;
    const prefix = `${layerPrefix(index)}self_attn.`;
    const [query, keyValue] = [a.heads * a.headSize, a.keyValueHeads * a.headSize];
    const projected = a.isFused
      ? this.split(this.linear(x, `${prefix}qkv_proj`), query, keyValue, keyValue)
      : ['q', 'k', 'v'].map((part) => this.linear(x, `${prefix}${part}_proj`));
    if (a.hasQueryKeyNorm) {
      projected[0] = this.headNorm(projected[0]!, `${prefix}q_norm`, a.heads);
      projected[1] = this.headNorm(projected[1]!, `${prefix}k_norm`, a.keyValueHeads);
    }
    const { window, rope } = a.layers[index]!;
    const [key, value] = keyValueNames(index);
    const rotatedQuery = this.value('query');
    const tables = this.rotation(rope);
    const rotate = (value: string, width: number, output: string): void => {
      const rotated = [this.byRows(value, width), inputs.positions, ...tables];
      this.nodes.push({ op: 'RotaryEmbedding', domain: CONTRIB, inputs: rotated, outputs: [output] });
    };
    rotate(projected[0]!, query, rotatedQuery);
    rotate(projected[1]!, keyValue, key);
    this.nodes.push({ op: 'Reshape', inputs: [projected[2]!, this.shape('tokens', keyValue)], outputs: [value] });
    const pasts = [key, value].map(pastName);
    for (const past of pasts) this.input(past, 'float', [null, a.keyValueHeads, null, a.headSize]);
    for (const name of [key, value]) this.given.push({ name, type: 'float', shape: [null, null, keyValue] });
    const result = this.value('attention');
    this.nodes.push({
      op: 'GroupQueryAttention',
      domain: CONTRIB,
      inputs: [rotatedQuery, key, value, ...pasts, inputs.last, inputs.total],
      // The joined keys and values are no outputs of the graph: onnxruntime-node copies each output, also into a tensor that it is given.
      outputs: [result, this.value('present'), this.value('present')],
      attributes: {
        num_heads: a.heads,
        kv_num_heads: a.keyValueHeads,
        scale: { real: a.attentionScale },
        ...(window === null ? {} : { local_window_size: window }),
        ...(a.attentionSoftcap === 0 ? {} : { softcap: { real: a.attentionSoftcap } }),
      },
    });
    return this.linear(this.add('Reshape', [result, this.integers(-1, query)]), `${prefix}o_proj`);
  }

  private mlp(prefix: string, x: string): string {
    const { a } = this;
    const [gate, up] = a.isFused
      ? this.split(this.linear(x, `${prefix}mlp.gate_up_proj`), a.intermediate, a.intermediate)
      : ['gate', 'up'].map((part) => this.linear(x, `${prefix}mlp.${part}_proj`));
    const activated = this.activate(gate!, a.activation);
    return this.linear(this.add('Mul', [activated, up!]), `${prefix}mlp.down_proj`);
  }

  private activate(x: string, activation: Activation): string {
    // x·σ(αx), which is SiLU where α is 1.
    if (activation === 'silu') return this.add('QuickGelu', [x], { alpha: { real: 1 } }, CONTRIB);
    return this.add('Gelu', [x], { approximate: activation === 'gelu' ? 'none' : 'tanh' });
  }

  /** `next` is the likeliest token, `picked` the log-probabilities of the tokens that were asked for. */
  private answer(hidden: string): void {
    const logits = this.logits(hidden);
    this.output(outputs.next, 'int64', [null], 'ArgMax', [logits], { axis: -1, keepdims: 0 });
    // LogSoftmax is the faster, and not every device has it.
    const logProbabilities =
      this.provider === 'cpu'
        ? this.add('LogSoftmax', [logits], { axis: -1 })
        : this.add('Sub', [logits, this.add('ReduceLogSumExp', [logits, this.integers(-1)])]);
    this.output(outputs.picked, 'float', [null, null], 'GatherElements', [logProbabilities, inputs.picks], { axis: 1 });
  }

  private logits(hidden: string): string {
    const { a, graph } = this;
    const { logitSoftcap: cap, vocabulary } = a;
    const saved = graph.saved.get(HEAD);
    let logits = this.product(hidden, a.isTied ? EMBEDDING : HEAD, [vocabulary, a.hidden]);
    if (saved) {
      const rows = saved.length / a.hidden;
      const most = Math.max(rows, vocabulary);
      const own = this.padded(logits, most - vocabulary);
      const other = this.add('Gemm', [hidden, this.savedMatrix(HEAD, saved)], { transB: 1 });
      logits = this.either(this.ofAnswers(), this.padded(other, most - rows), own);
    }
    logits = this.branch(hidden, logits, 'lm_head');
    if (cap === 0) return logits;
    return this.add('Mul', [this.add('Tanh', [this.add('Div', [logits, this.real(cap)])]), this.real(cap)]);
  }

  private padded(logits: string, columns: number): string {
    if (columns === 0) return logits;
    return this.add('Pad', [logits, this.integers(0, 0, 0, columns), this.real(NEVER)]);
  }

  private either(condition: string, yes: string, no: string): string {
    return this.add('Where', [condition, yes, no]);
  }

  /** Whether each token belongs to a row with the adapter, [tokens, 1]. */
  private ofTokens(): string {
    return this.once('of_tokens', () => {
      const column = this.add('Unsqueeze', [ADAPTED, this.integers(1)]);
      const spread = this.add('Expand', [column, this.shape('tokens')]);
      return this.toBoolean(this.add('Reshape', [spread, this.integers(-1, 1)]));
    });
  }

  /** The same of each answer, [answers, 1]. */
  private ofAnswers(): string {
    const flags = this.add('Gather', [ADAPTED, this.owners()]);
    return this.toBoolean(this.add('Unsqueeze', [flags, this.integers(1)]));
  }

  /** The row of each answer, [answers], an input. */
  private owners(): string {
    return this.once('owners', () => {
      this.input(OWNERS, 'int64', [null]);
      return OWNERS;
    });
  }

  private toBoolean(value: string): string {
    return this.add('Greater', [value, this.real(0.5)]);
  }

  /** x·Wᵀ with the bias and the adapter's branch, [tokens, in] → [tokens, out]. */
  private linear(x: string, module: string): string {
    const [kind, shape] = this.kindOf(module);
    const bias = hasBias(this.a, kind) ? this.vector(`${module}.bias`) : undefined;
    return this.branch(x, this.product(x, `${module}.weight`, shape, bias), module);
  }

  private product(x: string, weight: string, [out, width]: readonly [number, number], bias?: string): string {
    const { precision } = this.graph;
    if (precision === 'float32')
      return this.add('Gemm', [x, this.matrix(weight), ...(bias === undefined ? [] : [bias])], { transB: 1 });
    const y = this.rounded(x, weight, out, width);
    return bias === undefined ? y : this.add('Add', [y, bias]);
  }

  /** A matrix of a layer by its name within that, and its shape. */
  private kindOf(module: string): [kind: string, shape: readonly [number, number]] {
    const entry = Object.entries(linears(this.a)).find(([name]) => module.endsWith(`.${name}`));
    if (!entry) throw new Error(`${module} is no matrix of a layer`);
    return entry;
  }

  private rounded(x: string, weight: string, out: number, width: number): string {
    // Of the head more than of the layers is lost in 4 bits.
    const bits: Bits = weight === HEAD || weight === EMBEDDING || this.graph.precision === 'int8' ? 8 : 4;
    const { values, scales } = quantise(this.graph.parameters.values(weight), out, width, bits);
    const blocks = Math.ceil(width / BLOCK);
    return this.add(
      'MatMulNBits',
      [
        x,
        this.bytes(`${weight}:values`, 'uint8', [out, blocks, (BLOCK * bits) / 8], values),
        this.bytes(`${weight}:scales`, 'float', [out * blocks], scales),
      ],
      { K: width, N: out, bits, block_size: BLOCK, accuracy_level: 4 },
      CONTRIB,
    );
  }

  /** y + [B | B'] · (g ⊗ A·x) */
  private branch(x: string, y: string, module: string): string {
    const branch = this.graph.branches.get(module);
    if (!branch) return y;
    const { rank, a, b } = branch;
    const [width, out] = [a.length / rank, b.length / (2 * rank)];
    const inner = this.add('Gemm', [x, this.bytes(`${module}:a`, 'float', [rank, width], a)], { transB: 1 });
    const isHead = module === 'lm_head';
    const gate = this.gates.get(module)!;
    const shape = isHead ? this.shape('answers', 1, 1, rank) : this.shape('tokens', 1, rank);
    const gated = this.add('Mul', [
      this.add('Reshape', [inner, shape]),
      isHead ? this.add('Gather', [gate, this.owners()], { axis: 0 }) : gate,
    ]);
    const both = this.add('Reshape', [gated, this.integers(-1, 2 * rank)]);
    return this.add('Gemm', [both, this.bytes(`${module}:b`, 'float', [out, 2 * rank], b), y], { transB: 1 });
  }

  private split(x: string, ...sizes: number[]): string[] {
    const outputs = sizes.map(() => this.value('part'));
    this.nodes.push({ op: 'Split', inputs: [x, this.integers(...sizes)], outputs, attributes: { axis: 1 } });
    return outputs;
  }

  /** [tokens, width] → [rows, positions, width] */
  private byRows(x: string, width: number): string {
    return this.add('Reshape', [x, this.shape('tokens', width)]);
  }

  /** A shape as a tensor. It is an input: what computes with shapes runs on the CPU, which a device's session must not need. */
  private shape(of: ShapedBy, ...more: number[]): string {
    const name = shapeName(of, more);
    return this.once(name, () => {
      this.input(name, 'int64', [(of === 'tokens' ? 2 : 1) + more.length]);
      return name;
    });
  }

  private norm(x: string, module: string): string {
    const weight = this.vector(`${module}.weight`, this.a.normOffset);
    const attributes = { axis: -1, epsilon: { real: this.a.epsilon }, stash_type: 1 };
    return this.add('SimplifiedLayerNormalization', [x, weight], attributes);
  }

  private headNorm(x: string, module: string, heads: number): string {
    const { headSize } = this.a;
    const byHeads = this.add('Reshape', [x, this.integers(-1, heads, headSize)]);
    return this.add('Reshape', [this.norm(byHeads, module), this.integers(-1, heads * headSize)]);
  }

  /** @returns the norm of x + y, and x + y */
  private addNorm(x: string, y: string, module: string): [normed: string, sum: string] {
    const [normed, sum] = [this.value('normed'), this.value('sum')];
    this.nodes.push({
      op: 'SkipSimplifiedLayerNormalization',
      domain: CONTRIB,
      inputs: [x, y, this.vector(`${module}.weight`, this.a.normOffset)],
      outputs: [normed, '', '', sum],
      attributes: { epsilon: { real: this.a.epsilon } },
    });
    return [normed, sum];
  }

  /** Cosines and sines, [positions, pairs]. Angles are rounded to single precision as Transformers' are. */
  private rotation({ frequencies }: Rope): [cosines: string, sines: string] {
    const key = `rotation:${frequencies.join(',')}`;
    const cosines = this.once(key, () => {
      const name = this.value('rotation');
      const pairs = frequencies.length;
      const [cos, sin] = [0, 1].map(() => new Float32Array(this.graph.positions * pairs)) as [
        Float32Array,
        Float32Array,
      ];
      for (let position = 0; position < this.graph.positions; position++) {
        for (let pair = 0; pair < pairs; pair++) {
          const angle = Math.fround(position * Math.fround(frequencies[pair]!));
          cos[position * pairs + pair] = Math.cos(angle);
          sin[position * pairs + pair] = Math.sin(angle);
        }
      }
      this.bytes(`${name}:cos`, 'float', [this.graph.positions, pairs], cos);
      this.bytes(`${name}:sin`, 'float', [this.graph.positions, pairs], sin);
      return name;
    });
    return [`${cosines}:cos`, `${cosines}:sin`];
  }

  /** A matrix in single precision. */
  private matrix(name: string): string {
    return this.once(`matrix:${name}`, () => {
      const { name: stored, isSingle } = this.stored(name);
      return isSingle ? stored : this.toSingle(stored);
    });
  }

  /** A matrix as it lies in its file where that can be used, else in single precision. */
  private stored(name: string): { name: string; isSingle: boolean } {
    const { parameters } = this.graph;
    if (parameters.areInFiles) {
      const external = parameters.stored(name);
      this.constants[name] = external;
      return { name, isSingle: external.type === 'float' };
    }
    const shape = name === EMBEDDING || name === HEAD ? [this.a.vocabulary, this.a.hidden] : null;
    this.once(`values:${name}`, () =>
      this.bytes(name, 'float', shape ?? this.kindOf(name.replace(/\.weight$/, ''))[1], parameters.values(name)),
    );
    return { name, isSingle: true };
  }

  private toSingle(value: string): string {
    return this.add('Cast', [value], { to: onnxType.float });
  }

  private savedMatrix(name: string, values: Float32Array): string {
    return this.bytes(`${name}:saved`, 'float', [values.length / this.a.hidden, this.a.hidden], values);
  }

  private vector(name: string, offset = 0): string {
    return this.once(`vector:${name}`, () => {
      const values = this.graph.parameters.values(name).map((value) => value + offset);
      return this.bytes(name, 'float', [values.length], values);
    });
  }

  /** A constant; a large one goes to the session beside the model, unless that is given files: onnxruntime takes one or the other. */
  private bytes(
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

  private integers(...values: number[]): string {
    const name = `integers:${values.join(',')}`;
    this.constants[name] = values;
    return name;
  }

  private real(value: number): string {
    const name = `real:${value}`;
    this.constants[name] = { shape: [], values: Float32Array.of(value) };
    return name;
  }

  private once(key: string, make: () => string): string {
    let name = this.made.get(key);
    if (name === undefined) {
      name = make();
      this.made.set(key, name);
    }
    return name;
  }

  private add(op: string, inputs: string[], attributes?: Node['attributes'], domain?: Node['domain']): string {
    const output = this.value(op);
    this.nodes.push({ op, inputs, outputs: [output], ...(attributes && { attributes }), ...(domain && { domain }) });
    return output;
  }

  private value(what: string): string {
    return `${what}_${this.count++}`;
  }

  private input(name: string, type: GraphValue['type'], shape: GraphValue['shape']): void {
    this.declared.push({ name, type, shape });
  }

  private output(
    name: string,
    type: GraphValue['type'],
    shape: GraphValue['shape'],
    op: string,
    inputs: string[],
    attributes: Node['attributes'],
  ): void {
    this.nodes.push({ op, inputs, outputs: [name], ...(attributes && { attributes }) });
    this.given.push({ name, type, shape });
  }
}
