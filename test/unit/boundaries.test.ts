// The core stands alone: neither the editor, the engine, the command line nor a browser.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { root } from '../fixtures/make';

it('src/core imports only itself, Node and the libraries that it was given', () => {
  const allowed = /^(?:\.\/[a-z-]+|node:[a-z/]+|pure-rand\/[a-z0-9/]+)$/i;
  const files = readdirSync(join(root, 'src/core'));
  assert.ok(files.length > 8);
  for (const file of files) {
    const text = readFileSync(join(root, 'src/core', file), 'utf8');
    for (const [, source] of text.matchAll(/^(?:import .*|\} )from '([^']+)';$/gm))
      assert.match(source!, allowed, `${file} imports ${source}`);
    assert.doesNotMatch(text, /\b(?:document|window)\./, `${file} uses the DOM`);
  }
});
