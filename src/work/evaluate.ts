// Measures how projecting affects the model's behaviour: from an adapter, its two models and prompts to figures by point.
import { freemem } from 'node:os';
import { type Adapter } from '../core/adapter';
import { type Notice } from '../core/errors';
import { makePlan, type Plan } from '../core/plan';
import { hashBytes, hashFile } from '../core/safetensors';
import { buildReport, refuseOverflow, type Report, selectable } from '../core/report';
import { isCandidate } from '../core/rules';
import { decimal } from '../core/text';
import { type Device } from '../engine/providers';
import { measuredOf, type MeasureOptions } from '../engine/run';
import { alwaysMet, demandText } from '../evaluation/choice';
import { figuresOf } from '../evaluation/figures';
import { type AnswerLine, Journal } from '../evaluation/journal';
import { type PromptFile, type PromptSet } from '../evaluation/prompts';
import {
  type Demands,
  EVALUATION_SCHEMA,
  type EvaluationReport,
  judgeName,
  resultsOf,
  type RunPoint,
  setsOf,
} from '../evaluation/report';
import { figureNames } from '../evaluation/texts';
import { applyAdapter } from '../llm/adapter';
import { type Architecture, readArchitecture } from '../llm/architecture';
import { readChat } from '../llm/chat-files';
import { type ChatProcess } from '../llm/chat-process';
import { type Precision } from '../llm/graph';
import { findParameters } from '../llm/parameters';
import { choosePrecision, type ChosenPrecision } from '../llm/precision';
import { type ModelTask } from '../llm/protocol';
import { Behaviour, type BehaviourPorts, type EncodedSet } from './behaviour';
import { bringParameters, type FetchPorts, refuseOtherModel, startModel, weightsOf } from './evaluation-model';
import { chatOptions, encodeSets, judgeOfSets, lengthsOf, ownJudge, readSets } from './evaluation-prompts';
import { rankedModules, Run, type RunRequest } from './evaluation-run';
import { measureTogether, openPair, type Pair, prepare } from './measure';
import { type LanguageServices, type Ports } from './services';

export interface EvaluateRequest extends Pair, RunRequest {
  adapter: Adapter;
  /** Empty for the sample's own. */
  prompts: readonly PromptFile[];
  demands: Demands | null;
  /** Null for the default, or the maximum of the model's context. */
  maxTokens: number | null;
  /** Refusal phrases, one per line, that replace this tool's. */
  refusals: string | null;
  template: string | null;
  system: string | null;
  precision: Precision | null;
  device: Device;
  /** Bytes for the model's process; null for half of the machine's free memory. */
  memory: number | null;
  /** The journal of an interrupted run; its default name is derived from the evaluated input. */
  journalPath: (key: string) => string;
  /** The journal contains the answers. */
  keepsAnswers: boolean;
}

/** Share of the machine's free memory for the model. */
const USUAL_SHARE = 0.5;

/** Milliseconds between two interim results. */
const INTERIM_MS = 1000;

export interface EvaluatePorts
  extends Ports, FetchPorts, Omit<BehaviourPorts, 'signal'>, Pick<MeasureOptions, 'known'> {
  /** The model is being loaded. */
  onLoad?: (precision: ChosenPrecision) => void;
  /** Results so far, about once a second. @param order as in the report */
  onInterim?: (points: readonly RunPoint[], sets: readonly PromptSet[], order: readonly string[]) => void;
}

export interface Evaluated {
  /** SHA-256 of everything that affects the answers. */
  key: string;
  report: EvaluationReport;
  /** Measurements of the adapter's modules. */
  inspection: Report;
  sets: readonly PromptSet[];
  points: readonly RunPoint[];
  /** Of the points with answers. */
  lines: readonly AnswerLine[];
  /** Called once all results are written. */
  done: () => Promise<void>;
}

/**
 * @returns the figures
 * @throws SafeLoraError before a model runs if any input is invalid; results so far are kept in the journal
 */
export async function evaluate(
  request: EvaluateRequest,
  services: LanguageServices,
  ports: EvaluatePorts,
): Promise<Evaluated> {
  const { signal } = ports;
  const { adapter } = request;
  const [base, aligned] = await openPair(request, services, signal);
  const plan = makePlan(adapter, base, aligned);
  const sets = await readSets(request.prompts, request.demands?.demands ?? [], aligned, services, signal);
  refuseOtherModel(adapter);
  const architecture = readArchitecture(aligned.config, aligned.path);
  const parameters = findParameters(aligned, architecture);
  const applied = applyAdapter(plan, architecture);
  const judge = await ownJudge(request.refusals);
  const precision = choosePrecision(
    architecture,
    request.memory ?? freemem() * USUAL_SHARE,
    request.precision,
    aligned.path,
  );
  const chat = await services.language.chat(await readChat(aligned, await chatOptions(request)), signal);
  try {
    const encoded = await encodeSets(sets, chat, judge, ports);
    const lengths = lengthsOf(encoded, architecture, request.maxTokens, aligned.path);
    const subject = { ...lengths, applied, architecture, chat, encoded, parameters, plan, precision };
    return await evaluateModel(request, subject, services, ports);
  } finally {
    chat.end();
  }
}

