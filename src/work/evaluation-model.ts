// The evaluated model: checks that a server would run the same one, finds its weights, identifies it, and starts it.
import { type Adapter } from '../core/adapter';
import { type Checkpoint, type Travel } from '../core/checkpoint';
import { type NoticeCode, SafeLoraError } from '../core/errors';
import { hashRange, type TensorInfo } from '../core/safetensors';
import { type ChosenDevice } from '../engine/devices';
import { Fetching } from '../engine/fetching';
import { type Architecture } from '../llm/architecture';
import { EMBEDDING, HEAD } from '../llm/parameters';
import { type ModelProcess } from '../llm/process';
import { type ModelTask } from '../llm/protocol';
import { type LanguageServices, type Ports } from './services';

export interface FetchPorts extends Pick<Ports, 'onFetched' | 'signal'> {
  /** The aligned model is remote: all its weights are fetched, since it is run. It may throw to decline. */
  onModel?: (name: string, travel: Travel) => void | Promise<void>;
}

/** Notices that the running model differs from the one run here. */
const OTHER_MODEL: readonly NoticeCode[] = ['token-activated', 'names-not-loaded'];

/** @throws SafeLoraError for an adapter that behaves differently when loaded */
export function refuseOtherModel({ file, notices }: Adapter): void {
  const notice = notices.find(({ code }) => OTHER_MODEL.includes(code));
  if (notice) throw ranOtherwise(file.path, notice.message);
}

function ranOtherwise(path: string, why: string): SafeLoraError {
  return new SafeLoraError(
    'unsupported-adapter',
    `${path}: ${why} Run here, another model would be measured; evaluate the adapter on a server that loads it as it is meant.`,
  );
}

/**
 * Fetches all weights of a remote model.
 * @returns a function that allows their eviction again
 * @throws SafeLoraError, also if a stored head differs from the embedding that it is tied to; the signal's reason
 */
export async function bringParameters(
  model: Checkpoint,
  architecture: Architecture,
  parameters: ReadonlyMap<string, TensorInfo>,
  { onModel, onFetched, signal = new AbortController().signal }: FetchPorts,
): Promise<() => Promise<void>> {
  const head = storedHead(model, architecture);
  const tensors = [...parameters.values(), ...(head ? [head] : [])];
  if (model.remote) await onModel?.(model.name, await model.remote.needed(tensors));
  const fetching = await Fetching.of(new Map(model.remote ? [[model, tensors]] : []), signal, (fetched) => {
    onFetched?.(fetched);
  });
  try {
    await fetching.bring(...tensors);
    if (head) await refuseOtherHead(model, head, parameters.get(EMBEDDING)!);
    return () => fetching.release();
  } catch (error) {
    await fetching.release();
    throw error;
  }
}

/** A head stored despite tying. */
function storedHead({ tensors }: Checkpoint, { isTied }: Architecture): TensorInfo | null {
  return isTied ? (tensors.get(HEAD) ?? null) : null;
}

/** Whether such a head is used depends on the loader, unless it equals the embedding. */
async function refuseOtherHead({ path }: Checkpoint, head: TensorInfo, embedding: TensorInfo): Promise<void> {
  if ((await hashRange(head)) !== (await hashRange(embedding))) throw otherHead(path);
}

function otherHead(path: string): SafeLoraError {
  return new SafeLoraError(
    'model-config',
    `${path}: config.json ties the head to the embedding, and ${HEAD} contains other values, so which of them the model uses is unknown; set tie_word_embeddings to what the model was trained with, or remove the tensor.`,
  );
}

/** If `auto` chose a device that can measure but not run the model, the model runs on the CPU. */
export async function startModel(
  task: ModelTask,
  device: ChosenDevice,
  { language }: LanguageServices,
  signal?: AbortSignal,
): Promise<{ model: ModelProcess; ran: ChosenDevice }> {
  try {
    return { model: await language.start(task, device, signal), ran: device };
  } catch (error) {
    const isOther =
      device.requested === 'auto' && error instanceof SafeLoraError && error.code === 'device-unavailable';
    if (!isOther) throw error;
    const ran: ChosenDevice = { requested: 'auto', provider: 'cpu', fallbackReason: error.message };
    return { model: await language.start({ ...task, provider: 'cpu' }, ran, signal), ran };
  }
}

/** A model's exact files; on the hub a commit. */
export function weightsOf({ realPath, headersHash, files }: Checkpoint): unknown {
  return [realPath, headersHash, files.map(({ path, identity }) => [path, identity])];
}
