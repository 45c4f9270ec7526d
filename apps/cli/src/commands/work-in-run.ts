// Works in a run folder: alone there, and with the configuration remembered for later commands.
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { InputError, writeFileAtomic } from '@masksearch/core';
import { stringify } from 'yaml';
import { withLastingPaths } from '../config/paths.ts';
import { withRunLock } from '../run/lock.ts';
import { CONFIG_FILE, type ResolvedRun } from './settings.ts';

/**
 * Runs `work` in the run's folder. A new run folder in which nothing was done is removed again.
 * @throws {InputError} there is something else than a folder. Also whatever `work` throws.
 */
export async function workInRun<T>(
  { run: { folder }, config }: ResolvedRun,
  work: () => Promise<T>,
): Promise<T> {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() === false) {
    throw new InputError(
      `${folder}: expected a run folder, found a file; choose another with --run.`,
    );
  }
  const isNew = !existsSync(folder);
  try {
    return await withRunLock(folder, () => {
      writeFileAtomic(join(folder, CONFIG_FILE), stringify(withLastingPaths(config)));
      return work();
    });
  } catch (error) {
    if (isNew && isUntouched(folder)) rmSync(folder, { recursive: true });
    throw error;
  }
}

function isUntouched(folder: string): boolean {
  return existsSync(folder) && readdirSync(folder).every((name) => name === CONFIG_FILE);
}
