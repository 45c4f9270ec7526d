// A file that holds one JSON value.
import { existsSync, readFileSync } from 'node:fs';
import { InputError } from './errors.ts';

/** @throws {InputError} there is no file, or it holds something else than JSON. */
export function readJsonFile(path: string): unknown {
  if (!existsSync(path)) throw new InputError(`${path}: expected a JSON file, found none.`);
  const text = readFileSync(path, 'utf8');
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new InputError(`${path}: expected JSON, received something else.`, { cause });
  }
}
