// Runs test files side by side, as many as the machine has cores: by itself Node's runner leaves one of them idle.
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';

const options = ['--import', 'tsx', '--test', `--test-concurrency=${availableParallelism()}`];
const { status } = spawnSync(process.execPath, [...options, ...process.argv.slice(2)], { stdio: 'inherit' });
process.exitCode = status ?? 1;
