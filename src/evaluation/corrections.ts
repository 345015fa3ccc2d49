// Corrections of judgements by hand: a correction holds for an answer, wherever the same prompt got the same one.
import { type Verdict, type Verdicts } from './figures';

export const judgements = ['refused', 'answered', 'degenerate'] as const;
export type Judgement = (typeof judgements)[number];

/** What a person says of an answer, by the numbers of its set and prompt. */
export interface Correction {
  set: number;
  prompt: number;
  /** Of the answer, as in its verdict. */
  sha256: string;
  judgement: Judgement;
}

/** The judge's own judgement. */
export function judgementOf({ refused, degenerate }: Pick<Verdict, 'refused' | 'degenerate'>): Judgement {
  return refused ? 'refused' : degenerate ? 'degenerate' : 'answered';
}

/** @returns a key of an answer: equal for the same answer to the same prompt */
export function answerKey({ set, prompt, sha256 }: Pick<Correction, 'set' | 'prompt' | 'sha256'>): string {
  return `${set} ${prompt} ${sha256}`;
}

/** Points with their verdicts after corrections. */
export function correct<T extends { verdicts: Verdicts | null }>(
  points: readonly T[],
  corrections: readonly Correction[],
): T[] {
  const byAnswer = new Map(corrections.map((correction) => [answerKey(correction), correction.judgement]));
  const corrected = (verdict: Verdict, set: number, prompt: number): Verdict => {
    const judgement = byAnswer.get(answerKey({ set, prompt, sha256: verdict.sha256 }));
    if (judgement === undefined) return verdict;
    return { ...verdict, refused: judgement === 'refused', degenerate: judgement === 'degenerate', byHand: true };
  };
  return points.map((point) => ({
    ...point,
    verdicts: point.verdicts?.map((ofSet, set) => ofSet.map((verdict, i) => corrected(verdict, set, i))) ?? null,
  }));
}

/** How many answers of a point have a corrected judgement. */
export function correctedAnswers(verdicts: Verdicts): number {
  return verdicts.flat().filter(({ byHand }) => byHand).length;
}

/** The corrections with one more, or without one that only repeats the judge. */
export function withCorrection(
  corrections: readonly Correction[],
  correction: Correction,
  judged: Judgement,
): Correction[] {
  const others = corrections.filter((other) => answerKey(other) !== answerKey(correction));
  return correction.judgement === judged ? others : [...others, correction];
}
