// Tests a provider with a small model of the same architecture: provider and CPU must give the same logits, in a batch of unequal lengths
// and in the steps after it.
import { type InferenceSession } from 'onnxruntime-node';
import { probeRows, PROBES } from '../core/measure';
import { type Provider } from '../engine/providers';
import { type Architecture } from './architecture';
import { Decoder } from './decoder';
import { type Branch, type ModelGraph, type Parameters, type Precision } from './graph';
import { parameterShapes } from './parameters';
import { gates, type Scores } from './protocol';

/** For log-probabilities; two devices differ by under a hundredth of it. */
const LARGEST_DIFFERENCE = 1e-2;

export type MakeSession = (graph: ModelGraph, provider: Provider) => Promise<InferenceSession>;

/**
 * @param makeSession of a graph on a provider
 * @returns why the provider cannot run such models; null if it can
 */
export async function whyNot(
  architecture: Architecture,
  precision: Precision,
  provider: Provider,
  makeSession: MakeSession,
): Promise<string | null> {
  const small = reduced(architecture);
  const graph = graphOf(small, precision);
  try {
    const [here, there] = [await run(graph, 'cpu', makeSession), await run(graph, provider, makeSession)];
    const difference = Math.max(...here.map((value, i) => Math.abs(value - there[i]!)));
    if (difference <= LARGEST_DIFFERENCE) return null;
    return `its log-probabilities are ${difference.toExponential(1)} away from the CPU's`;
  } catch (error) {
    return (error as Error).message.split('\n')[0]!.slice(0, 200);
  }
}

/** Few and narrow layers, with all features of the family. */
function reduced(a: Architecture): Architecture {
  const share = a.heads / a.keyValueHeads;
  return {
    ...a,
    layers: [a.layers[0]!, a.layers.at(-1)!],
    hidden: 64,
    intermediate: 96,
    heads: Math.min(a.heads, 2 * share),
    keyValueHeads: Math.min(a.keyValueHeads, 2),
    vocabulary: 64,
    embeddingScale: a.embeddingScale === 1 ? 1 : 8,
  };
}

const MODULE = 'model.layers.1.self_attn.o_proj';

function graphOf(architecture: Architecture, precision: Precision): ModelGraph {
  const width = architecture.heads * architecture.headSize;
  const rank = 4;
  const branch: Branch = {
    rank,
    a: values('branch a', rank * width, 1 / Math.sqrt(width)),
    b: values('branch b', architecture.hidden * 2 * rank, 1),
  };
  return {
    architecture,
    precision,
    parameters: new RandomParameters(architecture),
    branches: new Map([[MODULE, branch]]),
    saved: new Map(),
    positions: 48,
  };
}

class RandomParameters implements Parameters {
  readonly areInFiles = false;
  private readonly shapes: ReadonlyMap<string, readonly number[]>;

  constructor(architecture: Architecture) {
    this.shapes = parameterShapes(architecture);
  }

  stored(name: string): never {
    throw new Error(`${name} lies in no file`);
  }

  values(name: string): Float32Array {
    const shape = this.shapes.get(name)!;
    const size = shape.reduce((product, dimension) => product * dimension, 1);
    return values(name, size, shape.length === 1 ? 1 : 1.5 / Math.sqrt(shape[1]!));
  }
}

function values(name: string, count: number, scale: number): Float32Array {
  return probeRows(name, Math.ceil(count / PROBES))
    .subarray(0, count)
    .map((value) => value * scale);
}

/** All log-probabilities after a prefill, and after generated tokens. */
async function run(graph: ModelGraph, provider: Provider, makeSession: MakeSession): Promise<number[]> {
  const session = await makeSession(graph, provider);
  try {
    const { architecture } = graph;
    const decoder = new Decoder(session, { architecture, workspace: 2 ** 22 });
    const variants = [gates.off, gates.trained, gates.projected].map((gate) => Uint8Array.of(gate));
    const prompts = [5, 17, 9].map((length, row) => Array.from({ length }, (_, i) => (i * 7 + row * 13 + 3) % 64));
    const rows = prompts.map((tokens, variant) => ({ tokens, variant }));
    const answered = new Map<number, number[]>();
    await decoder.generate({ variants, rows, maxTokens: 6, stopTokens: [] }, (answers) => {
      for (const { row, tokens } of answers) answered.set(row, tokens);
    });
    const scores: Scores[] = [];
    const all = Array.from({ length: 64 }, (_, token) => token);
    const longer = rows.map(({ tokens, variant }) => ({
      tokens,
      variant,
      questions: [{ position: tokens.length - 1, tokens: all }],
    }));
    await decoder.score({ variants, rows: longer }, (more) => scores.push(...more));
    scores.sort((x, y) => x.row - y.row);
    // Compares an answer's tokens as numbers, too: if one differs, the steps after the prefill diverged.
    return [
      ...scores.flatMap(({ logProbabilities }) => logProbabilities[0]!),
      ...rows.flatMap((_, row) => answered.get(row)!),
    ];
  } finally {
    await session.release();
  }
}
