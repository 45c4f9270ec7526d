// Checks the arrows between packages (docs/architecture.md): who may depend on whom, no cycles, and that
// every import names a declared dependency. Exits 1 with one line per violation.
import { existsSync, globSync, readFileSync, readdirSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join, relative, resolve, sep } from 'node:path';

/** What each package may depend on within the workspace; anything absent here is refused. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  core: [],
  tokenizer: ['core'],
  corpus: ['core'],
  world: ['core'],
  search: ['core'],
  rewards: ['core'],
  chat: ['core'],
  queue: ['core'],
  'native-masking': ['core'],
  'native-engine': ['core'],
  model: ['core', 'tokenizer'],
  engine: ['core', 'model', 'native-engine'],
  ramp: ['core', 'search', 'tokenizer', 'native-masking'],
  agent: ['core', 'chat', 'model', 'rewards', 'search', 'tokenizer'],
  serve: ['agent', 'chat', 'core', 'model', 'search', 'tokenizer'],
  train: ['core', 'model', 'rewards', 'tokenizer', 'native-masking'],
  evaluation: ['core', 'rewards'],
};

/** Not even in tests. */
const NEVER: Readonly<Record<string, readonly string[]>> = { train: ['agent', 'search'] };

interface Workspace {
  /** Name without scope. */
  readonly name: string;
  readonly folder: string;
  readonly isApp: boolean;
  readonly dependencies: ReadonlySet<string>;
  readonly devDependencies: ReadonlySet<string>;
}

const root = join(import.meta.dirname, '..');
const scope = '@masksearch/';
const rootDevDependencies = keysOf(readPackage(root)['devDependencies']);

function readPackage(folder: string): Record<string, unknown> {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<string, unknown>;
}

function keysOf(value: unknown): Set<string> {
  return new Set(typeof value === 'object' && value !== null ? Object.keys(value) : []);
}

function readWorkspaces(): Workspace[] {
  return ['packages', 'native', 'apps'].flatMap((group) =>
    readdirSync(join(root, group))
      .sort()
      .map((entry) => join(root, group, entry))
      .filter((folder) => existsSync(join(folder, 'package.json')))
      .map((folder) => {
        const manifest = readPackage(folder);
        return {
          name: String(manifest['name']).replace(scope, ''),
          folder,
          isApp: group === 'apps',
          dependencies: new Set([
            ...keysOf(manifest['dependencies']),
            ...keysOf(manifest['peerDependencies']),
            ...keysOf(manifest['optionalDependencies']),
          ]),
          devDependencies: keysOf(manifest['devDependencies']),
        };
      }),
  );
}

/** The package part of an import: `@scope/name/sub` → `@scope/name`. */
function packageOf(specifier: string): string {
  const parts = specifier.split('/');
  return specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] ?? specifier);
}

function importsOf(source: string): string[] {
  const statements =
    /^\s*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\b(?:import|require)\(\s*['"]([^'"]+)['"]/gm;
  return [...source.matchAll(statements)].map((match) => match[1] ?? match[2] ?? match[3] ?? '');
}

function checkArrows(workspace: Workspace): string[] {
  if (workspace.isApp) return [];
  const allowed = ALLOWED[workspace.name];
  if (allowed === undefined) {
    return [
      `${workspace.name}: expected an entry in ALLOWED of scripts/check-boundaries.ts, found none.`,
    ];
  }
  const never = NEVER[workspace.name] ?? [];
  const short = (name: string): string => name.replace(scope, '');
  const refused = [
    ...[...workspace.dependencies].filter(
      (name) => name.startsWith(scope) && !allowed.includes(short(name)),
    ),
    ...[...workspace.devDependencies].filter((name) => never.includes(short(name))),
  ];
  return refused.map(
    (name) => `${workspace.name}: may not depend on ${name}; allowed: ${allowed.join(', ')}.`,
  );
}

function checkImports(workspace: Workspace): string[] {
  const files = globSync('{src,test,bench}/**/*.{ts,tsx,mts}', { cwd: workspace.folder });
  return files.sort().flatMap((file) => {
    const path = join(workspace.folder, file);
    const isDevelopment = /\.test\.tsx?$|(^|[\\/])(test|bench)[\\/]/.test(file);
    const where = relative(root, path).split(sep).join('/');
    return importsOf(readFileSync(path, 'utf8')).flatMap((specifier) =>
      checkImport({ workspace, where, path, specifier, isDevelopment }),
    );
  });
}

function checkImport(use: {
  workspace: Workspace;
  where: string;
  path: string;
  specifier: string;
  isDevelopment: boolean;
}): string[] {
  const { workspace, where, specifier } = use;
  if (isBuiltin(specifier)) return [];
  if (specifier.startsWith('.')) {
    const target = resolve(use.path, '..', specifier);
    const inside = target.startsWith(workspace.folder + sep);
    return inside ? [] : [`${where}: imports ${specifier}, a file outside its package.`];
  }
  const name = packageOf(specifier);
  if (name === `${scope}${workspace.name}` || workspace.dependencies.has(name)) return [];
  if (use.isDevelopment && (workspace.devDependencies.has(name) || rootDevDependencies.has(name)))
    return [];
  return [`${where}: imports ${name}, which its package.json does not declare.`];
}

/** Cycles over all kinds of dependencies, development ones included; each is reported once. */
function findCycles(workspaces: readonly Workspace[]): string[] {
  const byName = new Map(workspaces.map((workspace) => [workspace.name, workspace]));
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (name: string, path: readonly string[]): void => {
    if (path.includes(name)) {
      cycles.push(`cycle: ${[...path.slice(path.indexOf(name)), name].join(' → ')}.`);
      return;
    }
    const workspace = byName.get(name);
    if (done.has(name) || workspace === undefined) return;
    for (const dependency of [...workspace.dependencies, ...workspace.devDependencies]) {
      visit(dependency.replace(scope, ''), [...path, name]);
    }
    done.add(name);
  };
  for (const name of byName.keys()) visit(name, []);
  return cycles;
}

const workspaces = readWorkspaces();
const violations = [
  ...workspaces.flatMap(checkArrows),
  ...workspaces.flatMap(checkImports),
  ...findCycles(workspaces),
];
for (const violation of violations) console.error(violation);
console.log(`${workspaces.length} packages, ${violations.length} boundary violations`);
process.exitCode = violations.length > 0 ? 1 : 0;
