// What the VSIX holds of others: the packages that esbuild put into dist/ and onnxruntime, their licences, and an SBOM.
import { Buffer } from 'node:buffer';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { runtimeScripts } from './runtime.mjs';

/**
 * One metafile of all bundles, with the files that were bundled to the last byte left out, and with onnxruntime, which lies beside them.
 * Format: https://esbuild.github.io/api/#metafile
 */
export function shippedMetafile(metafiles) {
  const outputs = Object.assign({}, ...metafiles.map((metafile) => metafile.outputs));
  const all = Object.assign({}, ...metafiles.map((metafile) => metafile.inputs));
  const runtime = runtimeScripts().map((path) => `node_modules/${path}`);
  const shipped = Object.values(outputs).flatMap((output) =>
    Object.entries(output.inputs).flatMap(([path, { bytesInOutput }]) => (bytesInOutput > 0 ? [path] : [])),
  );
  const inputs = Object.fromEntries(shipped.map((path) => [path, all[path]]));
  const whole = Object.fromEntries(runtime.map((path) => [path, readFileSync(path).length]));
  return {
    inputs: {
      ...inputs,
      ...Object.fromEntries(Object.entries(whole).map(([path, bytes]) => [path, { bytes, imports: [] }])),
    },
    outputs: {
      ...outputs,
      'dist/node_modules': {
        bytes: Object.values(whole).reduce((sum, bytes) => sum + bytes, 0),
        inputs: Object.fromEntries(Object.entries(whole).map(([path, bytes]) => [path, { bytesInOutput: bytes }])),
        imports: [],
        exports: [],
      },
    },
  };
}

/**
 * The SBOM of dist/meta.json in CycloneDX 1.6, with the licence texts that the packages bring; equal bytes for equal packages.
 * @throws where it does not fit its schema
 */
export function makeSbom() {
  const tool = 'node_modules/@cyclonedx/cyclonedx-esbuild/bin/cyclonedx-esbuild-cli.js';
  const options = ['--gather-license-texts', '--output-reproducible', '--validate', '--sv', '1.6'];
  const made = spawnSync(process.execPath, [tool, ...options, 'dist/meta.json'], {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  if (made.status !== 0) throw new Error(`${tool}: ${made.stderr}`);
  return made.stdout;
}

const versionOf = (name) => JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version;

const MICROSOFT = `MIT License

Copyright (c) Microsoft Corporation. All rights reserved.

${readFileSync(new URL('LICENSE', import.meta.url), 'utf8')
  .split('\n')
  .slice(4)
  .join('\n')
  .trim()}`;

/** Packages that name their licence and bring no text: what their repositories hold. */
const TEXTS = {
  '@microsoft/fast-element': MICROSOFT,
  '@microsoft/fast-foundation': MICROSOFT,
  '@microsoft/fast-web-utilities': MICROSOFT,
  'onnxruntime-common': MICROSOFT,
  'onnxruntime-node': `${MICROSOFT}

Its native libraries hold works of others, whose notices are
https://github.com/microsoft/onnxruntime/blob/v${versionOf('onnxruntime-node')}/ThirdPartyNotices.txt`,
};

/**
 * THIRD_PARTY_NOTICES.txt.
 * @param sbom what `makeSbom` made
 * @throws where a package's licence text is not known
 */
export function makeNotices(sbom) {
  const { components } = JSON.parse(sbom);
  const parts = components.map((component) => {
    const name = component.group ? `${component.group}/${component.name}` : component.name;
    const declared = component.licenses.map(({ license, expression }) => expression ?? license.id ?? license.name);
    const texts = (component.evidence?.licenses ?? []).map(({ license }) =>
      Buffer.from(license.text.content, license.text.encoding ?? 'utf8')
        .toString('utf8')
        .trim(),
    );
    const known = texts.length > 0 ? texts : [TEXTS[name]];
    if (known.includes(undefined))
      throw new Error(`${name}: brings no licence text; add its repository's to supply.mjs`);
    return [`${name} ${component.version} (${declared.join(', ')})`, ...known].join('\n\n');
  });
  const head = 'The Safe LoRA extension contains the following works of others, each under its own licence.';
  return `${[head, ...parts].join(`\n\n${'-'.repeat(80)}\n\n`).replaceAll('\r\n', '\n')}\n`;
}
