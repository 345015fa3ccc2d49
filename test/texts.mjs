// Prints every text that a person may read, with the place where it is written: for whoever edits, translates or reviews them.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

process.chdir(join(import.meta.dirname, '..'));

for (const [key, text] of Object.entries(JSON.parse(readFileSync('package.nls.json', 'utf8')))) print(key, text);
for (const file of sources('src', 'webview')) {
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);
  const visit = (node) => {
    const text = textOf(node);
    if (text !== null && isSentence(text)) {
      print(`${file}:${source.getLineAndCharacterOfPosition(node.getStart()).line + 1}`, text);
      return;
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
}

function sources(...rooms) {
  return rooms.flatMap((room) =>
    readdirSync(room, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
      .map((name) => join(room, name)),
  );
}

/** A literal's text; what a template puts in appears in braces. */
function textOf(node) {
  if (ts.isStringLiteralLike(node)) return node.text;
  if (!ts.isTemplateExpression(node)) return null;
  return (
    node.head.text +
    node.templateSpans.map(({ expression, literal }) => `{${expression.getText()}}${literal.text}`).join('')
  );
}

/** Two words or more: names of files, keys and classes have one. */
function isSentence(text) {
  return /\p{L}{2,}[,.:;]? \p{L}/u.test(text.replace(/\{[^{}]*\}/g, 'it'));
}

function print(place, text) {
  console.log(`${place}\t${text.replace(/\s+/g, ' ').trim()}`);
}
