// Measures what projecting does to the behaviour of the model: from an adapter, its two models and prompts to figures by point.
import { createHash } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { type Adapter, openAdapter } from '../core/adapter';
import { type Checkpoint, type Travel } from '../core/checkpoint';
import { type Notice, type NoticeCode, SafeLoraError } from '../core/errors';
import { kindOf, ReadableFile } from '../core/files';
import { makePlan } from '../core/plan';
import { buildReport, type MeasuredModule, refuseOverflow, type Report, selectable } from '../core/report';
import { isCandidate, ruleOf, select, type Selection, selectionBy } from '../core/rules';
import { hashRange, type TensorInfo } from '../core/safetensors';
import { type ChosenDevice } from '../engine/devices';
import { type Device } from '../engine/providers';
import { measuredOf } from '../engine/run';
import { choose, type Demand, unmeasurable } from '../evaluation/choice';
import { type AnswerLine, Journal } from '../evaluation/journal';
import { defaultJudge, type Judge, judgeOf } from '../evaluation/judge';
import { countAt, type PointRequest, type RankedModule, stepsOf, thresholdAt } from '../evaluation/points';
import { type PromptFile, type PromptSet, readPrompts } from '../evaluation/prompts';
import {
  EVALUATION_SCHEMA,
  type EvaluationReport,
  judgeName,
  pairsOf,
  pointsOf,
  type RunPoint,
  setsOf,
} from '../evaluation/report';
import { applyAdapter } from '../llm/adapter';
import { type Architecture, readArchitecture } from '../llm/architecture';
import { ChatFormat } from '../llm/chat';
import { type Precision } from '../llm/graph';
import { EMBEDDING, findParameters, HEAD } from '../llm/parameters';
import { choosePrecision, type ChosenPrecision } from '../llm/precision';
import { type ModelProcess } from '../llm/process';
import { gates, type ModelTask } from '../llm/protocol';
import { Behaviour, type BehaviourPorts, type EncodedSet, type Variant } from './behaviour';
import { measureTogether, openPair, type Pair, prepare } from './measure';
import { type LanguageServices, type Ports } from './services';

export interface EvaluateRequest extends Pair {
  adapter: string;
  /** Empty where the sample's own are meant. */
  prompts: readonly PromptFile[];
  points: PointRequest;
  /** The selection that is a point in any case. */
  selection: Selection;
  /** Only the scores. */
  scoreOnly: boolean;
  demands: { text: string; demands: readonly Demand[] } | null;
  /** Null for as many as usual, or as the model's context allows. */
  maxTokens: number | null;
  /** Phrases of refusals, one a line, in place of this tool's. */
  refusals: string | null;
  template: string | null;
  system: string | null;
  precision: Precision | null;
  device: Device;
  /** Bytes for the model's process. */
  memory: number;
  /** The journal of a run that was broken off; a name that is made from what is evaluated. */
  journalPath: (key: string) => string;
  keepsAnswers: boolean;
}

export interface EvaluatePorts extends Ports, Omit<BehaviourPorts, 'signal'> {
  /** The aligned model is not here: all its weights are fetched, since it is run. */
  onModel?: (name: string, travel: Travel) => void;
  /** The model is being loaded. */
  onLoad?: (precision: ChosenPrecision) => void;
}

export interface Evaluated {
  /** SHA-256 of all that the answers depend on. */
  key: string;
  report: EvaluationReport;
  /** What was measured of the adapter's modules. */
  inspection: Report;
  sets: readonly PromptSet[];
  /** Of the points with answers. */
  lines: readonly AnswerLine[];
  /** Once all that was made of it is written. */
  done: () => Promise<void>;
}

const USUAL_TOKENS = 128;

/**
 * @returns the figures
 * @throws SafeLoraError before a model is run where anything is wrong with what is given; what is computed is kept in the journal
 */
