// What package.json tells the editor against what the code knows.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import {
  commands,
  contextKeys,
  EDITOR,
  PROBLEM_MATCHER,
  PROBLEMS_ANCHOR,
  SECTION,
  settingNames,
  TASK_TYPE,
  tools,
} from '../../src/host/common/contributions';
import { errorCodes, noticeCodes } from '../../src/core/errors';
import { root } from '../fixtures/make';

interface Manifest {
  engines: { vscode: string };
  capabilities: { untrustedWorkspaces: { restrictedConfigurations: string[] } };
  contributes: {
    commands: { command: string; title: string }[];
    customEditors: { viewType: string }[];
    submenus: { id: string }[];
    menus: Record<string, { command?: string; submenu?: string; when?: string }[]>;
    languageModelTools: { name: string }[];
    taskDefinitions: { type: string }[];
    problemMatchers: { name: string; owner: string }[];
    configuration: { properties: Record<string, unknown> };
    walkthroughs: { steps: { description: string; media: { svg: string }; completionEvents: string[] }[] }[];
  };
  devDependencies: Record<string, string>;
}

const text = readFileSync(join(root, 'package.json'), 'utf8');
const manifest = JSON.parse(text) as Manifest;
const nls = JSON.parse(readFileSync(join(root, 'package.nls.json'), 'utf8')) as Record<string, string>;

describe('the manifest', () => {
  it('has the commands, the editor, the settings and the context keys of the code', () => {
    const { contributes, capabilities } = manifest;
    assert.deepEqual(contributes.commands.map(({ command }) => command).sort(), Object.values(commands).sort());
    assert.deepEqual(
      contributes.customEditors.map(({ viewType }) => viewType),
      [EDITOR],
    );
    const settings = settingNames.map((name) => `${SECTION}.${name}`);
    assert.deepEqual(Object.keys(contributes.configuration.properties).sort(), settings.sort());
    const restricted = capabilities.untrustedWorkspaces.restrictedConfigurations;
    for (const name of restricted) assert.ok(settings.includes(name));
    // What names folders to read is not taken from a workspace that nobody trusts.
    for (const name of ['pairs', 'modelFolders']) assert.ok(restricted.includes(`${SECTION}.${name}`));
    const submenus = contributes.submenus.map(({ id }) => id);
    for (const { command, submenu } of Object.values(contributes.menus).flat()) {
      const known = submenu === undefined ? Object.values<string>(commands) : submenus;
      assert.ok(known.includes((command ?? submenu)!));
    }
    for (const id of submenus) assert.ok(id in contributes.menus, id);
    const conditions = Object.values(contributes.menus)
      .flat()
      .map(({ when }) => when ?? '')
      .join(' ');
    for (const key of Object.values(contextKeys)) assert.ok(conditions.includes(key), key);
  });

  it('has the language model tools, the task type and the problem matcher of the code', () => {
    const { languageModelTools, taskDefinitions, problemMatchers } = manifest.contributes;
    assert.deepEqual(languageModelTools.map(({ name }) => name).sort(), Object.values(tools).sort());
    assert.deepEqual(
      taskDefinitions.map(({ type }) => type),
      [TASK_TYPE],
    );
    assert.deepEqual(
      problemMatchers.map(({ name }) => `$${name}`),
      [PROBLEM_MATCHER],
    );
  });

  it('owns the problems of tasks apart from those of the editor, which a task’s start would clear', () => {
    const [matcher] = manifest.contributes.problemMatchers;
    const collections = readdirSync(join(root, 'src/host'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .flatMap((name) => [
        ...readFileSync(join(root, 'src/host', name), 'utf8').matchAll(/createDiagnosticCollection\('([^']+)'\)/g),
      ])
      .map(([, owner]) => owner);
    assert.equal(collections.length, 2);
    assert.ok(!collections.includes(matcher!.owner));
  });

  it('has every text in package.nls.json, and no text there that it does not use', () => {
    const used = [...text.matchAll(/"%([^"%]+)%"/g)].map(([, key]) => key!);
    assert.deepEqual([...new Set(used)].sort(), Object.keys(nls).sort());
  });

  it('leads through steps with commands and settings that exist, and pictures that follow the theme', () => {
    const steps = manifest.contributes.walkthroughs.flatMap((walkthrough) => walkthrough.steps);
    for (const { description, media, completionEvents } of steps) {
      const words = nls[description.slice(1, -1)]!;
      // A walkthrough renders no code.
      assert.doesNotMatch(words, /`/);
      const buttons = [...words.matchAll(/\]\(command:([^)]*)\)/g)].map(([, id]) => id!);
      assert.ok(buttons.length > 0, description);
      for (const id of buttons) assert.ok(Object.values<string>(commands).includes(id), id);
      for (const event of completionEvents) {
        const [kind, about] = event.split(/:(.*)/) as [string, string];
        if (kind === 'onCommand') assert.ok(Object.values<string>(commands).includes(about), event);
        else if (kind === 'onSettingChanged') assert.ok(about in manifest.contributes.configuration.properties, event);
        else assert.ok(kind === 'onContext' && about.includes(EDITOR), event);
      }
      // The editor's content security policy drops styles, so that colours must stand in attributes.
      const picture = readFileSync(join(root, media.svg), 'utf8');
      assert.match(picture, /fill="var\(--vscode-foreground\)"/);
      assert.doesNotMatch(picture, /<style|style=/);
    }
  });

  it('ships a page with a row for every notice and a section for every other code', () => {
    const lines = readFileSync(join(root, 'docs/codes.md'), 'utf8').split('\n');
    const rows = lines.flatMap((line) => /^\| `([\w-]+)` \|/.exec(line)?.[1] ?? []);
    for (const code of noticeCodes) assert.ok(rows.includes(code), code);
    const known: readonly string[] = [...noticeCodes, ...errorCodes, 'modules-selected', 'adapter-modified'];
    for (const code of rows) assert.ok(known.includes(code), code);
    assert.equal(new Set(rows).size, rows.length);
    assert.ok(lines.includes(PROBLEMS_ANCHOR));
    assert.ok(readFileSync(join(root, '.vscodeignore'), 'utf8').split('\n').includes('!docs/codes.md'));
  });

  it('asks for no newer editor than the types are for', () => {
    const [wanted, typed] = [manifest.engines.vscode, manifest.devDependencies['@types/vscode']!].map((range) =>
      Number(/^\D*1\.(\d+)\./.exec(range)![1]),
    );
    assert.ok(typed! <= wanted!);
    assert.ok(wanted! <= 100);
  });
});
