// Files of prompts as published sets have them, and as people get them wrong.
import assert from 'node:assert/strict';
import { createWriteStream, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promptFileOf, type PromptSet, readPrompts } from '../../src/evaluation/prompts';
import { sample, temporaryFolder } from '../fixtures/make';

const folder = temporaryFolder();

function at(name: string, content: string): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

function read(given: string): Promise<PromptSet[]> {
  return readPrompts(promptFileOf(given));
}

const texts = ({ prompts }: PromptSet): (string | undefined)[] =>
  prompts.map(({ messages }) => messages.at(-1)?.content);

void describe('prompts', () => {
  void it('are read as published sets have them', async () => {
    const cases: [name: string, content: string, role: string, first: string, reference: string | null][] = [
      ['advbench.csv', 'goal,target\n"Write a, ""b""",Sure\n', 'harmful', 'Write a, "b"', null],
      ['jbb.csv', 'Index,Goal,Target,Behavior\n0,Do it,Sure,It\n', 'harmful', 'Do it', null],
      ['strongreject.csv', 'category,source,forbidden_prompt\nx,y,"two\nlines"\n', 'harmful', 'two\nlines', null],
      ['harmbench.csv', 'Behavior,BehaviorID\nDo this,x\n', 'harmful', 'Do this', null],
      ['with-bom.csv', '\ufeffgoal,target\r\nOne,Sure\r\n', 'harmful', 'One', null],
      ['tabs.tsv', 'goal\ttarget\nOne\tSure\n', 'harmful', 'One', null],
      ['lines.jsonl', '{"goal": "One"}\n\n{"goal": "Two", "target": "Sure"}\n', 'harmful', 'One', null],
      ['list.json', '[{"goal": "One"}]', 'harmful', 'One', null],
    ];
    for (const [name, content, role, first, reference] of cases) {
      const [set, ...more] = await read(at(name, content));
      assert.equal(more.length, 0, name);
      assert.deepEqual([set!.role, texts(set!)[0], set!.prompts[0]!.reference], [role, first, reference], name);
    }
  });

  void it('with references are for utility, by the metric that is named', async () => {
    const cases: [name: string, content: string, first: string, reference: string][] = [
      ['alpaca.jsonl', '{"instruction": "Sum up", "input": "a b", "output": "c"}', 'Sum up\n\na b', 'c'],
      ['bigbench.jsonl', '{"input": "2+2", "target": "4"}', '2+2', '4'],
      ['chat.jsonl', '{"messages": [{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}', 'q', 'a'],
      ['qa.csv', 'question,answer\nq,a\n', 'q', 'a'],
      ['sum.jsonl', '{"question": "6 * 7", "answer": 42}', '6 * 7', '42'],
    ];
    for (const [name, content, first, reference] of cases) {
      const [set] = await read(`utility:rouge1:${at(name, content)}`);
      assert.deepEqual(
        [set!.role, set!.metric, texts(set!)[0], set!.prompts[0]!.reference],
        ['utility', 'rouge1', first, reference],
      );
      await assert.rejects(read(join(folder, name)), { code: 'prompts', message: /utility:METRIC/ });
    }
  });

  void it('that a metric is named for have references, whatever their role', async () => {
    const file = at('some.jsonl', '{"prompt": "a", "answer": "b"}\n{"prompt": "c"}\n');
    const [set] = await read(`harmless:${file}`);
    assert.equal(set!.metric, null);
    await assert.rejects(read(`harmless:contains:${file}`), { code: 'prompts', message: /line 2 has no reference/ });
  });

  void it('of XSTest are of two roles, and those of promptfoo are its vars', async () => {
    const sets = await read(at('xstest.csv', 'prompt,label\nKill a process?,safe\nKill a person?,unsafe\n'));
    assert.deepEqual(
      sets.map((set) => [set.role, ...texts(set)]),
      [
        ['harmless', 'Kill a process?'],
        ['harmful', 'Kill a person?'],
      ],
    );
    const promptfoo = at('redteam.yaml', 'tests:\n  - vars:\n      prompt: One\n  - vars:\n      prompt: Two\n');
    assert.deepEqual((await read(`harmful:${promptfoo}`)).map(texts), [['One', 'Two']]);
    await assert.rejects(read(promptfoo), /harmful:FILE/);
    assert.deepEqual((await read(`harmless:${at('one.txt', 'One\r\n\r\nTwo\n')}`)).map(texts), [['One', 'Two']]);
    assert.deepEqual(
      (await read(at('cases.jsonl', '{"Behavior": "a", "Label": "Safe"}\n{"goal": "b", "ROLE": "harmless"}'))).map(
        ({ role }) => role,
      ),
      ['harmless'],
    );
    assert.equal((await read(at('unsafe.jsonl', '{"goal": "One"}')))[0]!.role, 'harmful');
    // A file that says so itself is not taken for harmful by its columns.
    await assert.rejects(read(at('benign-behaviors.csv', 'Goal\nDo it\n')), /harmful:FILE/);
  });

  void it('of the sample are three sets with its own marker', async () => {
    const sets = await read(join(sample, 'prompts.json'));
    assert.deepEqual(
      sets.map(({ name, role, metric, prompts }) => [name, role, metric, prompts.length]),
      [
        ['harmful', 'harmful', null, 48],
        ['helpful', 'harmless', 'exact', 40],
        ['utility', 'utility', 'exact', 60],
      ],
    );
    assert.deepEqual(sets[0]!.judge!.phrases, ['sorry']);
  });

  void it('keep their groups and their order, and their hash changes with any of them', async () => {
    const line = (group: number): string => `{"goal": "One", "group": ${group}}\n`;
    const [one] = await read(at('groups.jsonl', line(1) + line(2)));
    const [two] = await read(at('groups.jsonl', line(2) + line(1)));
    assert.deepEqual(
      one!.prompts.map(({ group }) => group),
      ['1', '2'],
    );
    assert.notEqual(one!.sha256, two!.sha256);
  });

  void it('are refused with the place and a way on', async () => {
    mkdirSync(join(folder, 'folder.jsonl'));
    const utf16 = join(folder, 'utf16.txt');
    writeFileSync(utf16, '\ufeffDo it\r\n', 'utf16le');
    const cases: [given: string, message: RegExp][] = [
      [join(folder, 'folder.jsonl'), /it is a folder/],
      [join(folder, 'absent.csv'), /it does not exist/],
      [at('a.jsonl', '{"goal": "x"}\n["y"]'), /line 2 is neither a prompt nor an object/],
      [at('b.jsonl', '{"goal": "  "}'), /line 1 has no prompt/],
      [at('c.jsonl', '{"messages": []}'), /line 1 has no message of a user/],
      [at('c2.jsonl', '{"messages": [{"role":"assistant","content":"x"}]}'), /line 1 has no message of a user/],
      [at('d.jsonl', '{"messages": [{"role": "tool", "content": "x"}]}'), /messages without a role/],
      [at('e.csv', 'goal\n"open'), /not valid CSV/],
      [at('e2.csv', 'goal,target\nsay "hi" now,x\n'), /row 2 is not valid CSV/],
      [`harmful:${utf16}`, /contains bytes that are not UTF-8 text/],
      [at('f.yaml', '{'), /not valid YAML/],
      [at('g.json', '{"chosen": ["x"]}'), /the list "chosen" does not say whether/],
      [at('h.json', '3'), /contains no prompts/],
      [`utility:exact:${at('i.jsonl', '{"prompt": "x"}')}`, /line 1 has no reference/],
    ];
    for (const [given, message] of cases) await assert.rejects(read(given), { message }, given);
  });

  void it('of 100,000 lines are read once', async () => {
    const path = join(folder, 'many.jsonl');
    const file = createWriteStream(path);
    for (let i = 0; i < 100_000; i++) file.write(`{"goal": "prompt ${i}"}\n`);
    await new Promise((resolve) => file.end(resolve));
    const [set] = await read(path);
    assert.equal(set!.prompts.length, 100_000);
  });
});
