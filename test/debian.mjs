// Debian's packages that tests need, installed where they are missing.
import { spawnSync } from 'node:child_process';

/** Exits with status 1, and says what to do, where it cannot install them. */
export function installPackages(names, purpose) {
  const isMissing = (name) => {
    const { stdout } = spawnSync('dpkg-query', ['-W', '-f', '${db:Status-Status}', name], { encoding: 'utf8' });
    return stdout !== 'installed';
  };
  const missing = names.filter(isMissing);
  if (missing.length === 0) return;
  const command = `apt-get update && apt-get install ${missing.join(' ')}`;
  if (spawnSync('apt-get', ['--version']).error) {
    fail(`${purpose} need Debian or Ubuntu, for these packages: ${missing.join(' ')}`);
  }
  if (process.getuid() !== 0) fail(`${purpose} need these packages; as root: ${command}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  run('apt-get', ['update', '-qq'], { env });
  run('apt-get', ['install', '-y', '-qq', ...missing], { env });
}

/** Says what a command wrote only where it fails. */
export function run(command, args, options) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    ...options,
  });
  if (status === 0) return;
  process.stderr.write(`${stdout ?? ''}${stderr ?? ''}`);
  throw error ?? new Error(`${command} ${args.join(' ')}: exit status ${status}`);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
