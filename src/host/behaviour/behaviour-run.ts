// Evaluates one adapter: streamed, cancellable, resumable; its figures are kept, its answers stay in memory.
import * as vscode from 'vscode';
import { dirname, join } from 'node:path';
import { type Adapter } from '../../core/adapter';
import { type Checkpoint } from '../../core/checkpoint';
import { type FileStamp, stampOf } from '../../core/files';
import { checkpointStamps } from '../../core/identity';
import { hashBytes, hashFile } from '../../core/safetensors';
import { SafeLoraError } from '../../core/errors';
import { type ModuleFinding, type Report } from '../../core/report';
import { type Selection } from '../../core/rules';
import { answerRecord } from '../../evaluation/answers';
import {
  answerKey,
  correct,
  correctedAnswers,
  type Correction,
  judgementOf,
  withCorrection,
} from '../../evaluation/corrections';
import { type Verdict, type Verdicts } from '../../evaluation/figures';
import { modelFigures, type ModelJudgement } from '../../evaluation/model-judge';
import { type PromptSet } from '../../evaluation/prompts';
import { correctedIn, type EvaluationRecord, recordOf, reportOf, withDemands } from '../../evaluation/record';
import { type BehaviourExcerpt, excerptOf } from '../../evaluation/summary';
import { type Demands, type EvaluationReport, resultsOf, type RunPoint } from '../../evaluation/report';
import { evaluate, type EvaluateRequest } from '../../work/evaluate';
import { samplePrompts } from '../../work/evaluation-prompts';
import { type LanguageServices } from '../../work/services';
import { TimeLeft } from '../../work/time-left';
import { type AnswersView, type AnswerView, type BehaviourProgress, type BehaviourResults, type BehaviourView, type PointView } from '../../page/behaviour'; // prettier-ignore
import { type ModelPair } from '../common/contributions';
import { Disposable } from '../common/dispose';
import { Cancelled, errorView } from '../common/errors';
import { isOnHub, type HubService } from '../models/hub-service';
import { CHAT_FILES, type EvaluationEntry, type EvaluationRequest, type EvaluationStore, type KeptEvaluation } from '../status/evaluations'; // prettier-ignore
import { type InspectionStore } from '../status/store';
import { setting } from '../settings/settings';
import { type Log } from '../common/surface';

/** Progress is shown as often as the page draws it. */
const TELL_MS = 200;

/** What the run needs to know of its document, whenever it starts. */
export interface Evaluated {
  readonly uri: vscode.Uri;
  readonly adapter: () => Adapter;
  readonly models: () => Partial<ModelPair>;
  /** The present one. */
  readonly selection: () => Selection;
  /** Measured modules that need not be measured again. */
  readonly known: () => Promise<ReadonlyMap<string, ModuleFinding>>;
}

/** What decides whether weights are downloaded. */
export type Consent = Pick<HubService, 'agree' | 'agreeToRun'>;

export interface BehaviourServices {
  language: LanguageServices;
  hub: HubService;
  inspections: InspectionStore;
  evaluations: EvaluationStore;
  log: Log;
}

type Phase =
  | { state: 'none' | 'done' }
  | { state: 'running' | 'cancelled'; progress: BehaviourProgress }
  | { state: 'failed'; failure: unknown };

/** Results so far. */
interface Interim {
  points: readonly RunPoint[];
  sets: readonly PromptSet[];
  order: readonly string[];
}

export class BehaviourRun extends Disposable {
  private readonly changed = this._register(new vscode.EventEmitter<void>());
  /** The state, the figures or what holds of them changed. */
  readonly onDidChange = this.changed.event;

  private phase: Phase = { state: 'none' };
  private kept: KeptEvaluation | null = null;
  private request: EvaluationRequest | null = null;
  private interim: Interim | null = null;
  /** Figures, until they change. */
  private results: BehaviourResults | null = null;
  /** The prompts of the answers in memory, and those by `${count} ${set} ${prompt}`. */
  private sets: readonly PromptSet[] = [];
  private readonly texts = new Map<string, string>();
  private showsAnswers = false;
  private aborting: AbortController | undefined;
  private current: Promise<void> | undefined;
  private told = 0;
  /** What is in memory is newer than what is stored. */
  private isStoring = false;
  private storing: Promise<void> = Promise.resolve();

