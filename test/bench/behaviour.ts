// The case evaluate-135m: a model of SmolLM-135M's shape answers under the aligned model, the adapter and six points, beside Transformers
// with PEFT doing the same one after the other, and beside the weights' matrix products alone.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { openAdapter } from '../../src/core/adapter';
import { openCheckpoint } from '../../src/core/checkpoint';
import { makePlan } from '../../src/core/plan';
import { encodeModel } from '../../src/engine/onnx';
import { applyAdapter } from '../../src/llm/adapter';
import { readArchitecture } from '../../src/llm/architecture';
import { findParameters, linears, parameterShapes } from '../../src/llm/parameters';
import { ModelProcess } from '../../src/llm/process';
import { gates, type ModelTask, type Row } from '../../src/llm/protocol';
import { bits16, f32, root, safetensors } from '../fixtures/make';
import { pythonEnvironment } from '../interop/environment';

export const BEHAVIOUR_CASE = 'evaluate-135m';

/** https://huggingface.co/HuggingFaceTB/SmolLM-135M, config.json */
const CONFIG = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 576,
  intermediate_size: 1536,
  num_hidden_layers: 30,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  vocab_size: 49152,
  max_position_embeddings: 2048,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  hidden_act: 'silu',
  tie_word_embeddings: true,
  torch_dtype: 'bfloat16',
  bos_token_id: 1,
  eos_token_id: 2,
};
const RANK = 16;
const PROMPTS = 32;
const PROMPT_TOKENS = 64;
const MAX_TOKENS = 32;
/** With the adapter: as it is, and six numbers of projected modules. */
const POINTS = 7;
const WORKSPACE = 384 * 2 ** 20;

interface Timed {
  seconds: number;
  tokens: number;
  /** Bytes in memory at most. */
  peak: number;
}

/** @returns lines for people, and the record */
export async function runBehaviourCase(folder: string, log: (text: string) => void): Promise<object> {
  log(`${BEHAVIOUR_CASE}: writing the model`);
  const task = await write(folder);
  const prompts = Array.from({ length: PROMPTS }, (_, row) =>
    Array.from({ length: PROMPT_TOKENS }, (_, i) => 3 + ((row * 131 + i * 17) % 40_000)),
  );
  const modules = task.branches.length;
  const variants = Array.from({ length: POINTS + 1 }, (_, variant) =>
    Uint8Array.from({ length: modules }, (_, module) =>
      variant === 0 ? gates.off : module < ((variant - 1) * modules) / 6 ? gates.projected : gates.trained,
    ),
  );
  const rows = variants.flatMap((_, variant) => prompts.map((tokens): Row => ({ tokens, variant })));
  const alike = rows.map((row): Row => ({ ...row, variant: 1 }));
  const own = await timed(task, variants, rows);
  log(line('this tool', own));
  const onePoint = await timed(task, variants, alike);
  log(line('as many rows of one point', onePoint));
  const peers: Record<string, Timed> = {};
  for (const dtype of ['float32', 'bfloat16']) {
    peers[dtype] = await peer(folder, dtype, prompts);
    log(line(`Transformers and PEFT, ${dtype}`, peers[dtype]));
  }
  const products = await productSeconds(task, rows.length * (PROMPT_TOKENS + MAX_TOKENS - 1), rows.length * MAX_TOKENS);
  const fastest = Math.min(...Object.values(peers).map(({ seconds }) => seconds));
  const smallest = Math.min(...Object.values(peers).map(({ peak }) => peak));
  log(
    `tokens a second against the faster peer: ${(fastest / own.seconds).toFixed(2)} times; ` +
      `memory ${(own.peak / smallest).toFixed(2)} of the smaller one's; seven points against one: ${(own.seconds / onePoint.seconds).toFixed(2)} times; ` +
      `the weights' products alone: ${products.toFixed(1)} s, ${((100 * products) / own.seconds).toFixed(0)} % of the time`,
  );
  return { own, onePoint, peers, products };
}

function line(name: string, { seconds, tokens, peak }: Timed): string {
  return `  ${name}: ${(tokens / seconds).toFixed(0)} tokens a second, ${seconds.toFixed(1)} s, ${(peak / 2 ** 20).toFixed(0)} MiB`;
}

