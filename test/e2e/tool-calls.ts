// Calls of language model tools as another extension makes them.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from './patience';
import { type Session } from './session';

export interface Answer {
  /** What the model is told of the tool. */
  description: string;
  text?: string;
  error?: string;
}

export const INSPECT = 'safeLora_inspectAdapter';

export async function call(session: Session, name: string, input: object): Promise<void> {
  rmSync(answerFile(session), { force: true });
  writeFileSync(join(session.editor.temporaryDir, 'tool-call.json'), JSON.stringify({ name, input }));
  await session.workbench.command('Probe: Invoke Tool');
}

export async function answer(session: Session): Promise<Answer> {
  await until(() => existsSync(answerFile(session)), 'the answer of the tool');
  return JSON.parse(readFileSync(answerFile(session), 'utf8')) as Answer;
}

export async function inspect(session: Session, input: object): Promise<Answer> {
  await call(session, INSPECT, input);
  return answer(session);
}

const answerFile = (session: Session): string => join(session.editor.temporaryDir, 'tool-answer.json');