  constructor(
    private readonly subject: Evaluated,
    private readonly services: BehaviourServices,
  ) {
    super();
    this._register(
      services.evaluations.onDidChange((folder) => {
        if (folder === this.folder) void this.recall();
      }),
    );
  }

  get isRunning(): boolean {
    return this.phase.state === 'running';
  }

  /** The last request, to go on with it or to suggest it again. */
  get lastRequest(): EvaluationRequest | null {
    return this.request ?? this.kept?.request ?? null;
  }

  get record(): EvaluationRecord | null {
    return this.kept?.record ?? null;
  }

  /** Why the last run failed, else undefined. */
  get failure(): unknown {
    return this.phase.state === 'failed' ? this.phase.failure : undefined;
  }

  get hasAnswers(): boolean {
    return this.texts.size > 0;
  }

  /** Takes up what an earlier window stored, or another view changed. */
  async recall(): Promise<void> {
    const { evaluations, log } = this.services;
    if (this.subject.uri.scheme !== 'file' || this.isStoring) return;
    try {
      this.kept = await evaluations.of(this.folder);
    } catch (error) {
      log.warn(`No evaluation recalled: ${(error as Error).message}`);
    }
    if (this.phase.state === 'none' && this.kept) this.phase = { state: 'done' };
    this.tell();
  }

  /** Failures change the state, and do not reject the promise. */
  async evaluate(request: EvaluationRequest, consent: Consent = this.services.hub): Promise<void> {
    if (this.current) return this.current;
    if (JSON.stringify(request) !== JSON.stringify(this.request)) this.forgetAnswers();
    this.request = request;
    this.current = this.run(request, consent).finally(() => {
      this.current = undefined;
    });
    return this.current;
  }

  /** Continues a cancelled evaluation, or tries once more. @throws SafeLoraError if nothing was asked */
  async resume(): Promise<void> {
    const request = this.lastRequest;
    if (!request) throw notEvaluated(this.subject.adapter().path);
    await this.evaluate(request);
  }

  async stop(): Promise<void> {
    this.aborting?.abort(new Cancelled());
    await this.current;
  }

  /** The same figures hold for the adapter's file as it was written. */
  async keep(): Promise<void> {
    if (!this.kept || this.kept.stale.length > 0 || this.subject.uri.scheme !== 'file') return;
    const { inspections, evaluations, log } = this.services;
    try {
      await evaluations.rename(this.folder, await inspections.identify(this.subject.adapter()));
    } catch (error) {
      log.warn(`The evaluation is not kept: ${(error as Error).message}`);
    }
  }

  view(): BehaviourView {
    const { phase, kept } = this;
    const results = this.phase.state === 'done' ? this.keptResults() : (this.interimResults() ?? this.keptResults());
    const isAnswered = results?.points.some(({ degenerate }) => degenerate !== null) ?? false;
    const isFromHere = this.texts.size > 0 && isAnswered;
    return {
      state: phase.state,
      progress: 'progress' in phase ? phase.progress : null,
      error: phase.state === 'failed' ? errorView(phase.failure) : null,
      stale: phase.state === 'running' ? [] : (kept?.stale ?? []),
      results,
      answers: isFromHere ? (this.showsAnswers ? 'shown' : 'hidden') : this.hasFigures ? 'gone' : 'none',
      canAskModel: isFromHere && phase.state === 'done',
    };
  }

  /** @throws SafeLoraError if there are no figures */
  requireRecord(): EvaluationRecord {
    if (this.kept) return this.kept.record;
    throw notEvaluated(this.subject.adapter().path);
  }

  /** The report with corrections. @throws SafeLoraError if there are no figures */
  report(): EvaluationReport {
    return reportOf(this.requireRecord());
  }

  /** What travels with a saved adapter; nothing where the figures are stale, or are of other modules. */
  excerpt(selected: ReadonlySet<string>): { behaviour?: BehaviourExcerpt } {
    const found = this.kept?.stale.length === 0 ? excerptOf(this.kept.record, selected) : null;
    return found ? { behaviour: found } : {};
  }

