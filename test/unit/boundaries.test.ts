// The core, the network, the hub, the work and the rooms of CUDA's install and of the models' places stand alone: neither the editor, the command line nor a browser.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { root } from '../fixtures/make';

const rooms: Record<string, RegExp> = {
  'src/core': /^(?:\.\/[a-z-]+|node:[a-z/]+|pure-rand\/[a-z0-9/]+)$/i,
  'src/network': /^(?:\.\/[a-z-]+|\.\.\/core\/[a-z-]+|node:[a-z/]+)$/i,
  'src/hub': /^(?:\.\/[a-z-]+|\.\.\/(?:core|network)\/[a-z-]+|node:[a-z/]+)$/i,
  'src/cuda': /^(?:\.\/[a-z-]+|\.\.\/(?:core|network)\/[a-z-]+|node:[a-z_/]+|yauzl|crc-32)$/i,
  'src/work': /^(?:\.\/[a-z-]+|\.\.\/(?:core|engine)\/[a-z-]+)$/i,
  'src/models': /^(?:\.\/[a-z-]+|\.\.\/core\/[a-z-]+|node:[a-z/]+|yaml)$/i,
};

for (const [room, allowed] of Object.entries(rooms)) {
  it(`${room} imports only itself, Node and the libraries that it was given`, () => {
    const files = readdirSync(join(root, room));
    assert.ok(files.length > 1);
    for (const file of files) {
      const text = readFileSync(join(root, room, file), 'utf8');
      for (const [, source] of text.matchAll(/^(?:import .*|\} )from '([^']+)';$/gm))
        assert.match(source!, allowed, `${file} imports ${source}`);
      assert.doesNotMatch(text, /\b(?:document|window)\./, `${file} uses the DOM`);
    }
  });
}
