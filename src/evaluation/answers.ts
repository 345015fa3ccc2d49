// The answers as JSONL, one line each after a head. They may be harmful text, and are written only where the user asks for it.
import { type EvaluationReport } from './report';

export const ANSWERS_SCHEMA = 'safe-lora/answers@1';

/** @param key of the evaluation */
export function answersText(
  key: string,
  { adapter, judge }: Pick<EvaluationReport, 'adapter' | 'judge'>,
  records: readonly object[],
): string {
  const head = { schema: ANSWERS_SCHEMA, evaluation: key, adapter: adapter.name, judge };
  return [head, ...records].map((record) => `${JSON.stringify(record)}\n`).join('');
}
