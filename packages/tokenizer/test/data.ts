// Where the tests find real tokenizers; they are not part of the repository.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = process.env['MASKSEARCH_DATA'] ?? join(import.meta.dirname, '../../../../shared/data');

/** Path of a test file, and whether it is there. */
export function dataFile(name: string, folder = 'tokenizers'): { path: string; missing: boolean } {
  const path = join(root, folder, name);
  return { path, missing: !existsSync(path) };
}

export function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8'));
}
