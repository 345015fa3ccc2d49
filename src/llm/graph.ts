// A decoder-only model as an ONNX graph, with an adapter as a gated branch: y = W·x + [B | B'] · (g ⊗ A·x). A row's gates g set each module
// off, as trained, or projected, so that the aligned model, the adapter and every selection are rows of one batch. Hidden states are flat,
// [tokens, hidden]; only attention uses [rows, heads, positions, head size].
import { CONTRIB, type External } from '../engine/onnx';
import { type Provider } from '../engine/providers';
import { type Activation, type Architecture } from './architecture';
import { type EncodedGraph, GraphWriter } from './graph-writer';
import { EMBEDDING, hasBias, HEAD, layerPrefix, linears, PREFIX } from './parameters';
import { type Bits, BLOCK, quantise } from './quantise';
import {
  ADAPTED,
  gateName,
  inputs,
  keyValueNames,
  maskName,
  outputs,
  OWN_TOKENS,
  OWNERS,
  pastName,
  type ShapedBy,
  shapeName,
} from './names';
import { type Rope } from './rope';

/** How to store a model's matrices: in single precision, or rounded. */
export const precisions = ['float32', 'int8', 'int4'] as const;
export type Precision = (typeof precisions)[number];

/** A LoRA update on a matrix, in single precision. */
export interface Branch {
  rank: number;
  /** [rank, in] */
  a: Float32Array;
  /** [out, 2·rank]: B as trained and B projected, both times the update's scale */
  b: Float32Array;
}

/** The source of the parameters. */
export interface Parameters {
  /** Matrices can be used directly from their files, in single precision. */
  readonly areInFiles: boolean;
  /** A matrix in its file, if it can be used from there. */
  stored(name: string): External;
  /** In single precision, row-major. */
  values(name: string): Float32Array;
}

export interface ModelGraph {
  architecture: Architecture;
  precision: Precision;
  parameters: Parameters;
  /** Names of the modules that the adapter changes, such as `model.layers.0.self_attn.q_proj`, in gate order. */
  branches: ReadonlyMap<string, Branch>;
  /** Tensors that `modules_to_save` stored instead of the model's own, by the parameter's name: row-major, [rows, hidden]. */
  saved: ReadonlyMap<string, Float32Array>;
  /** Maximum sequence length. */
  positions: number;
}

/** Logits of tokens that only one of two heads has. */
const NEVER = -1e30;

export function buildGraph(graph: ModelGraph, provider: Provider): EncodedGraph {
  return new Builder(graph, provider).build();
}

class Builder extends GraphWriter {
  private readonly a: Architecture;
  /** Names of the gates, [rows, 1, 2, 1], by module. */
  private readonly gates = new Map<string, string>();

  constructor(
    private readonly graph: ModelGraph,
    private readonly provider: Provider,
  ) {
    super(graph.precision === 'float32' && graph.parameters.areInFiles);
    this.a = graph.architecture;
  }

  build(): EncodedGraph {
    const { a } = this;
    this.declareInputs();
    let sum = this.embed();
    let added: string | undefined;
    a.layers.forEach((_, layer) => {
      [sum, added] = this.layer(layer, sum, added);
    });
    const [normed] = this.addNorm(sum, added!, `${PREFIX}norm`);
    this.answer(this.add('Gather', [normed, inputs.asked]));
    return this.encode();
  }

  private declareInputs(): void {
    this.input(inputs.tokens, 'int64', [null]);
    this.input(inputs.positions, 'int64', [null, null]);
    this.input(inputs.parts, 'int64', [2]);
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
      // A device gathers from single precision anyway; some do not support bf16.
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

  /** @returns the next layer's input: the residual stream, and the addend still pending */
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
    const widths = [a.heads, a.keyValueHeads, a.keyValueHeads].map((heads) => heads * a.headSize);
    const projected = a.isFused
      ? this.columns(this.linear(x, `${prefix}qkv_proj`), widths)
      : ['q', 'k', 'v'].map((part) => this.linear(x, `${prefix}${part}_proj`));
    if (a.hasQueryKeyNorm) {
      projected[0] = this.headNorm(projected[0]!, `${prefix}q_norm`, a.heads);
      projected[1] = this.headNorm(projected[1]!, `${prefix}k_norm`, a.keyValueHeads);
    }
    const { window, rope } = a.layers[index]!;
    const query = this.rotated(this.byHeads(projected[0]!, a.heads), rope);
    const key = this.rotated(this.byHeads(projected[1]!, a.keyValueHeads), rope);
    const value = this.byHeads(projected[2]!, a.keyValueHeads);
    const attended = this.attended(query, this.kept(index, key, value), window);
    return this.linear(this.byTokens(attended), `${prefix}o_proj`);
  }

  /** Keys and values of the earlier and the new positions, each [rows, heads, positions, head size]. */
  private kept(layer: number, key: string, value: string): Record<'keys' | 'values', [past: string, fresh: string]> {
    const { keyValueHeads, headSize } = this.a;
    const [keys, values] = keyValueNames(layer).map((name, i): [string, string] => {
      this.output({ name, type: 'float', shape: [null, keyValueHeads, null, headSize] }, 'Identity', [
        [key, value][i]!,
      ]);
      this.input(pastName(name), 'float', [null, keyValueHeads, null, headSize]);
      return [pastName(name), name];
    }) as [[string, string], [string, string]];
    return { keys, values };
  }

