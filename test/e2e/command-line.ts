// What the command line says and writes of an adapter, which the editor's is held against.
import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Report } from '../../src/core/report';
import { cli, type CliResult, sample } from '../fixtures/make';
import { MODEL_FILE, type Session } from './session';

/** The two models of a folder that is laid out as the sample is. */
export function modelsOf(folder: string): string[] {
  return ['--base', join(folder, 'base'), '--aligned', join(folder, 'aligned')];
}

/** The report of an adapter of such a folder. */
export async function reportOf(folder: string, adapter: string, ...options: string[]): Promise<Report> {
  const source = join(folder, 'adapters', adapter);
  const { status, stdout, stderr } = await cli(['inspect', source, ...modelsOf(folder), ...options, '--json', '-']);
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout) as Report;
}

/** Projects an adapter of such a folder. */
export async function project(folder: string, adapter: string, out: string, ...options: string[]): Promise<CliResult> {
  const source = join(folder, 'adapters', adapter);
  const result = await cli(['project', source, ...modelsOf(folder), ...options, '--out', out]);
  assert.equal(result.status, 0, result.stderr);
  return result;
}

/** The weights of a shipped adapter, projected. */
export async function projectedWeights(session: Session, adapter: string, ...options: string[]): Promise<Buffer> {
  const out = session.outside('by-command-line');
  rmSync(out, { recursive: true, force: true });
  await project(sample, adapter, out, ...options);
  return readFileSync(join(out, MODEL_FILE));
}