  async correct(correction: Correction): Promise<void> {
    const record = this.requireRecord();
    const found = record.points
      .map(({ verdicts }) => verdicts?.[correction.set]?.[correction.prompt])
      .find((verdict) => verdict?.sha256 === correction.sha256);
    if (!found) return;
    const corrections = withCorrection(record.corrections, correction, judgementOf(found));
    await this.change({ ...record, corrections });
  }

  /** @returns the number of modules that meets the demands, or the nearest; null if no point was measured for them */
  async choose(demands: Demands): Promise<number | null> {
    const record = withDemands(this.requireRecord(), demands);
    await this.change(record);
    const { choice } = correctedIn(record) ?? record.report;
    return choice ? (choice.count ?? choice.nearest) : null;
  }

  async judgeByModel(modelJudgement: ModelJudgement): Promise<void> {
    await this.change({ ...this.requireRecord(), modelJudgement });
  }

  setShown(shown: boolean): void {
    this.showsAnswers = shown;
    this.tell();
  }

  get isShown(): boolean {
    return this.showsAnswers && this.hasAnswers;
  }

  /** Answers of the aligned model, the original adapter and one point. */
  answers(count: number): AnswersView | null {
    const points = this.currentPoints();
    if (!this.isShown || !points) return null;
    const corrections = new Map((this.record?.corrections ?? []).map((one) => [answerKey(one), one.judgement]));
    const at = (wanted: number | null, set: number, prompt: number): AnswerView | null => {
      const verdict = points.find((point) => point.count === wanted)?.verdicts?.[set]?.[prompt];
      if (!verdict?.sha256) return null;
      const { sha256, cutOff, utility } = verdict;
      const judged = judgementOf(verdict);
      return {
        text: this.textOf(wanted, set, prompt, verdict),
        sha256,
        judgement: corrections.get(answerKey({ set, prompt, sha256 })) ?? judged,
        judged,
        cutOff,
        utility,
      };
    };
    return {
      count,
      rows: this.sets.flatMap(({ prompts }, set) =>
        prompts.map(({ messages, reference }, prompt) => ({
          set,
          prompt,
          question: messages.map(({ content }) => content).join('\n'),
          reference,
          aligned: at(null, set, prompt),
          adapter: at(0, set, prompt),
          chosen: at(count, set, prompt),
        })),
      ),
    };
  }

  /** Each different answer to a harmful prompt, once, with its text. */
  harmfulAnswers(): { set: number; prompt: number; sha256: string; question: string; answer: string }[] {
    const found = new Map<string, ReturnType<BehaviourRun['harmfulAnswers']>[number]>();
    for (const { count, verdicts } of this.currentPoints() ?? []) {
      for (const [set, { role, prompts }] of this.sets.entries()) {
        if (role !== 'harmful') continue;
        verdicts?.[set]?.forEach((verdict, prompt) => {
          const answer = this.textOf(count, set, prompt, verdict);
          const { sha256 } = verdict;
          const question = prompts[prompt]!.messages.map(({ content }) => content).join('\n');
          if (answer !== null) found.set(answerKey({ set, prompt, sha256 }), { set, prompt, sha256, question, answer });
        });
      }
    }
    return [...found.values()];
  }

  /** Every answer in memory, with its prompt. */
  answerLines(): object[] {
    return (this.currentPoints() ?? []).flatMap(({ count, verdicts }) =>
      this.sets.flatMap((ofSet, set) =>
        (verdicts?.[set] ?? []).map((verdict, prompt) =>
          answerRecord(count, ofSet, prompt, verdict, this.textOf(count, set, prompt, verdict)),
        ),
      ),
    );
  }

  override dispose(): void {
    this.aborting?.abort(new Cancelled());
    super.dispose();
  }

  private get folder(): string {
    return dirname(this.subject.uri.fsPath);
  }

  private get hasFigures(): boolean {
    return this.kept?.record.points.some(({ verdicts }) => verdicts !== null) ?? false;
  }