/** The checked input of an evaluation. */
interface Subject extends ReturnType<typeof lengthsOf> {
  plan: Plan;
  applied: ReturnType<typeof applyAdapter>;
  architecture: Architecture;
  parameters: ReturnType<typeof findParameters>;
  precision: ChosenPrecision;
  chat: ChatProcess;
  encoded: readonly EncodedSet[];
}

async function evaluateModel(
  request: EvaluateRequest,
  subject: Subject,
  services: LanguageServices,
  ports: EvaluatePorts,
): Promise<Evaluated> {
  const { plan, applied, architecture, parameters, precision, chat, encoded, maxTokens, positions } = subject;
  const { adapter, base, aligned } = plan;
  const sets = encoded.map(({ set }) => set);
  const { signal } = ports;
  const device = await prepare([plan], request.device, services, ports);
  const [outcome] = await measureTogether([plan], device, services, ports);
  const measured = measuredOf(outcome!);
  const { modules } = measured;
  const candidates = rankedModules(modules);
  refuseOverflow(
    plan,
    modules.filter((module) => isCandidate(selectable(module))),
  );
  const judge = judgeOfSets(encoded);
  const identity = {
    version: services.version,
    adapter: {
      name: adapter.name,
      sha256: await hashFile(adapter.file.path),
      config: hashBytes(adapter.config.bytes),
    },
    base: weightsOf(base),
    aligned: weightsOf(aligned),
    config: aligned.config,
    originals: adapter.originals?.file.identity ?? null,
    precision: precision.precision,
    workspace: precision.workspace,
    provider: device.provider,
    chat: chat.sha256,
    judges: encoded.map((set) => set.judge.sha256),
    maxTokens,
    sets: setsOf(sets),
    keepsAnswers: request.keepsAnswers,
  };
  const key = hashBytes(Buffer.from(JSON.stringify(identity)));
  const release = await bringParameters(aligned, architecture, parameters, ports);
  try {
    return await Journal.with(request.journalPath(key), key, async (journal) => {
      ports.onLoad?.(precision);
      const task: ModelTask = {
        path: aligned.path,
        architecture,
        parameters,
        precision: precision.precision,
        positions,
        workspace: precision.workspace,
        provider: device.provider,
        branches: applied.branches.map((branch, i) => ({ ...branch, projected: modules[i]!.projected?.bytes ?? null })),
        saved: applied.saved,
      };
      const { model, ran } = await startModel(task, device, services, signal);
      try {
        const { keepsAnswers } = request;
        const order = candidates.map(({ name }) => name);
        let shown = performance.now();
        const onStage: BehaviourPorts['onStage'] = (stage, done, total) => {
          ports.onStage?.(stage, done, total);
          if (stage === 'prompts' || performance.now() - shown < INTERIM_MS) return;
          shown = performance.now();
          ports.onInterim?.(run.points(), sets, order);
        };
        const options = { model, chat, sets: encoded, journal, maxTokens, keepsAnswers };
        const behaviour = new Behaviour({ ...options, ports: { ...ports, onStage } });
        const run = new Run(request, modules, candidates, behaviour);
        await run.evaluate();
        const points = run.points();
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
          order,
          sets: identity.sets,
          refusalTokens: run.refusals.length > 0 ? run.refusals : null,
          ...resultsOf(sets, points, request.demands),
          corrected: null,
          notices: [...plan.notices, ...run.notices, ...demandNotices(request, sets, points)],
        };
        const counts = points.filter(({ verdicts }) => verdicts !== null).map(({ count }) => count);
        const inspection = buildReport(plan, measured, request.selection, { version: services.version, device });
        return {
          key,
          report,
          inspection,
          sets,
          points,
          lines: behaviour.linesOf(counts),
          done: () => journal.remove(),
        };
      } finally {
        model.end();
      }
    });
  } finally {
    await release();
  }
}

/** A demand that every point meets would seem to say something about the chosen one. */
function demandNotices(
  { demands }: EvaluateRequest,
  sets: readonly PromptSet[],
  points: readonly RunPoint[],
): Notice[] {
  const verdicts = points.find(({ count }) => count === 0)?.verdicts;
  if (!demands || !verdicts) return [];
  const adapter = figuresOf(sets, verdicts);
  return demands.demands
    .filter((demand) => alwaysMet(demand, adapter))
    .map((demand) => {
      const { measure } = demand;
      const before = decimal(adapter[measure]!.value);
      const message = `Every point meets ${demandText(demand)}: the original adapter’s ${figureNames[measure]} is ${before}.`;
      return { code: 'demand-always-met', message, modules: [] };
    });
}
