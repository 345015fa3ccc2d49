// safe-lora install-cuda as a user runs it, against a feed on this machine.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { storageFolder } from '../../src/cli/storage';
import { versions } from '../fixtures/devices';
import { cli, cliPath, type CliResult, elsewhere, noProxy, temporaryFolder } from '../fixtures/make';
import { ID, makePackage } from './package';
import { Feed } from './server';

const version = versions.onnxruntime;
const folder = temporaryFolder();
const storage = join(folder, 'storage');
const cuda = join(storage, 'cuda');
const provider = join(cuda, version);
const part = join(cuda, `${ID}.${version}.nupkg.part`);

let feed: Feed;
let bytes: Buffer;

before(async () => {
  bytes = await makePackage(version, { needed: ['libcudart.so.99', 'libcublas.so.99', 'libc.so.6'] });
});
beforeEach(async () => {
  rmSync(storage, { recursive: true, force: true });
  (feed as Feed | undefined)?.stop();
  feed = await Feed.start(version, bytes);
});
after(() => {
  feed.stop();
});

const environment = (): NodeJS.ProcessEnv => ({
  ...noProxy,
  SAFE_LORA_STORAGE: storage,
  SAFE_LORA_NUGET_INDEX: feed.index,
});
const run = (args: string[], env: NodeJS.ProcessEnv = {}): Promise<CliResult> =>
  cli(['install-cuda', ...args], { env: { ...environment(), ...env } });

describe('install-cuda', { skip: elsewhere }, () => {
  it('downloads, installs, and says what is still missing and what brings it', async () => {
    const { status, stdout, stderr } = await run([]);
    assert.deepEqual([status, stderr], [0, '']);
    assert.deepEqual(readdirSync(cuda), [version]);
    assert.match(stdout, new RegExp(`^\\d+\\.\\d kB from 127\\.0\\.0\\.1:\\d+ into ${provider}\n`));
    assert.ok(stdout.includes(`\ninstalled  ${provider}\n`));
    assert.match(
      stdout,
      /\n {2}libcudart\.so\.99 {2}comes with pip's nvidia-cuda-runtime==99\.\* or apt's libcudart99\n/,
    );
    assert.match(
      stdout,
      /\nAll that pip brings: python3 -m pip install .* 'nvidia-cuda-runtime==99\.\*' 'nvidia-cublas==99\.\*'\n/,
    );
  });

  it('installs from a file without asking anybody, and removes', async () => {
    const archive = join(folder, 'package.nupkg');
    writeFileSync(archive, bytes);
    const { status, stdout } = await run(['--archive', archive]);
    assert.equal(status, 0);
    assert.ok(stdout.startsWith(`installed  ${provider}\n`));
    assert.equal(feed.asked.length, 0);
    assert.deepEqual(await run(['--remove']), { status: 0, signal: null, stdout: `removed  ${cuda}\n`, stderr: '' });
    assert.ok(!existsSync(cuda));
    assert.equal((await run(['--remove'])).stdout, `nothing to remove in ${cuda}\n`);
    assert.equal((await run(['--archive', join(folder, 'none')])).status, 1);
  });

  it('says without a network in one line how it is done without one', async () => {
    const env = environment();
    feed.stop();
    const { status, stdout, stderr } = await cli(['install-cuda'], { env });
    assert.deepEqual([status, stdout], [1, '']);
    assert.match(
      stderr,
      /^safe-lora: http:\/\/127\.0\.0\.1:\d+\/v3\/index\.json: cannot be reached: nothing answers there; [^\n]*\n$/,
    );
    for (const part of [ID, version, 'https://www.nuget.org/api/v2/package/', 'safe-lora install-cuda --archive FILE'])
      assert.ok(stderr.includes(part), part);
  });

  for (const [signal, expected] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    it(`keeps at ${signal} what has come, and goes on with it`, async () => {
      feed.turns = [{ kind: 'slow', pieces: 30, pause: 100 }];
      const child = spawn(process.execPath, [cliPath, 'install-cuda'], { env: { ...process.env, ...environment() } });
      let stderr = '';
      child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
      const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
      while (!existsSync(part) || statSync(part).size < 50_000) await delay(20);
      child.kill(signal);
      assert.equal(await ended, expected);
      assert.match(stderr, /^safe-lora: interrupted; [^\n]*\n$/);
      assert.deepEqual(readdirSync(cuda).sort(), [`${ID}.${version}.nupkg.part`, `${ID}.${version}.nupkg.part.json`]);
      const { size } = statSync(part);
      feed.turns = [{ kind: 'whole' }];
      assert.equal((await run([])).status, 0);
      assert.equal(feed.downloads.at(-1)!.range, `bytes=${size}-`);
      assert.equal(feed.downloads.at(-1)!.sent, bytes.length - size);
    });

  it('goes through the proxy that the environment names, and not where it says so', async () => {
    const asked: string[] = [];
    const proxy: Server = createServer();
    proxy.on('connect', (request, socket) => {
      asked.push(request.url!);
      const { hostname, port } = new URL(`http://${request.url!}`);
      const onward = connect(Number(port), hostname, () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        socket.pipe(onward).pipe(socket);
      });
      for (const end of [socket, onward]) end.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    assert.equal((await run([], { HTTP_PROXY: address, http_proxy: address })).status, 0);
    assert.ok(asked.length > 0 && asked.every((host) => host === new URL(feed.origin).host));
    asked.length = 0;
    const without = { HTTP_PROXY: address, http_proxy: address, NO_PROXY: '127.0.0.1', no_proxy: '127.0.0.1' };
    assert.equal((await run([], without)).status, 0);
    assert.deepEqual(asked, []);
    proxy.close();
    proxy.closeAllConnections();
  });

  it('tells misuse apart', async () => {
    for (const args of [['--archive', 'x', '--remove'], ['x'], ['--archive', ''], ['--device', 'cuda']]) {
      const { status, stderr } = await run(args);
      assert.equal(status, 2, args.join(' '));
      assert.match(stderr, /^safe-lora: [^\n]*\nRun .* install-cuda --help to see the options\.\n$/);
    }
    assert.equal(feed.asked.length, 0);
  });
});

describe('the command line’s storage', () => {
  it('is the one that it is given, else the user’s data folder', () => {
    assert.equal(storageFolder({ SAFE_LORA_STORAGE: '/s', XDG_DATA_HOME: '/x' }, 'linux'), '/s');
    assert.equal(storageFolder({ XDG_DATA_HOME: '/x' }, 'linux'), '/x/safe-lora');
    assert.match(storageFolder({ XDG_DATA_HOME: 'relative' }, 'linux'), /\/\.local\/share\/safe-lora$/);
    assert.match(storageFolder({ LOCALAPPDATA: '/l' }, 'win32'), /^\/l.safe-lora$/);
  });
});
