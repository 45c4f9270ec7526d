// Sets the workspace up (system tools, packages, native builds), then runs a script on its own Node 24.
// Plain JavaScript without dependencies: it is what runs before anything is installed, on Node 20 or newer.
//
//   node scripts/setup.mjs [--packages-only] [script [arguments…]]
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { delimiter, dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const node = join(root, 'node_modules/node/bin/node');
const environment = {
  ...process.env,
  PATH: [join(root, 'node_modules/.bin'), dirname(node), process.env.PATH].join(delimiter),
};

/** A failure with a message that says what to do; printed without a stack. */
class SetupError extends Error {}

function main(args) {
  checkNode();
  const packagesOnly = args[0] === '--packages-only';
  const [script, ...rest] = packagesOnly ? args.slice(1) : args;
  if (!packagesOnly) ensureSystemTools();
  ensurePackages();
  if (!packagesOnly) for (const folder of nativePackages()) ensureNativeBuild(folder);
  if (script !== undefined) runScript(script, rest);
}

function checkNode() {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < 20) {
    throw new SetupError(`expected Node 20 or newer to start from, received ${process.version}.`);
  }
}

// --- system tools ---------------------------------------------------------------------------

function works(command, ...args) {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

function missingSystemPackages() {
  const missing = [];
  if (!compilers().some((compiler) => works(compiler, '--version'))) missing.push('g++');
  if (!works('cmake', '--version')) missing.push('cmake');
  if (!works('ninja', '--version') && !works('make', '--version')) missing.push('ninja-build');
  return missing;
}

/** What CMake would look for. */
function compilers() {
  const { CXX } = process.env;
  return CXX ? [CXX] : ['c++', 'g++', 'clang++'];
}

function ensureSystemTools() {
  const missing = missingSystemPackages();
  if (missing.length === 0) return;
  const install = `apt-get install -y --no-install-recommends ${missing.join(' ')}`;
  const isRoot = process.getuid?.() === 0;
  if (!isRoot || !works('apt-get', '--version')) {
    throw new SetupError(
      `expected ${missing.join(', ')}, found none. Install with:\n\n  sudo apt-get update && sudo ${install}\n\nand run the command again.`,
    );
  }
  say(`installing ${missing.join(', ')} with apt`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  must('apt-get', ['update', '-q'], { env });
  must('apt-get', install.split(' ').slice(1), { env });
  const still = missingSystemPackages();
  if (still.length > 0) throw new SetupError(`apt did not provide ${still.join(', ')}.`);
}

// --- packages -------------------------------------------------------------------------------

function workspaceFolders() {
  const folders = [];
  for (const group of ['packages', 'native', 'apps']) {
    for (const name of readdirSync(join(root, group)).sort()) {
      const folder = join(root, group, name);
      if (existsSync(join(folder, 'package.json'))) folders.push(folder);
    }
  }
  return folders;
}

function ensurePackages() {
  const stamp = join(root, 'node_modules/.masksearch-packages');
  const files = ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml'].map((f) => join(root, f));
  files.push(...workspaceFolders().map((folder) => join(folder, 'package.json')));
  const wanted = hashOf(files, [process.platform, process.arch]);
  if (existsSync(node) && readStamp(stamp) === wanted) return;
  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  say(`installing packages with ${packageManager}`);
  must('npx', ['-y', packageManager, 'install', '--loglevel=error'], { cwd: root });
  if (!works(node, '--version')) {
    throw new SetupError(
      `expected a working Node 24 at ${node}, found none. Delete node_modules and run the command again.`,
    );
  }
  // The lockfile may have been completed by the install, so the stamp is taken after it.
  writeFileSync(stamp, hashOf(files, [process.platform, process.arch]));
}

// --- native builds --------------------------------------------------------------------------

function nativePackages() {
  return workspaceFolders().filter((folder) => existsSync(join(folder, 'CMakeLists.txt')));
}

function ensureNativeBuild(folder) {
  const build = join(folder, 'build');
  const stamp = join(build, '.sources-sha256');
  const wanted = hashOf(nativeSources(folder), [
    process.arch,
    cpus()[0]?.model ?? '',
    versionOf(process.env.CXX ?? 'c++'),
    versionOf('nvcc'),
  ]);
  if (readStamp(stamp) === wanted) return;
  if (!belongsTo(build, folder)) rmSync(build, { recursive: true, force: true });
  const started = Date.now();
  say(`building ${relative(root, folder)} (see ${relative(root, build)}/build.log)`);
  mkdirSync(build, { recursive: true });
  const result = spawnSync(node, ['--run', 'build:native'], {
    cwd: folder,
    env: environment,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  const log = `${result.stdout ?? ''}${result.stderr ?? ''}`;
  writeFileSync(join(build, 'build.log'), log);
  if (result.status !== 0) {
    process.stderr.write(log.slice(-20_000));
    throw new SetupError(`the native build of ${relative(root, folder)} failed; the log is above.`);
  }
  writeFileSync(stamp, wanted);
  say(`built ${relative(root, folder)} in ${((Date.now() - started) / 1000).toFixed(0)} s`);
}

/** Everything a native build reads: C++ and CUDA sources, build files and package.json. */
function nativeSources(folder) {
  const isSource = (path) =>
    /(\.(c|cc|cpp|cu|cuh|h|hpp|cmake)|CMakeLists\.txt|package\.json)$/.test(path);
  const ignored = new Set(['build', 'node_modules', 'dist', '.turbo']);
  /** @type {string[]} */
  const found = [];
  const visit = (directory) => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name);
      if (entry.isDirectory() && !ignored.has(entry.name)) visit(path);
      else if (entry.isFile() && isSource(path)) found.push(path);
    }
  };
  visit(folder);
  return found.sort();
}

/** CMake refuses a build folder that was configured under another path (a moved or copied tree). */
function belongsTo(build, folder) {
  const cache = join(build, 'CMakeCache.txt');
  if (!existsSync(cache)) return true;
  return readFileSync(cache, 'utf8').includes(`CMAKE_HOME_DIRECTORY:INTERNAL=${folder}\n`);
}

// --- the job --------------------------------------------------------------------------------

function runScript(script, args) {
  const child = spawn(node, [join(root, script), ...args], { stdio: 'inherit', env: environment });
  // The terminal sends Ctrl-C to the child too; this process waits for it to save and exit.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  child.on('error', (error) => fail(new SetupError(`could not start ${node}: ${error.message}`)));
  child.on('exit', (code, signal) => {
    if (signal !== null) say(`${script} was ended by ${signal}`);
    process.exitCode = code ?? 1;
  });
}

// --- helpers --------------------------------------------------------------------------------

function hashOf(files, facts) {
  const hash = createHash('sha256').update(JSON.stringify(facts));
  for (const file of files) {
    hash.update(`\n${relative(root, file).split(sep).join('/')}\n`);
    hash.update(existsSync(file) ? readFileSync(file) : 'absent');
  }
  return hash.digest('hex');
}

function versionOf(command) {
  const result = spawnSync(command, ['--version'], { encoding: 'utf8' });
  return result.status === 0 ? result.stdout : 'absent';
}

function readStamp(path) {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

function must(command, args, options) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', ...options });
  if (status !== 0) {
    throw new SetupError(
      `\`${command} ${args.join(' ')}\` failed${error ? `: ${error.message}` : ` with exit code ${status}`}.`,
    );
  }
}

function say(text) {
  process.stderr.write(`setup: ${text}\n`);
}

function fail(error) {
  if (!(error instanceof SetupError)) throw error;
  say(error.message);
  process.exitCode = 1;
}

try {
  main(process.argv.slice(2));
} catch (error) {
  fail(error);
}