export async function evaluate(
  request: EvaluateRequest,
  services: LanguageServices,
  ports: EvaluatePorts,
): Promise<Evaluated> {
  const { signal } = ports;
  const adapter = await openAdapter(request.adapter);
  const [base, aligned] = await openPair(request, services, signal);
  const plan = makePlan(adapter, base, aligned);
  const sets = await readSets(request.prompts, aligned, services, signal);
  refuseUnmeasurable(request.demands?.demands ?? [], sets);
  refuseOtherModel(adapter);
  const architecture = readArchitecture(aligned.config, aligned.path);
  const parameters = findParameters(aligned, architecture);
  applyAdapter(plan, architecture, () => null);
  const chat = await ChatFormat.of(aligned, await chatOptions(request));
  const { encoded, maxTokens, positions } = encodeSets(
    sets,
    chat,
    architecture,
    await ownJudge(request),
    request.maxTokens,
    aligned.path,
  );
  const precision = choosePrecision(architecture, request.memory, request.precision, aligned.path);

  const device = await prepare([plan], request.device, services, ports);
  const [outcome] = await measureTogether([plan], device, services, ports);
  const measured = measuredOf(outcome!);
  const { modules } = measured;
  const candidates = rankedModules(modules);
  refuseOverflow(
    plan,
    modules.filter(({ name }) => candidates.some((candidate) => candidate.name === name)),
  );
  const head = storedHead(aligned, architecture);
  const release = await fetchParameters(aligned, [...parameters.values(), ...(head ? [head] : [])], ports);
  if (head) await refuseOtherHead(aligned, head, parameters.get(EMBEDDING)!);

  const judge = judgeOfSets(encoded);
  const identity = {
    version: services.version,
    adapter: {
      name: adapter.name,
      sha256: await hashOf(adapter),
      config: createHash('sha256').update(adapter.config.bytes).digest('hex'),
    },
    base: weightsOf(base),
    aligned: weightsOf(aligned),
    config: aligned.config,
    originals: adapter.originals?.file.identity ?? null,
    precision: precision.precision,
    workspace: precision.workspace,
    provider: device.provider,
    chat: chat.sha256,
    judge: judge.sha256,
    maxTokens,
    sets: setsOf(sets),
    keepsAnswers: request.keepsAnswers,
  };
  const key = createHash('sha256').update(JSON.stringify(identity)).digest('hex');
  const journal = await Journal.open(request.journalPath(key), key);
  try {
    ports.onLoad?.(precision);
    const projected = new Map(modules.map((module) => [module.name, module.projected?.bytes ?? null]));
    const applied = applyAdapter(plan, architecture, (name) => projected.get(name) ?? null);
    const task: ModelTask = {
      path: aligned.path,
      architecture,
      parameters,
      precision: precision.precision,
      positions,
      workspace: precision.workspace,
      provider: device.provider,
      ...applied,
    };
    const { model, ran } = await startModel(task, device, services, signal);
    try {
      const behaviour = new Behaviour({
        model,
        chat,
        sets: encoded,
        journal,
        maxTokens,
        keepsAnswers: request.keepsAnswers,
        ports,
      });
      const run = new Run(request, modules, candidates, behaviour);
      const points = await run.points();
      const report: EvaluationReport = {
        schema: EVALUATION_SCHEMA,
        tool: { version: services.version },
        adapter: { path: adapter.path, ...identity.adapter },
        base: { path: base.path, name: base.name, headers: base.headersHash },
        aligned: { path: aligned.path, name: aligned.name, headers: aligned.headersHash },
        engine: {
          kind: 'embedded',
          precision: precision.precision,
          precisionReason: precision.reason,
          device: ran,
          onnxruntime: services.onnxruntimeVersion,
          workspace: precision.workspace,
          maxTokens,
          decoding: 'greedy',
        },
        chat: { template: chat.templatePath, system: request.system, sha256: chat.sha256 },
        judge: judgeName(judge),
        selection: request.selection,
        order: candidates.map(({ name }) => name),
        sets: setsOf(sets),
        refusalTokens: run.refusals.length > 0 ? run.refusals : null,
        points: pointsOf(sets, points),
        paired: pairsOf(sets, points),
        choice: choiceOf(request, sets, points),
        notices: [...plan.notices, ...run.notices],
      };
      const counts = points.filter(({ verdicts }) => verdicts !== null).map(({ count }) => count);
      const inspection = buildReport(plan, measured, request.selection, { version: services.version, device });
      return { key, report, inspection, sets, lines: behaviour.linesOf(counts), done: () => journal.remove() };
    } finally {
      model.end();
    }
  } finally {
    await journal.close();
    await release();
  }
}

/** A head that a model with a tied one has stored all the same. */
function storedHead({ tensors }: Checkpoint, { isTied }: Architecture): TensorInfo | null {
  return isTied ? (tensors.get(HEAD) ?? null) : null;
}

/** Whether such a head is used depends on who loads the model, unless it is the embedding. */
async function refuseOtherHead({ path }: Checkpoint, head: TensorInfo, embedding: TensorInfo): Promise<void> {
  if ((await hashRange(head)) !== (await hashRange(embedding))) throw otherHead(path);
}

