// What the VSIX holds of others is known: to an audit as a dependency, to users by its licence, to scanners by the SBOM.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { root } from '../fixtures/make';

interface Sbom {
  specVersion: string;
  components: { group?: string; name: string; version: string; purl: string }[];
}

const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const meta = JSON.parse(read('dist/meta.json')) as { inputs: Record<string, unknown> };
const shipped = [
  ...new Set(
    Object.keys(meta.inputs).flatMap((path) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []),
  ),
];

describe('a package that is shipped', () => {
  let sbom: Sbom;
  let texts: [string, string];
  let notices: string;
  before(() => {
    const script = `import { makeNotices, makeSbom } from './supply.mjs';
      const [one, two] = [makeSbom(), makeSbom()];
      process.stdout.write(JSON.stringify([one, two, makeNotices(one)]));`;
    const out = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      cwd: root,
      encoding: 'utf8',
      maxBuffer: 2 ** 26,
    });
    const [one, two, made] = JSON.parse(out) as [string, string, string];
    texts = [one, two];
    notices = made;
    sbom = JSON.parse(one) as Sbom;
  });
  const nameOf = ({ group, name }: { group?: string; name: string }): string => (group ? `${group}/${name}` : name);

  it('is a dependency', () => {
    const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, { dev?: boolean }> };
    assert.ok(shipped.length > 20 && shipped.includes('node_modules/onnxruntime-node'));
    for (const path of shipped) {
      assert.ok(packages[path], path);
      assert.ok(!packages[path].dev, `${path} is bundled, and a development dependency`);
    }
  });

  it('stands in the SBOM, and nothing else', () => {
    assert.equal(sbom.specVersion, '1.6');
    const listed = sbom.components.map((component) => `${nameOf(component)}@${component.version}`);
    const expected = shipped.map((path) => {
      const { name, version } = JSON.parse(read(`${path}/package.json`)) as { name: string; version: string };
      return `${name}@${version}`;
    });
    assert.deepEqual(listed.toSorted(), expected.toSorted());
    for (const { purl } of sbom.components) assert.match(purl, /^pkg:npm\//);
    assert.equal(texts[0], texts[1], 'equal bytes for equal packages');
  });

  it('is named with its licence', () => {
    for (const component of sbom.components) {
      const start = notices.indexOf(`\n${nameOf(component)} ${component.version} (`);
      assert.ok(start > 0, nameOf(component));
      assert.match(notices.slice(start, start + 3000), /copyright|permission/i, nameOf(component));
    }
  });
});