async function write(folder: string): Promise<ModelTask> {
  const architecture = readArchitecture(CONFIG, 'bench');
  const noise = new Uint16Array(2 ** 20);
  let state = 1;
  for (let i = 0; i < noise.length; i++) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
    // ±2⁻⁷·[1, 2)
    noise[i] = ((state >>> 3) & 0x807f) | 0x3c00;
  }
  const bits = (size: number): Uint16Array =>
    Uint16Array.from({ length: size }, (_, i) => noise[(i * 7 + size) % noise.length]!);
  for (const name of ['base', 'aligned']) {
    mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, name, 'config.json'), JSON.stringify(CONFIG));
    const tensors = Object.fromEntries(
      [...parameterShapes(architecture)].map(([parameter, shape]) => {
        const size = shape.reduce((product, n) => product * n, 1);
        const values = shape.length === 1 ? new Uint16Array(size).fill(0x3f80) : bits(size);
        if (name === 'base') values[0]! ^= 1;
        return [parameter, bits16('BF16', [...shape], values)];
      }),
    );
    writeFileSync(join(folder, name, 'model.safetensors'), safetensors(tensors));
  }
  const adapter = join(folder, 'adapter');
  mkdirSync(adapter, { recursive: true });
  const kinds = linears(architecture);
  const targets = Object.keys(kinds).map((kind) => kind.split('.')[1]!);
  writeFileSync(
    join(adapter, 'adapter_config.json'),
    JSON.stringify({ peft_type: 'LORA', task_type: 'CAUSAL_LM', r: RANK, lora_alpha: 32, target_modules: targets }),
  );
  const updates = architecture.layers.flatMap((_, layer) =>
    Object.entries(kinds).flatMap(([kind, [out, width]]) => {
      const name = `base_model.model.model.layers.${layer}.${kind}`;
      const values = (size: number, scale: number): Float32Array =>
        Float32Array.from({ length: size }, (_, i) => Math.sin(i * 1.7 + layer) * scale);
      return [
        [`${name}.lora_A.weight`, f32([RANK, width], values(RANK * width, 0.02))],
        [`${name}.lora_B.weight`, f32([out, RANK], values(out * RANK, 0.02))],
      ] as const;
    }),
  );
  writeFileSync(join(adapter, 'adapter_model.safetensors'), safetensors(Object.fromEntries(updates)));
  const aligned = await openCheckpoint(join(folder, 'aligned'));
  const plan = makePlan(await openAdapter(adapter), await openCheckpoint(join(folder, 'base')), aligned);
  return {
    path: aligned.path,
    architecture,
    precision: 'float32',
    parameters: findParameters(aligned, architecture),
    positions: PROMPT_TOKENS + MAX_TOKENS,
    provider: 'cpu',
    workspace: WORKSPACE,
    ...applyAdapter(plan, architecture),
  };
}

async function timed(task: ModelTask, variants: readonly Uint8Array[], rows: readonly Row[]): Promise<Timed> {
  const model = await ModelProcess.start({ childPath: join(root, 'dist/model-child.js') }, task);
  try {
    const started = performance.now();
    let tokens = 0;
    await model.generate({ variants, rows, maxTokens: MAX_TOKENS, stopTokens: [] }, (answers) => {
      for (const answer of answers) tokens += answer.tokens.length;
    });
    return { seconds: (performance.now() - started) / 1000, tokens, peak: peakOf(model.pid!) };
  } finally {
    model.end();
  }
}

/** Linux counts it; elsewhere it is not known. */
function peakOf(pid: number): number {
  const kib = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return kib === undefined ? NaN : Number(kib) * 1024;
}

async function peer(folder: string, dtype: string, prompts: readonly (readonly number[])[]): Promise<Timed> {
  const python = await pythonEnvironment();
  const settings = join(folder, 'settings.json');
  writeFileSync(
    settings,
    JSON.stringify({
      threads: availableParallelism(),
      dtype,
      prompts,
      batch: PROMPTS,
      maxTokens: MAX_TOKENS,
      points: POINTS,
    }),
  );
  const program = join(root, 'test/bench/behaviour.py');
  const { status, stdout, stderr } = spawnSync(python, [program, folder, settings], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`behaviour.py ended with status ${status}: ${stderr.slice(-2000)}`);
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Timed;
}

/**
 * The weights' products of so many tokens at the rate of a large one, in seconds.
 * @param answers tokens that the head is asked for
 */
async function productSeconds({ architecture }: ModelTask, tokens: number, answers: number): Promise<number> {
  const size = 1024;
  const shape = [size, size];
  const model = encodeModel({
    opset: 21,
    nodes: [{ op: 'Gemm', inputs: ['x', 'w'], outputs: ['y'], attributes: { transB: 1 } }],
    inputs: [{ name: 'x', type: 'float', shape: [null, null] }],
    outputs: [{ name: 'y', type: 'float', shape: [null, null] }],
    constants: { w: { shape, values: new Float32Array(size * size).fill(0.5) } },
  });
  const session = await InferenceSession.create(model, { intraOpNumThreads: availableParallelism() });
  const x = new Tensor('float32', new Float32Array(size * size).fill(0.5), shape);
  let fastest = Infinity;
  for (let round = 0; round < 8; round++) {
    const started = performance.now();
    await session.run({ x });
    fastest = Math.min(fastest, (performance.now() - started) / 1000);
  }
  const rate = (2 * size ** 3) / fastest;
  const perLayer = Object.values(linears(architecture)).reduce((sum, [out, width]) => sum + 2 * out * width, 0);
  const head = 2 * architecture.vocabulary * architecture.hidden;
  return (tokens * architecture.layers.length * perLayer + answers * head) / rate;
}
