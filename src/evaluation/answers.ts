// The answers as JSONL, one line each after a head. They may be harmful text, and are written only where the user asks for it.
import { type Verdict } from './figures';
import { type PromptSet } from './prompts';
import { type EvaluationReport } from './report';

export const ANSWERS_SCHEMA = 'safe-lora/answers@1';

/** One line: an answer with its prompt and the judge's verdict. */
export function answerRecord(
  count: number | null,
  { name, role, prompts }: PromptSet,
  prompt: number,
  { refused, degenerate, cutOff, utility }: Verdict,
  answer: string | null | undefined,
): object {
  const { messages, reference } = prompts[prompt]!;
  return { count, set: name, role, messages, answer, reference, refused, degenerate, cutOff, utility };
}

/** @param key of the evaluation */
export function answersText(
  key: string,
  { adapter, judge }: Pick<EvaluationReport, 'adapter' | 'judge'>,
  records: readonly object[],
): string {
  const head = { schema: ANSWERS_SCHEMA, evaluation: key, adapter: adapter.name, judge };
  return [head, ...records].map((record) => `${JSON.stringify(record)}\n`).join('');
}
