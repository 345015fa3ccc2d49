// Weights that are fused in the checkpoint but separate in the adapter: a part is a run of rows and can be read by itself.
import { type TensorInfo } from './safetensors';

interface Fusion {
  /** The last segment of the fused module's name. */
  fused: string;
  /** In row order. */
  parts: readonly string[];
}

// Only names whose row order is known from the model's code.
const FUSIONS: readonly Fusion[] = [
  // modeling_phi3.py of transformers, Phi3Attention.forward: query, key and value one after the other
  { fused: 'qkv_proj', parts: ['q_proj', 'k_proj', 'v_proj'] },
  // modeling_phi3.py, Phi3MLP.forward: `gate, up_states = up_states.chunk(2, dim=-1)`
  { fused: 'gate_up_proj', parts: ['gate_proj', 'up_proj'] },
  // modeling_dbrx.py, DbrxAttention.forward, and modeling_mpt.py: query, key and value one after the other
  { fused: 'Wqkv', parts: ['q_proj', 'k_proj', 'v_proj'] },
  // modeling_baichuan.py: `unflatten(-1, (3, hidden_size))`
  { fused: 'W_pack', parts: ['q_proj', 'k_proj', 'v_proj'] },
];

/** Fused in a model-dependent order, head by head in some: the rows of a part are no run. */
const INTERLEAVED = ['query_key_value', 'wqkv', 'c_attn', 'qkv', 'in_proj', 'in_proj_qkv'];
/** Models that order the rows of a name above differently: modeling_codegen.py, `mp_num = 4` and query, value, key. */
const OWN_ORDER = new Set<unknown>(['codegen']);

/**
 * The rows of a fused weight that belong to a module.
 * @param find a tensor of the checkpoint by its name
 * @returns undefined where the checkpoint has no fused weight for the module, or the sizes do not add up
 */
export function fusedPart(
  { name, shape }: { name: string; shape: readonly [number, number] },
  find: (name: string) => TensorInfo | undefined,
  config: Readonly<Record<string, unknown>>,
): TensorInfo | undefined {
  if (OWN_ORDER.has(config.model_type)) return undefined;
  const { owner, last } = split(name);
  for (const { fused, parts } of FUSIONS) {
    const part = parts.indexOf(last);
    if (part < 0) continue;
    const whole = find(`${owner}${fused}.weight`);
    if (whole?.shape.length !== 2) continue;
    const begin = firstRow(part, parts.length, shape[0], whole.shape[0]!, config);
    if (begin !== null) return rowsOf(whole, begin, shape[0]);
  }
  return undefined;
}

/** The modules that a module may be a part of, even if their row order is unknown. */
export function fusedModules(name: string): string[] {
  const { owner, last } = split(name);
  const known = FUSIONS.filter(({ parts }) => parts.includes(last)).map(({ fused }) => fused);
  const isPart = /^(?:[qkv](?:_proj)?|query|key|value|w[qkv]|in_proj_[qkv])$/.test(last);
  if (!isPart) return known.map((fused) => owner + fused);
  // What llama calls self_attn is attention in modeling_internlm2.py.
  const internlm2 = owner.replace(/\bself_attn\.$/, 'attention.');
  return [...[...known, ...INTERLEAVED].map((fused) => owner + fused), `${internlm2}wqkv`];
}

/** The modules that a checkpoint may have instead of a fused one. */
export function partsOf(name: string): string[] {
  const { owner, last } = split(name);
  const parts =
    FUSIONS.find(({ fused }) => fused === last)?.parts ?? (INTERLEAVED.includes(last) ? FUSIONS[0]!.parts : []);
  return parts.map((part) => owner + part);
}

/** Whether the rows of the module's parts follow each other in a known order. */
export function hasKnownOrder(module: string, config: Readonly<Record<string, unknown>>): boolean {
  const { last } = split(module);
  return !OWN_ORDER.has(config.model_type) && FUSIONS.some(({ fused }) => fused === last);
}

function split(name: string): { owner: string; last: string } {
  const dot = name.lastIndexOf('.') + 1;
  return { owner: name.slice(0, dot), last: name.slice(dot) };
}

/**
 * Two parts are halves; of query, key and value the last two have equally many rows (grouped-query attention).
 * @param rows of the part
 * @returns null where the sizes do not add up
 */
function firstRow(
  part: number,
  parts: number,
  rows: number,
  total: number,
  config: Readonly<Record<string, unknown>>,
): number | null {
  if (parts === 2) return 2 * rows === total ? part * rows : null;
  const keys = part === 0 ? (total - rows) / 2 : rows;
  const queries = total - 2 * keys;
  const { num_attention_heads: heads, num_key_value_heads: keyHeads } = config;
  const isAsConfigured =
    typeof heads !== 'number' || typeof keyHeads !== 'number' || queries * keyHeads === keys * heads;
  if (!Number.isInteger(keys) || keys <= 0 || queries <= 0 || queries % keys !== 0 || !isAsConfigured) return null;
  return [0, queries, queries + keys][part]!;
}

function rowsOf(whole: TensorInfo, begin: number, rows: number): TensorInfo {
  const rowBytes = whole.length / whole.shape[0]!;
  return {
    ...whole,
    shape: [rows, whole.shape[1]!],
    offset: whole.offset + begin * rowBytes,
    length: rows * rowBytes,
    within: whole,
  };
}