function otherHead(path: string): SafeLoraError {
  return new SafeLoraError(
    'model-config',
    `${path}: config.json ties the head to the embedding, and ${HEAD} holds other values, so which of them the model uses is unknown; set tie_word_embeddings to what the model was trained with, or remove the tensor.`,
  );
}

/** Where `auto` chose a device that measures and cannot run the model, it runs on the CPU. */
async function startModel(
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

/** Which points are run, and what is found of them. */
class Run {
  refusals: number[] = [];
  readonly notices: Notice[] = [];

  constructor(
    private readonly request: EvaluateRequest,
    private readonly modules: readonly MeasuredModule[],
    private readonly candidates: readonly RankedModule[],
    private readonly behaviour: Behaviour,
  ) {}

  /** The aligned model, then the adapter by rising count. */
  async points(): Promise<RunPoint[]> {
    const { behaviour, candidates } = this;
    const aligned = this.variant(null);
    await behaviour.answer([aligned], ({ set }) => set.role === 'harmful');
    this.refusals = behaviour.refusalTokens(null);
    if (this.refusals.length === 0 && behaviour.hasHarmful) this.notices.push(noRefusals);
    const all = [aligned, ...Array.from({ length: candidates.length + 1 }, (_, count) => this.variant(count))];
    await behaviour.score(all, this.refusals);
    if (!this.request.scoreOnly)
      await behaviour.answer([aligned, ...this.counts().map((count) => this.variant(count))]);
    return all.map(({ count }): RunPoint => {
      const score = behaviour.scoreOf(count);
      return {
        count,
        threshold: count === null ? null : thresholdAt(candidates, count),
        modules: count === null ? [] : candidates.slice(0, count).map(({ name }) => name),
        refusalScore: score?.refusalScore ?? null,
        referenceScore: score?.referenceScore ?? null,
        verdicts: this.request.scoreOnly ? null : behaviour.verdictsOf(count),
      };
    });
  }

  /** Counts at which answers are generated: the adapter as it is, the selection, and what is asked for. */
  private counts(): number[] {
    const { candidates } = this;
    const { points, selection } = this.request;
    const most = candidates.length;
    const fixed = [0, select(this.modules.map(selectable), selection).size];
    const asked =
      'auto' in points
        ? stepsOf(Array.from({ length: most + 1 }, (_, count) => this.behaviour.scoreOf(count)?.refusalScore ?? 0), fixed) // prettier-ignore
        : [...points.counts, ...points.thresholds.map((threshold) => countAt(candidates, threshold))];
    return [...new Set([...fixed, ...asked].map((count) => Math.min(count, most)))].sort((x, y) => x - y);
  }

  private variant(count: number | null): Variant {
    const projected = new Set(this.candidates.slice(0, count ?? 0).map(({ name }) => name));
    const gateOf = (name: string): number =>
      count === null ? gates.off : projected.has(name) ? gates.projected : gates.trained;
    return { count, gates: Uint8Array.from(this.modules, ({ name }) => gateOf(name)) };
  }
}

const noRefusals: Notice = {
  code: 'no-refusals',
  message:
    'The aligned model refused none of the harmful prompts by these phrases, so that there is no refusal score; look at its answers (--answers) and at the list of phrases (--refusals).',
  modules: [],
};

/** Modules that can be projected, as a count takes them. */
function rankedModules(modules: readonly MeasuredModule[]): RankedModule[] {
  const all = modules.map(selectable);
  const similarities = new Map(all.map(({ name, similarity }) => [name, similarity]));
  const most = all.filter(isCandidate).length;
  // By the rule itself, which also orders equal similarities.
  const names = Array.from({ length: most }, (_, i) => select(all, selectionBy(ruleOf('count', i + 1))));
  const ranked: RankedModule[] = [];
  const taken = new Set<string>();
  for (const selected of names) {
    for (const name of selected) {
      if (taken.has(name)) continue;
      taken.add(name);
      ranked.push({ name, similarity: similarities.get(name)! });
    }
  }
  return ranked;
}

async function readSets(
  files: readonly PromptFile[],
  aligned: Checkpoint,
  { prompts }: LanguageServices,
  signal?: AbortSignal,
): Promise<PromptSet[]> {
  const given = files.length > 0 ? files : await samplePrompts(aligned);
  const sets: PromptSet[] = [];
  for (const file of given) {
    const lies = file.path.startsWith('hf://') ? await prompts.fetch(file.path, signal) : file.path;
    sets.push(...(await readPrompts(file, lies)));
  }
  return sets.map((set, i) => {
    const before = sets.slice(0, i).filter(({ name }) => name === set.name).length;
    return before === 0 ? set : { ...set, name: `${set.name} ${before + 1}` };
  });
}

/** The sample's prompts lie beside its models. @throws SafeLoraError for any other model */
async function samplePrompts({ config, realPath }: Checkpoint): Promise<PromptFile[]> {
  const path = join(dirname(realPath), 'prompts.json');

  if (config._name_or_path === 'toy-llama-aligned' && (await kindOf(path)) === 'file')
    return [{ path, role: null, metric: null }];
  throw promptsMissing();
}

function promptsMissing(): SafeLoraError {
  return new SafeLoraError(
    'prompts',
    'No prompts are given, and this tool ships no harmful ones. Download a set and name it with --prompts: AdvBench (MIT, llm-attacks/llm-attacks, harmful_behaviors.csv), JailbreakBench (MIT, JailbreakBench/JBB-Behaviors), StrongREJECT (MIT, alexandrasouly/strongreject) or HarmBench (MIT, centerforaisafety/HarmBench) of harmful prompts; XSTest (CC BY 4.0, paul-rottger/xstest) of harmless and harmful ones; for utility your own task, with --prompts utility:METRIC:FILE.',
  );
}

async function chatOptions({ template, system }: EvaluateRequest): Promise<Parameters<typeof ChatFormat.of>[1]> {
  return {
    ...(template === null ? {} : { template: { path: template, text: await textOf(template) } }),
    ...(system === null ? {} : { system }),
  };
}

/** Bytes of a template or a list of phrases. */
const MOST_TEXT = 1_000_000;

async function textOf(path: string): Promise<string> {
  return ReadableFile.with(path, async (file) => {
    if (file.size > MOST_TEXT) throw tooLarge(path, file.size);
    return new TextDecoder().decode(await file.read(0, file.size));
  });
}

function tooLarge(path: string, size: number): SafeLoraError {
  return new SafeLoraError(
    'file-access',
    `${path}: has ${size} bytes, more than the ${MOST_TEXT} that are read of such a file; name another one.`,
  );
}

async function ownJudge({ refusals }: EvaluateRequest): Promise<Judge | null> {
  if (refusals === null) return null;
  const judge = judgeOf(basename(refusals), '1', (await textOf(refusals)).split(/\r?\n/));
  if (judge.phrases.length === 0) throw noPhrases(refusals);
  return judge;
}

function noPhrases(path: string): SafeLoraError {
  return new SafeLoraError('prompts', `${path}: holds no phrase; write the phrases of refusals into it, one a line.`);
}

/** @throws SafeLoraError where a prompt and its answer do not fit into the model's context */
function encodeSets(
  sets: readonly PromptSet[],
  chat: ChatFormat,
  { positions: most, vocabulary }: Architecture,
  judge: Judge | null,
  asked: number | null,
  path: string,
): { encoded: EncodedSet[]; maxTokens: number; positions: number } {
  const encoded = sets.map((set): EncodedSet => {
    const tokens = set.prompts.map(({ messages }) => chat.encode(messages));
    const references = set.prompts.map(({ reference }) => (reference === null ? [] : chat.tokens(reference)));
    return { set, judge: judge ?? set.judge ?? defaultJudge, tokens, references };
  });
  let longest = { length: 0, set: '', prompt: 0 };
  let reference = 0;
  for (const { set, tokens, references } of encoded) {
    tokens.forEach(({ length }, i) => {
      if (length === 0) throw emptyPrompt(set.name, i + 1);
      if (set.role === 'utility' && references[i]!.length === 0) throw emptyReference(set.name, i + 1);
      const ids: readonly unknown[] = [...tokens[i]!, ...references[i]!];
      const foreign = ids.findIndex((id) => !(Number.isSafeInteger(id) && Number(id) >= 0 && Number(id) < vocabulary));
      if (foreign >= 0) throw foreignToken(path, set.name, i + 1, ids[foreign], vocabulary);
      if (length > longest.length) longest = { length, set: set.name, prompt: i + 1 };
      reference = Math.max(reference, length + references[i]!.length);
    });
  }
  const maxTokens = asked ?? Math.min(USUAL_TOKENS, most - longest.length);
  const positions = Math.max(longest.length + maxTokens, reference);
  if (maxTokens < 1 || positions > most)
    throw tooLong(path, `prompt ${longest.prompt} of ${longest.set} has ${longest.length} tokens`, most, maxTokens);
  return { encoded, maxTokens, positions };
}

function emptyPrompt(set: string, prompt: number): SafeLoraError {
  return new SafeLoraError(
    'prompts',
    `Prompt ${prompt} of ${set} has no tokens: the chat template makes nothing of it; take it out, or give another template with --template FILE.`,
  );
}

function emptyReference(set: string, prompt: number): SafeLoraError {
  return new SafeLoraError(
    'prompts',
    `Prompt ${prompt} of ${set} has an empty reference, against which no answer can be held; correct it, or take it out.`,
  );
}

function foreignToken(path: string, set: string, prompt: number, id: unknown, vocabulary: number): SafeLoraError {
  return new SafeLoraError(
    'model-config',
    `${path}: its tokenizer gives prompt ${prompt} of ${set} the token ${String(id)}, and the model has ${vocabulary}; give the model with the tokenizer that belongs to it.`,
  );
}

function tooLong(path: string, what: string, most: number, maxTokens: number): SafeLoraError {
  return new SafeLoraError(
    'prompts',
    `${path}: ${what}, which with an answer of ${Math.max(1, maxTokens)} is more than the model's ${most}; leave that prompt out, or give a lower --max-tokens.`,
  );
}

function judgeOfSets(sets: readonly EncodedSet[]): Judge {
  return (sets.find(({ set }) => set.role === 'harmful') ?? sets[0]!).judge;
}

async function hashOf({ file }: Adapter): Promise<string> {
  const hash = createHash('sha256');
  await ReadableFile.with(file.path, async (opened) => {
    const step = 2 ** 24;
    for (let at = 0; at < opened.size; at += step) hash.update(await opened.read(at, Math.min(step, opened.size - at)));
  });
  return hash.digest('hex');
}

/** The very files of a model; on the hub a commit. */
function weightsOf({ realPath, headersHash, files }: Checkpoint): unknown {
  return [realPath, headersHash, files.map(({ path, identity }) => [path, identity])];
}

/** What an adapter's notices say of a running model that is another one than what is run here. */
const OTHER_MODEL: readonly NoticeCode[] = ['token-activated', 'names-not-loaded'];

function refuseOtherModel({ file, notices }: Adapter): void {
  const notice = notices.find(({ code }) => OTHER_MODEL.includes(code));
  if (notice) throw ranOtherwise(file.path, notice.message);
}

function ranOtherwise(path: string, why: string): SafeLoraError {
  return new SafeLoraError(
    'unsupported-adapter',
    `${path}: ${why} Run here, another model would be measured; evaluate the adapter on a server that loads it as it is meant.`,
  );
}

function refuseUnmeasurable(demands: readonly Demand[], sets: readonly PromptSet[]): void {
  const demand = unmeasurable(demands, sets);
  if (demand) throw nothingToChooseBy(demand.measure);
  const kinds = new Set(sets.filter(({ role }) => role === 'utility').map(({ metric }) => metric));
  if (kinds.size > 1) throw severalMetrics([...kinds].join(' and '));
}

function nothingToChooseBy(measure: string): SafeLoraError {
  return new SafeLoraError(
    'prompts',
    `--choose asks for ${measure}, and no prompts are given that it is measured by; add a set with --prompts, or leave that demand out.`,
  );
}

function severalMetrics(names: string): SafeLoraError {
  return new SafeLoraError(
    'prompts',
    `The sets for utility are held against their references by ${names}, whose mean would mean nothing; evaluate them one after the other.`,
  );
}

/** All weights of a model that is elsewhere. @returns what lets the cache evict them again */
async function fetchParameters(
  { remote, name }: Checkpoint,
  tensors: readonly TensorInfo[],
  { onModel, onFetched, signal = new AbortController().signal }: EvaluatePorts,
): Promise<() => Promise<void>> {
  if (!remote) return () => Promise.resolve();
  const travel = await remote.needed(tensors);
  onModel?.(name, travel);
  const release = await remote.hold(tensors);
  try {
    let before = 0;
    const bytesToFetch = travel.bytes + travel.cached;
    for (const tensor of tensors) {
      await remote.fetch(tensor, signal, (done) => onFetched?.({ bytesFetched: before + done, bytesToFetch }));
      before += tensor.length;
    }
    return release;
  } catch (error) {
    await release();
    throw error;
  }
}

function choiceOf(
  { demands }: EvaluateRequest,
  sets: readonly PromptSet[],
  points: readonly RunPoint[],
): EvaluationReport['choice'] {
  if (!demands) return null;
  const candidates = points.flatMap(({ count, verdicts }) => (count !== null && verdicts ? [{ count, verdicts }] : []));
  return candidates.length === 0 ? null : choose(demands.text, demands.demands, sets, candidates);
}
