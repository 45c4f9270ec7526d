import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readJsonFile } from './json-file.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'json-file-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

it('reads a value, and names the file that is absent or holds none', () => {
  const path = join(folder, 'a.json');
  expect(() => readJsonFile(path)).toThrow(/a\.json: expected a JSON file, found none/);
  writeFileSync(path, '{"a": [1, null]}');
  expect(readJsonFile(path)).toEqual({ a: [1, null] });
  writeFileSync(path, '{"a": [1,');
  expect(() => readJsonFile(path)).toThrow(/a\.json: expected JSON, received something else/);
});