  private forgetAnswers(): void {
    this.texts.clear();
    this.sets = [];
    this.showsAnswers = false;
  }

  private async run(request: EvaluationRequest, { agree, agreeToRun }: Consent): Promise<void> {
    const { log } = this.services;
    const { signal } = (this.aborting = new AbortController());
    const time = new TimeLeft();
    let progress: BehaviourProgress;
    const enter = (stage: BehaviourProgress['stage'], done = 0, total = 0): void => {
      progress = { stage, done, total, secondsLeft: time.seconds(stage, done, total) };
      this.phase = { state: 'running', progress };
      this.tellSoon();
    };
    this.interim = null;
    enter('measuring');
    this.tell();
    try {
      const { base, aligned } = this.requireModels();
      const asked = this.asked(request, base, aligned);
      const evaluated = await evaluate(asked, this.services.language, {
        signal,
        known: await this.subject.known(),
        agree,
        onModel: agreeToRun,
        onProgress: ({ bytesDone, bytesTotal }) => {
          enter('measuring', bytesDone, bytesTotal);
        },
        onFetched: ({ bytesFetched, bytesToFetch }) => {
          enter('fetching', bytesFetched, bytesToFetch);
        },
        onLoad: () => {
          enter('loading');
        },
        onStage: enter,
        onInterim: (points, sets, order) => {
          this.interim = { points, sets, order };
          this.results = null;
        },
        onAnswers: (answers) => {
          for (const { count, set, prompt, text } of answers) this.texts.set(`${count} ${set} ${prompt}`, text);
        },
      });
      signal.throwIfAborted();
      this.sets = evaluated.sets;
      const record = recordOf(evaluated.key, evaluated.report, evaluated.sets, evaluated.points);
      await this.store(request, record, await this.entryOf(request, evaluated.inspection));
      await evaluated.done();
      this.phase = { state: 'done' };
      this.interim = null;
    } catch (failure) {
      const isCancelled = signal.aborted || failure instanceof Cancelled;
      if (!isCancelled) log.error(failure instanceof SafeLoraError ? failure.message : (failure as Error));
      this.phase = isCancelled ? { state: 'cancelled', progress: progress! } : { state: 'failed', failure };
      const interim = this.interim as Interim | null;
      if (interim) this.sets = interim.sets;
    } finally {
      this.aborting = undefined;
      this.results = null;
      this.tell();
    }
  }

  private asked(request: EvaluationRequest, base: string, aligned: string): EvaluateRequest {
    const { evaluations } = this.services;
    return {
      ...request,
      adapter: this.subject.adapter(),
      base,
      aligned,
      selection: this.subject.selection(),
      demands: null,
      maxTokens: null,
      refusals: null,
      template: null,
      system: null,
      precision: null,
      device: setting('device', this.subject.uri),
      memory: null,
      journalPath: (key) => evaluations.journalPath(key),
      keepsAnswers: false,
    };
  }

  private requireModels(): ModelPair {
    const { base, aligned } = this.subject.models();
    if (base && aligned) return { base, aligned };
    throw modelsUnknownNow(this.subject.adapter().path);
  }

  /** The identity of everything that was evaluated. */
  private async entryOf({ prompts }: EvaluationRequest, inspection: Report): Promise<EvaluationEntry> {
    const { inspections, language } = this.services;
    const adapter = this.subject.adapter();
    const models = await Promise.all(
      [inspection.base.path, inspection.aligned.path].map((path) => language.models.open(path)),
    );
    const files = prompts.map(({ path }) => path).filter((path) => !isOnHub(path));
    const ofSample = prompts.length === 0 ? await samplePrompts(models[1]!) : null;
    return {
      adapter: await inspections.identify(adapter),
      trainedOn: adapter.trainedOn,
      models: { base: models[0]!.path, aligned: models[1]!.path },
      modelFiles: models.flatMap((model) => checkpointStamps(model)),
      prompts: await Promise.all(
        [...files, ...(ofSample === null ? [] : [ofSample])].map(async (path) => ({
          ...(await stampOf(path)),
          sha256: await hashFile(path),
        })),
      ),
      chat: await chatStamps(models[1]!),
    };
  }

