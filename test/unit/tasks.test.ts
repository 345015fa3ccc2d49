// Tasks: a definition as the command line's words, and the command line's errors as problems.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { parseArguments } from '../../src/cli/command-line';
import { commandLine, type TaskDefinition } from '../../src/host/automation/task-arguments';
import { cli, root, smallCase, temporaryFolder } from '../fixtures/make';

interface Manifest {
  contributes: { problemMatchers: [{ pattern: { regexp: string; file: number; message: number } }] };
}

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;
const { regexp, file, message } = manifest.contributes.problemMatchers[0].pattern;

function problemIn(line: string): { file: string; message: string } | null {
  const match = new RegExp(regexp).exec(line.trimEnd());
  return match && { file: match[file]!, message: match[message]! };
}

describe('the problem matcher', () => {
  it('takes an error of the command line for a problem of the file that it names', async () => {
    const { base, adapter } = smallCase(temporaryFolder());
    const config = join(adapter, 'adapter_config.json');
    const missing = join(adapter, 'missing');
    const run = async (...args: string[]): Promise<string> =>
      (await cli(['inspect', adapter, '--base', base, '--aligned', missing, ...args])).stderr;
    assert.deepEqual(problemIn(await run()), {
      file: missing,
      message: 'the model folder does not exist; check the path.',
    });
    assert.equal(problemIn(`safe-lora: ${config}: is missing; restore it.\n`)?.file, config);
  });

  it('takes the drive of a Windows path for a part of it', () => {
    const found = problemIn(
      'safe-lora: C:\\models\\my base\\config.json: is no JSON: line 3; download the model again.',
    );
    assert.deepEqual(found, {
      file: 'C:\\models\\my base\\config.json',
      message: 'is no JSON: line 3; download the model again.',
    });
  });

  it('takes nothing else for a problem: a wrong call, a device, a bug', async () => {
    const { base, adapter } = smallCase(temporaryFolder());
    for (const args of [
      [],
      ['inspect'],
      ['inspect', adapter],
      ['inspect', adapter, '--base', base],
      ['project'],
      ['x'],
    ]) {
      const { status, stderr } = await cli(args);
      assert.equal(status, 2);
      assert.equal(problemIn(stderr), null, stderr);
    }
    assert.equal(problemIn('safe-lora: --device cuda: this version computes on the CPU only; use --device cpu.'), null);
    assert.equal(problemIn('safe-lora: unexpected: TypeError: x is not a function'), null);
  });
});

describe('a task definition', () => {
  it('of evaluate names its prompts and points', () => {
    const definition: TaskDefinition = {
      type: 'safe-lora',
      command: 'evaluate',
      adapter: 'one',
      prompts: ['harmful:a.txt', 'b.jsonl'],
      points: '3,8',
      choose: 'asr <= 0.1',
      html: 'page.html',
    };
    const args = parseArguments(commandLine(definition, '/w/one', { base: '/m/base', aligned: '/m/aligned' }));
    assert.equal(args.command, 'evaluate');
    const { adapter, prompts, points, demands, html } = args;
    assert.deepEqual(
      [adapter, points, demands?.text, html],
      ['/w/one', { counts: [3, 8], thresholds: [] }, 'asr <= 0.1', 'page.html'],
    );
    assert.deepEqual(
      prompts.map(({ role, path }) => [role, path]),
      [
        ['harmful', 'a.txt'],
        [null, 'b.jsonl'],
      ],
    );
  });

  it('becomes what the command line reads', () => {
    const definition: TaskDefinition = {
      type: 'safe-lora',
      command: 'project',
      adapter: 'adapters/one',
      threshold: 0,
      out: 'projected',
      force: true,
      again: false,
      device: 'cpu',
      memory: 512,
      json: 'report.json',
    };
    const args = commandLine(definition, '/w/adapters/one', { base: '/m/base', aligned: '/m/aligned' });
    assert.deepEqual(parseArguments(args), {
      command: 'project',
      adapters: ['/w/adapters/one'],
      base: '/m/base',
      aligned: '/m/aligned',
      selection: { mode: 'threshold', threshold: 0, overrides: { added: [], removed: [] } },
      selectionIsDefault: false,
      out: 'projected',
      force: true,
      again: false,
      device: 'cpu',
      memory: 512 * 2 ** 20,
      html: undefined,
      json: 'report.json',
      quiet: false,
      offline: false,
    });
  });
});
