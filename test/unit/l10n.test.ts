// The German translation against the English texts, those of the manifest and those that the host speaks.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import ts from 'typescript';
import { root } from '../fixtures/make';

type Texts = Record<string, string>;

const read = (path: string): Texts => JSON.parse(readFileSync(join(root, path), 'utf8')) as Texts;
const manifest = read('package.nls.json');
const manifestGerman = read('package.nls.de.json');
const hostGerman = read('l10n/bundle.l10n.de.json');

/** English and German, both of the manifest and of the host. */
const translations = [
  ...Object.entries(manifest).map(([key, english]): [string, string] => [english, manifestGerman[key] ?? '']),
  ...Object.entries(hostGerman),
];

/** What is the same in both languages. */
const same = new Set([
  'Safe LoRA',
  'Prompts',
  '‖ΔW‖',
  '‖V‖',
  'alpha {0}',
  'auto: {0}',
  'A',
  'B',
  'B − A',
  '{0}, B − A',
]);

/** Every text that the host, or what it has in common with others, hands to l10n.t. */
function spoken(): Set<string> {
  const texts = new Set<string>();
  const files = ['src/host', 'src/page', 'src/core'].flatMap((room) =>
    readdirSync(join(root, room), { recursive: true, encoding: 'utf8' }).map((name) => join(root, room, name)),
  );
  for (const name of files.filter((file) => file.endsWith('.ts'))) {
    const source = ts.createSourceFile(name, readFileSync(name, 'utf8'), ts.ScriptTarget.Latest, true);
    const visit = (node: ts.Node): void => {
      if (ts.isIdentifier(node) && node.text === 'l10n' && !isHandedOn(node) && !isAskedFor(node)) {
        const { line } = source.getLineAndCharacterOfPosition(node.pos);
        texts.add(literalGivenTo(node) ?? assert.fail(`${name}:${line + 1}: l10n is for l10n.t('a literal', …) only`));
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  return texts;
}

/** Whether there is a translation. */
function isAskedFor({ parent }: ts.Identifier): boolean {
  return ts.isPropertyAccessExpression(parent) && parent.parent.getText().endsWith('l10n.bundle');
}

/** Where it is imported, or goes to a function outside the host, which gets it by the same name. */
function isHandedOn(l10n: ts.Identifier): boolean {
  const { parent } = l10n;
  if (ts.isImportSpecifier(parent) || ts.isParameter(parent)) return true;
  const whole = ts.isPropertyAccessExpression(parent) && parent.name === l10n ? parent : l10n;
  return ts.isCallExpression(whole.parent) && whole.parent.arguments.some((argument) => argument === whole);
}

/** The first argument in `l10n.t('…')` or `vscode.l10n.t('…')`, from its `l10n`. */
function literalGivenTo(l10n: ts.Identifier): string | undefined {
  const { parent } = l10n;
  const namespace = ts.isPropertyAccessExpression(parent) && parent.name === l10n ? parent : l10n;
  const method = namespace.parent;
  if (!ts.isPropertyAccessExpression(method) || method.expression !== namespace || method.name.text !== 't') return;
  const call = method.parent;
  if (!ts.isCallExpression(call) || call.expression !== method) return;
  const [text] = call.arguments;
  return text && ts.isStringLiteralLike(text) ? text.text : undefined;
}

/** What a translation must hand on unchanged: values, commands, settings, code. */
function fixedParts(text: string): string[] {
  return (text.match(/\{\d+\}|\]\(command:[^)]*\)|`[^`]*`|τ|ΔW|\bV\b/g) ?? []).sort();
}

describe('the German translation', () => {
  it('has every text of the manifest, and no other', () => {
    assert.deepEqual(Object.keys(manifestGerman).sort(), Object.keys(manifest).sort());
  });

  it('has every text that the host speaks, and no other', () => {
    const texts = spoken();
    assert.ok(texts.size > 200);
    assert.deepEqual(Object.keys(hostGerman).sort(), [...texts].sort());
  });

  it('is one, and keeps values, commands, settings and symbols', () => {
    for (const [english, german] of translations) {
      assert.deepEqual(fixedParts(german), fixedParts(english), english);
      assert.ok(german !== english || same.has(english), `not translated: ${english}`);
    }
  });

  it('names commands as the palette does', () => {
    const titles = Object.keys(manifest).filter((key) => key.startsWith('command.'));
    for (const [english, german] of translations) {
      for (const title of titles.filter((key) => english.includes(`Safe LoRA: ${manifest[key]!}`))) {
        assert.ok(german.includes(`Safe LoRA: ${manifestGerman[title]!}`), german);
      }
    }
  });

  it('fits beside a target of adapter_config.json, where the editor cuts at 43 letters', () => {
    const means = [
      hostGerman['similarity {0}']!.replace('{0}', '0.12'),
      hostGerman['agreement {0}']!.replace('{0}', '−0.08'),
    ];
    assert.ok([...means, '128/128'].join(' · ').length <= 43);
    assert.ok(hostGerman['before: {0}']!.replace('{0}', means.join(' · ')).length <= 43);
  });
});
