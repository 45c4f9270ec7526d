// Files that are never half written: temporary file, fsync, rename.
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** Flushes a file, or a directory's entries, to disk. */
export function syncPath(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Writes `data` to `path` so that a reader sees the old content or the new, never a part. */
export function writeFileAtomic(path: string, data: string | Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.tmp-${randomBytes(6).toString('hex')}`;
  const bytes = typeof data === 'string' ? Buffer.from(data, 'utf8') : data;
  const descriptor = openSync(temporary, 'wx');
  try {
    let written = 0;
    while (written < bytes.length) {
      written += writeSync(descriptor, bytes, written, bytes.length - written);
    }
    fsyncSync(descriptor);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(descriptor);
  }
  renameSync(temporary, path);
  syncPath(dirname(path));
}

function syncTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) syncTree(path);
    else syncPath(path);
  }
  syncPath(folder);
}

/**
 * Fills a folder and puts it in place in one rename; an older folder of that name is replaced.
 * @param fill Writes the content into the temporary folder it is given.
 */
export async function writeFolderAtomic(
  path: string,
  fill: (folder: string) => Promise<void> | void,
): Promise<void> {
  const suffix = randomBytes(6).toString('hex');
  const temporary = `${path}.tmp-${suffix}`;
  mkdirSync(temporary, { recursive: true });
  try {
    await fill(temporary);
    syncTree(temporary);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw error;
  }
  replaceFolder(temporary, path);
}

/** Renames a folder to `path`. What stood there is moved aside first and deleted last, so it is never there in part. */
export function replaceFolder(folder: string, path: string): void {
  const aside = `${path}.tmp-${randomBytes(6).toString('hex')}`;
  if (existsSync(path)) renameSync(path, aside);
  renameSync(folder, path);
  syncPath(dirname(path));
  rmSync(aside, { recursive: true, force: true });
}
