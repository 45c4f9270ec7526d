// Where the paths of a configuration lead: to what stands beside the file that names them, or to what comes with the package.
import { existsSync } from 'node:fs';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { valueAt, withSetting } from './load.ts';

const PACKAGE = resolve(import.meta.dirname, '../..');
const PRESETS = 'runs/configs';

/** Holds `runs/configs` and `models/base`: the package, or in the repository its root. */
const SHIPPED =
  [PACKAGE, resolve(PACKAGE, '../..')].find((folder) => existsSync(join(folder, PRESETS))) ??
  PACKAGE;

/** Keys of the configuration that name the folder of a model. */
const MODEL_FOLDERS = ['model.from', 'tasks.spanModel'];
/** Whose values each have a `folder`. */
const NAMED_MODELS = 'synthesis.models';
/** Keys that name other files and folders: a path, or a list of paths. */
const DATA = ['corpus.input', 'search.record', 'search.replay', 'synthesis.evaluationFiles'];

/** Configurations that commands use unless they are given another. */
export type PresetName = 'quickstart' | 'base';

/** Path of a configuration that comes with the package. */
export function shippedConfig(name: PresetName): string {
  return join(SHIPPED, PRESETS, `${name}.yaml`);
}

/** `path` as seen from `folder`; where nothing is there, what comes with the package under that name, if anything does. */
export function findFrom(folder: string, path: string): string {
  const own = resolve(folder, path);
  const shipped = resolve(SHIPPED, path);
  return fromWorkingFolder(!existsSync(own) && existsSync(shipped) ? shipped : own);
}

/**
 * The values of a configuration with its paths found from `folder`, whatever the working folder is. Paths that were found
 * are found again where they are.
 */
export function withPathsFrom(
  folder: string,
  values: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  return mapPaths(values, {
    model: (path) => findFrom(folder, path),
    data: (path) => fromWorkingFolder(resolve(folder, path)),
  });
}

/** A configuration that means the same in any file: paths are absolute, or what comes with the package. */
export function withLastingPaths(
  values: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  return mapPaths(values, {
    model: (path) => {
      const shipped = relative(SHIPPED, resolve(path));
      return leadsOut(shipped) ? resolve(path) : shipped;
    },
    data: (path) => resolve(path),
  });
}

interface PathChanges {
  readonly model: (path: string) => string;
  readonly data: (path: string) => string;
}

function mapPaths(
  values: Readonly<Record<string, unknown>>,
  { model, data }: PathChanges,
): Readonly<Record<string, unknown>> {
  const named = Object.keys(Object(valueAt(values, NAMED_MODELS.split('.'))) as object);
  const models = [...MODEL_FOLDERS, ...named.map((name) => `${NAMED_MODELS}.${name}.folder`)];
  const changes = [
    ...models.map((key) => [key, model] as const),
    ...DATA.map((key) => [key, data] as const),
  ];
  return changes.reduce((changed, [key, change]) => {
    const value = valueAt(changed, key.split('.'));
    return value === undefined ? changed : withSetting(changed, key, changePath(value, change));
  }, values);
}

/** What is no path, null for instance, stays. */
function changePath(value: unknown, change: (path: string) => string): unknown {
  if (Array.isArray(value)) return value.map((item) => changePath(item, change));
  return typeof value === 'string' ? change(value) : value;
}

/** Manifests name inputs by path: short below the working folder, so that a repository can be moved. */
function fromWorkingFolder(path: string): string {
  const short = relative(process.cwd(), path);
  return short === '' || leadsOut(short) ? path : short;
}

function leadsOut(path: string): boolean {
  return isAbsolute(path) || path.split(/[\\/]/)[0] === '..';
}
