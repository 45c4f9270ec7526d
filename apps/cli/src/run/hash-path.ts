// sha256 of an input, be it a file or a folder.
import { createHash } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { hashFile, InputError } from '@masksearch/core';

/** Of a folder: the hash of its files' names and hashes. @throws {InputError} there is nothing at `path`. */
export async function hashPath(path: string): Promise<string> {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new InputError(`${path}: expected a file or folder, found none.`);
  if (!found.isDirectory()) return hashFile(path);
  const hash = createHash('sha256');
  for (const name of readdirSync(path, { recursive: true, encoding: 'utf8' }).toSorted()) {
    const file = join(path, name);
    if (statSync(file).isFile()) hash.update(`${name}\n${await hashFile(file)}\n`);
  }
  return hash.digest('hex');
}