  /**
   * softmax(q·Kᵀ)·V over the earlier and the new positions, which are never concatenated: onnxruntime's own attention copies all of them at
   * each step. Heads that share their keys and values are stacked, [rows, heads of keys, share · positions, head size], so that one product
   * reads those once.
   */
  private attended(
    query: string,
    { keys, values }: Record<'keys' | 'values', readonly [past: string, fresh: string]>,
    window: number | null,
  ): string {
    const { keyValueHeads, headSize, heads, attentionScale, attentionSoftcap } = this.a;
    const scaled = this.add('Mul', [query, this.real(attentionScale)]);
    const folded = this.add('Reshape', [scaled, this.integers(0, keyValueHeads, -1, headSize)]);
    const scores = keys.map((part) => this.add('MatMul', [folded, this.transposed(part, 0, 1, 3, 2)]));
    const all = this.capped(this.add('Concat', scores, { axis: -1 }), attentionSoftcap);
    const shares = this.add('Softmax', [this.add('Add', [all, this.mask(window)])], { axis: -1 });
    const parts = this.split(shares, -1, inputs.parts, 2);
    const [past, fresh] = parts.map((part, i) => this.add('MatMul', [part, values[i]!]));
    return this.add('Reshape', [this.add('Add', [past!, fresh!]), this.integers(0, heads, -1, headSize)]);
  }

  /** An input that is added to the scores. */
  private mask(window: number | null): string {
    const name = maskName(window);
    return this.once(name, () => {
      this.input(name, 'float', [null, 1, null, null]);
      return name;
    });
  }

  /** [tokens, heads · head size] → [rows, heads, positions, head size] */
  private byHeads(x: string, heads: number): string {
    return this.transposed(this.add('Reshape', [x, this.shape('tokens', heads, this.a.headSize)]), 0, 2, 1, 3);
  }

  /** [rows, heads, positions, head size] → [tokens, heads · head size] */
  private byTokens(x: string): string {
    const { heads, headSize } = this.a;
    return this.add('Reshape', [this.transposed(x, 0, 2, 1, 3), this.integers(-1, heads * headSize)]);
  }

  private rotated(x: string, rope: Rope): string {
    return this.add('RotaryEmbedding', [x, inputs.positions, ...this.rotation(rope)], {}, CONTRIB);
  }

  private mlp(prefix: string, x: string): string {
    const { a } = this;
    const [gate, up] = a.isFused
      ? this.columns(this.linear(x, `${prefix}mlp.gate_up_proj`), [a.intermediate, a.intermediate])
      : ['gate', 'up'].map((part) => this.linear(x, `${prefix}mlp.${part}_proj`));
    const activated = this.activate(gate!, a.activation);
    return this.linear(this.add('Mul', [activated, up!]), `${prefix}mlp.down_proj`);
  }

  private activate(x: string, activation: Activation): string {
    // x·σ(αx), which is SiLU where α is 1.
    if (activation === 'silu') return this.add('QuickGelu', [x], { alpha: { real: 1 } }, CONTRIB);
    return this.add('Gelu', [x], { approximate: activation === 'gelu' ? 'none' : 'tanh' });
  }

  /** `next` is the most likely token, `picked` the log-probabilities of the requested tokens. */
  private answer(hidden: string): void {
    const logits = this.logits(hidden);
    this.output({ name: outputs.next, type: 'int64', shape: [null] }, 'ArgMax', [logits], { axis: -1, keepdims: 0 });
    // LogSoftmax is faster, but some devices lack it.
    const logProbabilities =
      this.provider === 'cpu'
        ? this.add('LogSoftmax', [logits], { axis: -1 })
        : this.add('Sub', [logits, this.add('ReduceLogSumExp', [logits, this.integers(-1)])]);
    this.output(
      { name: outputs.picked, type: 'float', shape: [null, null] },
      'GatherElements',
      [logProbabilities, inputs.picks],
      { axis: 1 },
    );
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
    return this.capped(this.branch(hidden, logits, 'lm_head'), cap);
  }

  /** Smoothly limited to ±cap; 0 means no limit. */
  private capped(x: string, cap: number): string {
    if (cap === 0) return x;
    return this.add('Mul', [this.add('Tanh', [this.add('Div', [x, this.real(cap)])]), this.real(cap)]);
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

  /** The same per answer, [answers, 1]. */
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
    // 4 bits lose more of the head than of the layers.
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

  private columns(x: string, widths: readonly number[]): string[] {
    return this.split(x, 1, this.integers(...widths), widths.length);
  }

  /** A shape as a tensor. It is an input, since shape computations run on the CPU, which a device's session must not need. */
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

  /** [tokens, heads · head size] → [tokens, heads, head size] */
  private headNorm(x: string, module: string, heads: number): string {
    return this.norm(this.add('Reshape', [x, this.integers(-1, heads, this.a.headSize)]), module);
  }

  /** @returns the norm of x + y, and x + y */
  private addNorm(x: string, y: string, module: string): [normed: string, sum: string] {
    const [normed, sum] = [this.value('normed'), this.value('sum')];
    const inputs = [x, y, this.vector(`${module}.weight`, this.a.normOffset)];
    const attributes = { epsilon: { real: this.a.epsilon } };
    this.node('SkipSimplifiedLayerNormalization', inputs, [normed, '', '', sum], attributes, CONTRIB);
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

  /** A matrix directly from its file if possible, else in single precision. */
  private stored(name: string): { name: string; isSingle: boolean } {
    const { parameters } = this.graph;
    if (parameters.areInFiles) {
      const external = parameters.stored(name);
      return { name: this.external(name, external), isSingle: external.type === 'float' };
    }
    const shape = name === EMBEDDING || name === HEAD ? [this.a.vocabulary, this.a.hidden] : null;
    this.once(`values:${name}`, () =>
      this.bytes(name, 'float', shape ?? this.kindOf(name.replace(/\.weight$/, ''))[1], parameters.values(name)),
    );
    return { name, isSingle: true };
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
}
