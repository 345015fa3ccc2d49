// Makes the VSIX of one platform (--target T, host for this one) or of all, and holds its contents against the list of what belongs there.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, sep } from 'node:path';
import { parseArgs } from 'node:util';
import yauzl from 'yauzl';
import { binaries, binaryFolder, names, runtimeScripts } from './runtime.mjs';
import { makeNotices, makeSbom } from './supply.mjs';

// Holds the bytes of libonnxruntime.1.dylib once more; the binding asks for that name only.
const duplicate = /^libonnxruntime\.\d+\.\d+\.\d+\.dylib$/;
// In 10^6 bytes: what every GPU machine downloads stays small.
const limits = { 'linux-x64': 25 };
const staged = 'dist/node_modules';

process.chdir(import.meta.dirname);
const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

function chosenTargets() {
  const { target } = parseArgs({ options: { target: { type: 'string', default: 'linux-x64' } } }).values;
  if (target === 'all') return Object.keys(binaries);
  const one = target === 'host' ? `${process.platform}-${process.arch}` : target;
  if (one in binaries) return [one];
  console.error(`package: no target ${one}; there are ${Object.keys(binaries).join(', ')}, host and all.`);
  process.exit(2);
}

function node(...args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  process.stderr.write(status === 0 ? stderr : stdout + stderr);
  if (status !== 0) throw new Error(`node ${args.join(' ')}: exit status ${status}`);
}

/** What safeLora.openSample copies. */
function sampleFiles() {
  return readdirSync('sample', { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== 'demo.mjs')
    .map((entry) => `${entry.parentPath}/${entry.name}`.replaceAll(sep, '/'));
}

function stage(target) {
  const folder = binaryFolder(target);
  const found = readdirSync(`node_modules/${folder}`).filter((name) => !duplicate.test(name));
  for (const path of [...runtimeScripts(), ...found.map((name) => `${folder}/${name}`)]) {
    mkdirSync(dirname(`${staged}/${path}`), { recursive: true });
    cpSync(`node_modules/${path}`, `${staged}/${path}`);
  }
}

/** All that may and must be in a target's VSIX, under the names that vsce gives. */
function expectedEntries(target) {
  const within = [
    'package.json',
    ...names('.', /^package\.nls(\.[\w-]+)?\.json$/),
    ...names('l10n', /^bundle\.l10n(\.[\w-]+)?\.json$/).map((name) => `l10n/${name}`),
    'readme.md',
    'changelog.md',
    'docs/codes.md',
    'LICENSE.txt',
    ...names('media', /^icon\.png$|^(?!icon\.).*\.svg$/).map((name) => `media/${name}`),
    ...sampleFiles(),
    'dist/THIRD_PARTY_NOTICES.txt',
    ...[
      'extension.js',
      'cli.js',
      'engine-child.js',
      'gpus.js',
      'model-child.js',
      'chat-child.js',
      'page.js',
      'comparison.js',
    ].map((name) => `dist/${name}`),
    ...names('dist', /^(page|comparison)\.css$/).map((name) => `dist/${name}`),
    ...runtimeScripts().map((path) => `${staged}/${path}`),
    ...binaries[target].map((name) => `${staged}/${binaryFolder(target)}/${name}`),
  ];
  return ['[Content_Types].xml', 'extension.vsixmanifest', ...within.map((path) => `extension/${path}`)];
}

async function check(target, vsix) {
  const entries = [];
  for await (const entry of (await yauzl.openPromise(vsix)).eachEntry()) entries.push(entry);
  const found = new Set(entries.map(({ fileName }) => fileName));
  const expected = new Set(expectedEntries(target));
  const faults = [
    ...[...found].filter((name) => !expected.has(name)).map((name) => `does not belong there: ${name}`),
    ...[...expected].filter((name) => !found.has(name)).map((name) => `is missing: ${name}`),
  ];
  const { size } = statSync(vsix);
  if (size > (limits[target] ?? Infinity) * 1e6) faults.push(`is ${megabytes(size)}, more than ${limits[target]} MB`);
  if (faults.length > 0) throw new Error(`${vsix}\n  ${faults.join('\n  ')}`);

  console.log(
    `${vsix}: ${megabytes(size)}, ${entries.length} files, as listed. The largest, as packed and as installed:`,
  );
  for (const entry of entries.toSorted((a, b) => b.compressedSize - a.compressedSize).slice(0, 4)) {
    const sizes = [entry.compressedSize, entry.uncompressedSize].map((bytes) => megabytes(bytes).padStart(8));
    console.log(`  ${sizes.join(' ')}  ${entry.fileName.replace('extension/', '')}`);
  }
}

const targets = chosenTargets();
node('esbuild.mjs');
const sbom = makeSbom();
writeFileSync('dist/THIRD_PARTY_NOTICES.txt', makeNotices(sbom));
for (const target of targets) {
  const vsix = `safe-lora-${target}-${version}.vsix`;
  try {
    stage(target);
    // vsce resolves no dependencies: the staged ones are complete.
    node('node_modules/@vscode/vsce/vsce', 'package', '--no-dependencies', '--target', target, '--out', vsix);
  } finally {
    // dist/cli.js in the checkout goes on with the node_modules of the checkout.
    rmSync(staged, { recursive: true, force: true });
  }
  await check(target, vsix);
  writeFileSync(`${vsix}.cdx.json`, sbom);
}
