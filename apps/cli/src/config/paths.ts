// Where the paths of a configuration lead: to what stands beside the file that names them, or to what comes with the package.
import { existsSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
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

/** Path of a configuration that comes with the package. */
export function shippedConfig(name: 'quickstart' | 'base'): string {
  return join(SHIPPED, PRESETS, `${name}.yaml`);
}

/** `path` as seen from `folder`; where nothing is there, what comes with the package under that name, if anything does. */
export function findFrom(folder: string, path: string): string {
  const own = resolve(folder, path);
  const shipped = resolve(SHIPPED, path);
  return fromWorkingFolder(!existsSync(own) && existsSync(shipped) ? shipped : own);
}

/** The values of a configuration file with its model folders found from the file, whatever the working folder is. */
export function withModelFolders(
  values: Readonly<Record<string, unknown>>,
  file: string,
): Readonly<Record<string, unknown>> {
  return mapModelFolders(values, (folder) => findFrom(dirname(file), folder));
}

/** A configuration that means the same in any file: model folders are absolute, or what comes with the package. */
export function withLastingModelFolders(
  values: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  return mapModelFolders(values, (folder) => {
    const path = resolve(folder);
    const shipped = relative(SHIPPED, path);
    return leadsOut(shipped) ? path : shipped;
  });
}

function mapModelFolders(
  values: Readonly<Record<string, unknown>>,
  change: (folder: string) => string,
): Readonly<Record<string, unknown>> {
  const named = Object.keys(Object(valueAt(values, NAMED_MODELS.split('.'))) as object);
  const keys = [...MODEL_FOLDERS, ...named.map((name) => `${NAMED_MODELS}.${name}.folder`)];
  return keys.reduce((changed, key) => {
    const folder = valueAt(changed, key.split('.'));
    return typeof folder === 'string' ? withSetting(changed, key, change(folder)) : changed;
  }, values);
}

/** Manifests name inputs by path: short below the working folder, so that a repository can be moved. */
function fromWorkingFolder(path: string): string {
  const short = relative(process.cwd(), path);
  return short === '' || leadsOut(short) ? path : short;
}

function leadsOut(path: string): boolean {
  return isAbsolute(path) || path.split(/[\\/]/)[0] === '..';
}
