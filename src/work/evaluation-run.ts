// Runs an evaluation's points: the aligned model first, to learn the first tokens of refusals, then scores of every count, then answers.
import { type Notice } from '../core/errors';
import { type MeasuredModule, selectable } from '../core/report';
import { byRisingSimilarity, isCandidate, select, type Selection } from '../core/rules';
import { countAt, type PointRequest, type RankedModule, stepsOf, thresholdAt } from '../evaluation/points';
import { type RunPoint } from '../evaluation/report';
import { gates } from '../llm/protocol';
import { type Behaviour, type Variant } from './behaviour';

export interface RunRequest {
  points: PointRequest;
  /** The selection, which is always a point. */
  selection: Selection;
  /** Only scores. */
  scoreOnly: boolean;
}

/** The points and their results. */
export class Run {
  refusals: number[] = [];
  readonly notices: Notice[] = [];
  /** Points with generated answers. */
  private answered: (number | null)[] = [];

  constructor(
    private readonly request: RunRequest,
    private readonly modules: readonly MeasuredModule[],
    private readonly candidates: readonly RankedModule[],
    private readonly behaviour: Behaviour,
  ) {}

  async evaluate(): Promise<void> {
    const { behaviour, candidates } = this;
    const aligned = this.variant(null);
    await behaviour.answer([aligned], ({ set }) => set.role === 'harmful');
    this.refusals = behaviour.refusalTokens(null);
    if (this.refusals.length === 0 && behaviour.hasHarmful) this.notices.push(noRefusals);
    const all = [aligned, ...Array.from({ length: candidates.length + 1 }, (_, count) => this.variant(count))];
    await behaviour.score(all, this.refusals);
    if (this.request.scoreOnly) return;
    this.answered = [null, ...this.counts()];
    await behaviour.answer(this.answered.map((count) => this.variant(count)));
  }

  /** Results so far: the aligned model, then the adapter by ascending count. */
  points(): RunPoint[] {
    const { behaviour, candidates } = this;
    const all = [null, ...Array.from({ length: candidates.length + 1 }, (_, count) => count)];
    return all.map((count): RunPoint => {
      const score = behaviour.scoreOf(count);
      return {
        count,
        threshold: count === null ? null : thresholdAt(candidates, count),
        modules: count === null ? [] : candidates.slice(0, count).map(({ name }) => name),
        refusalScore: score?.refusalScore ?? null,
        referenceScore: score?.referenceScore ?? null,
        verdicts: this.answered.includes(count) ? behaviour.verdictsOf(count) : null,
      };
    });
  }

  /** Counts with generated answers: the original adapter, the selection, and the requested ones. */
  private counts(): number[] {
    const { candidates } = this;
    const { points, selection } = this.request;
    const most = candidates.length;
    const fixed = [0, select(this.modules.map(selectable), selection).size];
    const asked =
      'auto' in points
        ? stepsOf(
            Array.from({ length: most + 1 }, (_, count) => this.behaviour.scoreOf(count)?.refusalScore ?? 0),
            fixed,
          )
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

/** Modules that can be projected, in the order of counts. */
export function rankedModules(modules: readonly MeasuredModule[]): RankedModule[] {
  return byRisingSimilarity(modules.map(selectable).filter(isCandidate));
}
