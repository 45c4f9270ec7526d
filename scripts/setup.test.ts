// Set-up on machines that lack things: fake tools in an otherwise empty PATH, and a workspace without packages.
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const isRoot = process.getuid?.() === 0;
const NOBODY = 65534;

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'setup-'));
  for (const folder of ['bin', 'scripts', 'packages', 'native', 'apps', 'node_modules']) {
    mkdirSync(join(root, folder));
  }
  copyFileSync(join(import.meta.dirname, 'setup.mjs'), join(root, 'scripts/setup.mjs'));
  writeFileSync(join(root, 'package.json'), '{"packageManager":"pnpm@1.2.3"}');
  writeFileSync(join(root, 'job.mjs'), 'console.log("job", ...process.argv.slice(2));');
  writeFileSync(join(root, 'log'), '');
  const node = join(root, 'node_modules/node/bin/node');
  tool('npx', `/bin/mkdir -p ${join(node, '..')} && /bin/ln -s ${process.execPath} ${node}`);
  for (const path of ['', 'log', 'node_modules']) chmodSync(join(root, path), 0o777);
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

/** A command that notes how it was called, then runs a line of sh; the PATH holds nothing else. */
function tool(name: string, script = ':'): void {
  const note = `echo ${name} "$@" >> ${join(root, 'log')}`;
  writeFileSync(join(root, 'bin', name), `#!/bin/sh\n${note}\n${script}\n`, { mode: 0o755 });
}

/** apt-get that brings the tools named, if it is asked to install. */
function apt(...brings: readonly string[]): void {
  tool('brought');
  const bring = brings.map(
    (name) => `/bin/cp ${join(root, 'bin/brought')} ${join(root, 'bin', name)}`,
  );
  tool('apt-get', `[ "$1" != install ] || { ${[':', ...bring].join('; ')}; }`);
}

interface SetUpOptions {
  readonly args?: readonly string[];
  readonly uid?: number;
  readonly variables?: Readonly<Record<string, string>>;
}

function setUp(options: SetUpOptions = {}) {
  const { args = ['job.mjs', 'a', 'b'], uid, variables } = options;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(root, 'scripts/setup.mjs'), ...args],
    {
      cwd: root,
      encoding: 'utf8',
      env: { PATH: join(root, 'bin'), ...variables },
      ...(uid && { uid }),
    },
  );
  // Versions are asked for on the way and change nothing.
  const calls = readFileSync(join(root, 'log'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.includes('--version'));
  return { status, stdout, stderr, calls };
}

const INSTALL_PACKAGES = 'npx -y pnpm@1.2.3 install --loglevel=error';

test('with all tools it installs packages once and does the job', () => {
  for (const name of ['c++', 'cmake', 'make']) tool(name);
  apt();
  const first = setUp();
  expect(first).toMatchObject({ status: 0, stdout: 'job a b\n', calls: [INSTALL_PACKAGES] });
  const second = setUp();
  expect(second).toMatchObject({ status: 0, stdout: 'job a b\n', stderr: '' });
  expect(second.calls).toEqual([INSTALL_PACKAGES]);
  appendFileSync(join(root, 'package.json'), '\n');
  rmSync(join(root, 'node_modules/node'), { recursive: true });
  expect(setUp().calls).toEqual([INSTALL_PACKAGES, INSTALL_PACKAGES]);
});

test.each<[string, Readonly<Record<string, string>>, string, number]>([
  ['clang++', {}, 'clang++', 0],
  ['that of CXX', { CXX: 'my-c++' }, 'my-c++', 0],
  ['no other than that of CXX', { CXX: 'my-c++' }, 'c++', 1],
])('takes the compiler that CMake would: %s', (_, variables, compiler, expected) => {
  for (const name of [compiler, 'cmake', 'ninja']) tool(name);
  const { status, stderr } = setUp({ variables });
  expect(status, stderr).toBe(expected);
  if (expected === 1) expect(stderr).toContain('expected g++, found none');
});

test.skipIf(!isRoot)('as root it has apt install what is missing, and goes on', () => {
  tool('cmake');
  apt('c++', 'ninja');
  const { status, stdout, stderr, calls } = setUp();
  expect(status, stderr).toBe(0);
  expect(stdout).toContain('job a b');
  expect(stderr).toContain('setup: installing g++, ninja-build with apt');
  expect(calls).toEqual([
    'apt-get update -q',
    'apt-get install -y --no-install-recommends g++ ninja-build',
    INSTALL_PACKAGES,
  ]);
});

test.skipIf(!isRoot)('what apt does not bring is an error', () => {
  apt('c++', 'ninja');
  const { status, stdout, stderr } = setUp();
  expect(stderr).toContain('setup: apt did not provide cmake.');
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
});

test.skipIf(!isRoot)('so is an apt that fails', () => {
  tool('apt-get', '[ "$1" != update ]');
  const { status, stdout, stderr } = setUp();
  expect(stderr).toContain('setup: `apt-get update -q` failed with exit code 1.');
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
});

test.each<[string, { uid?: number }, boolean]>([
  ['who is not root', isRoot ? { uid: NOBODY } : {}, true],
  ['on a system without apt', {}, false],
])('a user %s gets the one command to run', (_, user, hasApt) => {
  if (hasApt) apt('c++', 'cmake', 'ninja');
  const { status, stdout, stderr, calls } = setUp(user);
  expect(stderr).toContain('setup: expected g++, cmake, ninja-build, found none. Install with:');
  expect(stderr).toContain(
    'sudo apt-get update && sudo apt-get install -y --no-install-recommends g++ cmake ninja-build',
  );
  expect({ status, stdout, calls }).toEqual({ status: 1, stdout: '', calls: [] });
});

test('what needs no native parts needs no compiler', () => {
  const { status, stdout } = setUp({ args: ['--packages-only', 'job.mjs'] });
  expect({ status, stdout }).toEqual({ status: 0, stdout: 'job\n' });
});

test('packages without Node are an error', () => {
  tool('npx');
  const { status, stderr } = setUp({ args: ['--packages-only', 'job.mjs'] });
  expect(stderr).toMatch(/expected a working Node 24 at .*, found none/);
  expect(status).toBe(1);
});
