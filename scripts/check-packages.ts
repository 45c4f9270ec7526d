// Built packages as a user gets them: each is packed, unpacked into an empty folder and imported there by the Node that
// runs this script. Needs `pnpm build`; touches no network.
//
//   pnpm build && node scripts/check-packages.ts
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

interface Package {
  readonly name: string;
  /** In the workspace. */
  readonly source: string;
  /** As unpacked. */
  readonly folder: string;
  readonly manifest: PackedManifest;
}

/** What `pnpm pack` makes of a package.json: `publishConfig` in its place, versions for `workspace:`. */
interface PackedManifest {
  readonly exports: Readonly<Record<string, { readonly types: string; readonly default: string }>>;
  readonly bin?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
}

const root = join(import.meta.dirname, '..');

/** Packs every publishable package of the workspace into `target/node_modules`. */
function unpackAll(target: string): Package[] {
  const packages: Package[] = [];
  for (const group of ['packages', 'native', 'apps']) {
    for (const entry of readdirSync(join(root, group)).sort()) {
      const source = join(root, group, entry);
      const file = join(source, 'package.json');
      if (!existsSync(file)) continue;
      const { name, private: isPrivate } = readJson(file) as { name: string; private?: boolean };
      if (isPrivate !== true) packages.push(unpack(name, source, target));
    }
  }
  return packages;
}

function unpack(name: string, source: string, target: string): Package {
  const tarball = join(target, `${name.replace('/', '-')}.tgz`);
  run(join(root, 'node_modules/.bin/pnpm'), ['pack', '--out', tarball], source);
  const folder = join(target, 'node_modules', name);
  mkdirSync(folder, { recursive: true });
  run('tar', ['-xzf', tarball, '-C', folder, '--strip-components', '1'], target);
  return {
    name,
    source,
    folder,
    manifest: readJson(join(folder, 'package.json')) as PackedManifest,
  };
}

/** Gives a package what it depends on beside the others: the very copies that the workspace has. */
function linkDependencies({ source, folder, manifest }: Package, ours: ReadonlySet<string>): void {
  for (const name of Object.keys(manifest.dependencies ?? {})) {
    if (ours.has(name)) continue;
    const link = join(folder, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(realpathSync(join(source, 'node_modules', name)), link);
  }
}

/** One message for each thing that a user could not use. */
function* problemsOf({ name, folder, manifest }: Package, target: string): Generator<string> {
  for (const version of Object.values(manifest.dependencies ?? {})) {
    if (version.startsWith('workspace:')) yield `${name}: depends on ${version}`;
  }
  for (const [entry, files] of Object.entries(manifest.exports)) {
    const specifier = join(name, entry);
    for (const file of [files.types, files.default]) {
      if (!existsSync(join(folder, file))) yield `${specifier}: ${file} is not in the package`;
    }
    // The tests that other implementations run are there for vitest alone.
    if (entry === './conformance') continue;
    const script = `const names = Object.keys(await import('${specifier}'));
      if (names.length === 0) throw new Error('exports nothing');`;
    const { status, stderr } = start(['--input-type=module', '--eval', script], target);
    if (status !== 0) yield `${specifier}: ${stderr}`;
  }
  for (const [command, file] of Object.entries(manifest.bin ?? {})) {
    const { status, stdout, stderr } = start([join(folder, file), '--help'], target);
    if (status !== 0 || !stdout.includes(`Usage: ${command}`)) yield `${command}: ${stderr}`;
  }
}

function start(args: readonly string[], cwd: string) {
  return spawnSync(process.execPath, args, { cwd, encoding: 'utf8' });
}

function run(command: string, args: readonly string[], cwd: string): void {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  if (status === 0) return;
  throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? `${stdout}${stderr}`}`);
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8')) as unknown;
}

const target = mkdtempSync(join(tmpdir(), 'packages-'));
try {
  const packages = unpackAll(target);
  const names = new Set(packages.map(({ name }) => name));
  for (const one of packages) linkDependencies(one, names);
  const problems = packages.flatMap((one) => [...problemsOf(one, target)]);
  for (const problem of problems) console.error(problem);
  console.log(
    `${packages.length} packages under Node ${process.version}, ${problems.length} problems`,
  );
  process.exitCode = problems.length > 0 ? 1 : 0;
} finally {
  rmSync(target, { recursive: true });
}