  private async change(record: EvaluationRecord): Promise<void> {
    await this.store(this.kept!.request, record, this.kept!.entry);
    this.tell();
  }

  /** A temporary copy of an adapter has no folder to store results for. */
  private async store(request: EvaluationRequest, record: EvaluationRecord, entry: EvaluationEntry): Promise<void> {
    const { evaluations, log } = this.services;
    const stale = this.kept?.entry === entry ? this.kept.stale : [];
    this.kept = { request, record, entry, stale };
    this.results = null;
    if (this.subject.uri.scheme !== 'file') return;
    const kept = this.kept;
    this.isStoring = true;
    this.storing = this.storing.then(() =>
      evaluations.keep(this.folder, kept).catch((error: unknown) => {
        log.warn(`The evaluation is not kept: ${(error as Error).message}`);
      }),
    );
    await this.storing;
    this.isStoring = this.kept !== kept;
  }

  private currentPoints(): readonly RunPoint[] | null {
    return this.phase.state === 'done' ? (this.kept?.record.points ?? null) : (this.interim?.points ?? null);
  }

  private textOf(count: number | null, set: number, prompt: number, { sha256 }: Verdict): string | null {
    const text = this.texts.get(`${count} ${set} ${prompt}`);
    return text !== undefined && hashBytes(Buffer.from(text)).startsWith(sha256) ? text : null;
  }

  private keptResults(): BehaviourResults | null {
    if (!this.kept) return null;
    this.results ??= resultsView(this.kept.record);
    return this.results;
  }

  private interimResults(): BehaviourResults | null {
    const { interim } = this;
    if (!interim) return null;
    this.results ??= {
      points: resultsOf(interim.sets, interim.points, null).points.map((point) => pointView(point, null)),
      order: [...interim.order],
      sets: interim.sets.map(({ name, role, metric, prompts }) => ({ name, role, metric, n: prompts.length })),
      judge: null,
      engine: null,
      corrected: 0,
      choice: null,
      modelJudge: null,
      notices: [],
    };
    return this.results;
  }

  private tellSoon(): void {
    if (performance.now() - this.told > TELL_MS) this.tell();
  }

  private tell(): void {
    this.told = performance.now();
    this.changed.fire();
  }
}

/** The figures after corrections. */
export function resultsView(record: EvaluationRecord): BehaviourResults {
  const { report, sets, points, corrections, modelJudgement } = record;
  const { order, judge, engine, notices } = report;
  const corrected = correctedIn(record);
  const found = corrected ?? report;
  const marked = correct(points, corrections);
  return {
    points: found.points.map((point, i) => pointView(point, marked[i]!.verdicts)),
    order,
    sets: report.sets.map(({ name, role, metric, n }) => ({ name, role, metric, n })),
    judge: { name: judge.name, version: judge.version },
    engine: { precision: engine.precision, provider: engine.device.provider, maxTokens: engine.maxTokens },
    corrected: corrected?.answers ?? 0,
    choice: found.choice,
    modelJudge: modelJudgement && modelFigures(modelJudgement, sets, points),
    notices,
  };
}

function pointView({ modules: _, ...point }: EvaluationReport['points'][number], verdicts: Verdicts | null): PointView {
  return { ...point, corrected: verdicts ? correctedAnswers(verdicts) : 0 };
}

/** On the hub the commit fixes them. */
async function chatStamps({ realPath, remote }: Checkpoint): Promise<FileStamp[]> {
  return remote ? [] : Promise.all(CHAT_FILES.map((name) => stampOf(join(realPath, name))));
}

function notEvaluated(path: string): SafeLoraError {
  return new SafeLoraError(
    'not-evaluated',
    vscode.l10n.t('{0}: its behaviour is not measured; open it and use "Evaluate…" in the view Behaviour.', path),
  );
}

export function modelsUnknownNow(path: string): SafeLoraError {
  return new SafeLoraError(
    'models-unknown',
    vscode.l10n.t('{0}: choose its base and its aligned model first ("Safe LoRA: Choose Models…").', path),
  );
}
