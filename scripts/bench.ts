// Runs benches by name, one after the other: `pnpm bench engine --json`. Without a name, all that need no input.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const NEED_NO_INPUT = ['engine', 'masking', 'search'];

const root = join(import.meta.dirname, '..');
const first = process.argv.slice(2).findIndex((argument) => argument.startsWith('-'));
const end = first === -1 ? process.argv.length : first + 2;
const names = process.argv.slice(2, end);
const flags = process.argv.slice(end);

for (const name of names.length > 0 ? names : NEED_NO_INPUT) {
  const script = join(root, 'bench', `${name}.ts`);
  if (!/^[a-z-]+$/.test(name) || !existsSync(script)) {
    console.error(`bench: expected the name of a file bench/<name>.ts, received ${name}.`);
    process.exitCode = 2;
    break;
  }
  const { status } = spawnSync(process.execPath, [script, ...flags], { stdio: 'inherit' });
  if (status !== 0) process.exitCode = status ?? 1;
}
