// One process at a time in a run folder.
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { UnavailableError } from '@masksearch/core';

/**
 * Runs `work` while no other process works in `folder`. A lock whose process is gone is taken over.
 * @throws {UnavailableError} another process works there.
 */
export async function withRunLock<T>(folder: string, work: () => Promise<T>): Promise<T> {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, '.lock');
  if (!take(path)) {
    const owner = Number(readFileSync(path, 'utf8'));
    if (isAlive(owner)) {
      throw new UnavailableError(
        `${folder}: expected a free run folder, process ${owner} works in it; wait for it or choose another with --run.`,
      );
    }
    rmSync(path, { force: true });
    if (!take(path)) {
      throw new UnavailableError(
        `${folder}: another process took the run folder just now; try again.`,
      );
    }
  }
  try {
    return await work();
  } finally {
    rmSync(path, { force: true });
  }
}

function take(path: string): boolean {
  try {
    const descriptor = openSync(path, 'wx');
    writeSync(descriptor, String(process.pid));
    closeSync(descriptor);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
