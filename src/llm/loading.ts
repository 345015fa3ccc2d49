// Creates a session from a model's and an adapter's files: parameters are used directly from the files as far as onnxruntime can.
import { realpathSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname } from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import { bytesPerElement, decode, type FloatDtype } from '../core/dtype';
import { type TensorInfo } from '../core/safetensors';
import { type Provider, strictSession } from '../engine/providers';
import { type External, type OnnxType } from '../engine/onnx';
import { readWhole } from '../engine/weights';
import { Decoder } from './decoder';
import { cannotRun } from './failures';
import { type Branch, buildGraph, type ModelGraph, type Parameters } from './graph';
import { type BranchTask, type ModelTask } from './protocol';
import { whyNot } from './selftest';

const types: Readonly<Partial<Record<string, OnnxType>>> = { F32: 'float', F16: 'float16', BF16: 'bfloat16' };

/** Bytes within the model itself; ONNX's format ends at 2 GB. */
const MOST_INLINE = 1.5e9;

/** @throws SafeLoraError if the provider cannot run such a model */
export async function loadModel(task: ModelTask): Promise<Decoder> {
  const { architecture, precision, positions, provider } = task;
  const branches = new Map(task.branches.map((branch) => [branch.module, readBranch(branch)]));
  const saved = new Map([...task.saved].map(([name, tensor]) => [name, valuesOf(tensor)]));
  const beside = [...branches.values()].flatMap(({ a, b }) => [a, b]).concat(...saved.values());
  const fits = beside.reduce((sum, { byteLength }) => sum + byteLength, 0) < MOST_INLINE;
  const parameters = new StoredParameters(task.parameters, fits);
  if (provider !== 'cpu') {
    const reason = await whyNot(architecture, precision, provider, (graph, on) => makeSession(graph, on, ''));
    if (reason !== null) throw cannotRun(task.path, provider, reason);
  }
  const graph = { architecture, precision, positions, branches, saved, parameters };
  return new Decoder(await makeSession(graph, provider, parameters.folder), {
    architecture,
    workspace: task.workspace,
  });
}

/** @param folder of the files with the graph's constants */
async function makeSession(graph: ModelGraph, provider: Provider, folder: string): Promise<InferenceSession> {
  const { model, memory } = buildGraph(graph, provider);
  return InferenceSession.create(model, {
    executionProviders: [provider],
    intraOpNumThreads: availableParallelism(),
    interOpNumThreads: 1,
    enableMemPattern: false,
    logSeverityLevel: 3,
    ...(memory.size > 0 ? { externalData: [...memory].map(([path, data]) => ({ path, data })) } : {}),
    extra: {
      session: {
        ...(folder === '' ? {} : { model_external_initializers_file_folder_path: folder }),
        ...strictSession(provider),
      },
    },
  });
}

/** onnxruntime reads constants from one folder only, and does not follow links out of it. */
class StoredParameters implements Parameters {
  readonly areInFiles: boolean;
  /** The real folder of the first file. */
  readonly folder: string;
  private readonly real = new Map<string, string>();

  /** @param fits whether the rest of the model fits into its own bytes */
  constructor(
    private readonly tensors: ReadonlyMap<string, TensorInfo>,
    fits: boolean,
  ) {
    for (const { path } of tensors.values()) if (!this.real.has(path)) this.real.set(path, realpathSync(path));
    const folders = new Set([...this.real.values()].map((path) => dirname(path)));
    this.folder = [...folders][0] ?? '';
    this.areInFiles = fits && folders.size === 1 && [...tensors.values()].every(isUsable);
  }

  stored(name: string): External {
    const { path, dtype, shape, offset, length } = this.tensors.get(name)!;
    return { type: types[dtype]!, shape, location: basename(this.real.get(path)!), offset, length };
  }

  values(name: string): Float32Array {
    return valuesOf(this.tensors.get(name)!);
  }
}

function isUsable({ dtype, offset }: TensorInfo): boolean {
  return types[dtype] !== undefined && offset % bytesPerElement(dtype as FloatDtype) === 0;
}

function readBranch({ a, b, projected, scale }: BranchTask): Branch {
  const [out, rank] = b.shape as [number, number];
  const dtype = b.dtype as FloatDtype;
  const trained = decode(readWhole(b), dtype);
  const replaced = projected ? decode(projected, dtype) : trained;
  const both = new Float32Array(out * 2 * rank);
  for (let row = 0; row < out; row++) {
    for (let column = 0; column < rank; column++) {
      both[row * 2 * rank + column] = trained[row * rank + column]! * scale;
      both[row * 2 * rank + rank + column] = replaced[row * rank + column]! * scale;
    }
  }
  return { rank, a: valuesOf(a), b: both };
}

function valuesOf(tensor: TensorInfo): Float32Array {
  return new Float32Array(decode(readWhole(tensor), tensor.dtype as FloatDtype));
}
