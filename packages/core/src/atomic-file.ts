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

/** Writes all bytes, however many calls that takes. */
export function writeWhole(descriptor: number, bytes: Uint8Array): void {
  let done = 0;
  while (done < bytes.length) {
    done += writeSync(descriptor, bytes, done, bytes.length - done);
  }
}

/** Writes `data` to `path` so that a reader sees the old content or the new, never a part. */
export function writeFileAtomic(path: string, data: string | Uint8Array): void {
  const file = openUnfinished(path);
  try {
    writeWhole(file.descriptor, typeof data === 'string' ? Buffer.from(data, 'utf8') : data);
  } catch (error) {
    discard(file);
    throw error;
  }
  putInPlace(file, path);
}

/**
 * As `writeFileAtomic`, for a file that is too large to be in memory at once.
 * @param write Writes the content to the descriptor it is given, with `writeWhole`.
 */
export async function writePiecesAtomic(
  path: string,
  write: (descriptor: number) => Promise<void>,
): Promise<void> {
  const file = openUnfinished(path);
  try {
    await write(file.descriptor);
  } catch (error) {
    discard(file);
    throw error;
  }
  putInPlace(file, path);
}

interface UnfinishedFile {
  readonly temporary: string;
  readonly descriptor: number;
}

function openUnfinished(path: string): UnfinishedFile {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = temporaryName(path);
  return { temporary, descriptor: openSync(temporary, 'wx') };
}

function discard({ temporary, descriptor }: UnfinishedFile): void {
  closeSync(descriptor);
  rmSync(temporary, { force: true });
}

function putInPlace(file: UnfinishedFile, path: string): void {
  try {
    fsyncSync(file.descriptor);
  } catch (error) {
    discard(file);
    throw error;
  }
  closeSync(file.descriptor);
  renameSync(file.temporary, path);
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
  const temporary = temporaryName(path);
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
  const aside = temporaryName(path);
  if (existsSync(path)) renameSync(path, aside);
  renameSync(folder, path);
  syncPath(dirname(path));
  rmSync(aside, { recursive: true, force: true });
}

/** Removes what writers that were killed left in a folder, not below it. Nobody may be writing there. */
export function removeUnfinished(folder: string): void {
  for (const entry of readdirSync(folder)) {
    if (UNFINISHED.test(entry)) rmSync(join(folder, entry), { recursive: true, force: true });
  }
}

const UNFINISHED = /\.tmp-[0-9a-f]{12}$/;

function temporaryName(path: string): string {
  return `${path}.tmp-${randomBytes(6).toString('hex')}`;
}
