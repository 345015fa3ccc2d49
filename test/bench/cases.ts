// What is measured: two models of real shape, the adapters on them, and the cases that share their files.
import { type ModelSpec } from './data';

const attention = (hidden: number, keys: number): ModelSpec['kinds'] => ({
  'self_attn.q_proj': [hidden, hidden],
  'self_attn.k_proj': [keys, hidden],
  'self_attn.v_proj': [keys, hidden],
  'self_attn.o_proj': [hidden, hidden],
});
const mlp = (hidden: number, inner: number): ModelSpec['kinds'] => ({
  'mlp.gate_proj': [inner, hidden],
  'mlp.up_proj': [inner, hidden],
  'mlp.down_proj': [hidden, inner],
});

/** The kinds that PEFT's defaults for Llama adapt. */
const qv = ['self_attn.q_proj', 'self_attn.v_proj'];

export interface CaseSpec {
  name: string;
  model: ModelSpec;
  /** Layers and kinds that the adapters of this case target. */
  layers: number;
  kinds: readonly string[];
  /** Adapters on the same pair, measured in one pass. */
  adapters: number;
  /** Times that everything is measured, in turn. */
  rounds: number;
  /** Rounds in which the reference's way is timed; 0 where it would take minutes. */
  referenceRounds: number;
  /** Milliseconds after which three rounds have to do instead of five. */
  budget: number;
}

const llama2 = (
  layers: number,
  layersInFull: number,
  [hidden, inner, vocabulary]: [number, number, number],
): ModelSpec => ({
  name: 'llama-2',
  layers,
  kinds: { ...attention(hidden, hidden), ...mlp(hidden, inner) },
  hidden,
  vocabulary,
  isRead: (layer, kind) => layer < layersInFull || qv.includes(kind),
});

const llama3 = ([hidden, keys, inner, vocabulary]: [number, number, number, number]): ModelSpec => ({
  name: 'llama-3',
  layers: 1,
  kinds: { ...attention(hidden, keys), ...mlp(hidden, inner) },
  hidden,
  vocabulary,
  isRead: () => true,
});

function casesOf(small: ModelSpec, layersInFull: number, large: ModelSpec): CaseSpec[] {
  const all = Object.keys(small.kinds);
  return [
    { name: '7b-qv', model: small, layers: small.layers, kinds: qv, adapters: 1, rounds: 5, referenceRounds: 5, budget: 70_000 },
    { name: '7b-qv-16-adapters', model: small, layers: small.layers, kinds: qv, adapters: 16, rounds: 5, referenceRounds: 0, budget: 110_000 },
    { name: '7b-all', model: small, layers: layersInFull, kinds: all, adapters: 1, rounds: 5, referenceRounds: 2, budget: 120_000 },
    { name: '70b-layer', model: large, layers: 1, kinds: all, adapters: 1, rounds: 5, referenceRounds: 0, budget: 90_000 },
  ]; // prettier-ignore
}

/** Llama-2-7B and one layer of Llama-3-70B: https://huggingface.co/meta-llama, config.json. Cases of one model follow each other. */
export const cases = casesOf(llama2(32, 8, [4096, 11008, 32000]), 8, llama3([8192, 1024, 28672, 128256]));

/** The same in small, for a test of the bench itself. */
export const tinyCases = casesOf(llama2(3, 1, [64, 96, 128]), 1, llama3([128, 32, 192, 256])).map((spec) => ({
  ...spec,
  rounds: 1,
}));
