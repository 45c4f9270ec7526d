// The TypeScript of the root README runs as it stands there.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const here = join(import.meta.dirname, '..');
const readme = readFileSync(join(here, '../../README.md'), 'utf8');
const snippets = [...readme.matchAll(/```ts\n(.*?)```/gs)].map((match) => match[1] ?? '');

test('README has its examples', () => {
  expect(snippets).toHaveLength(4);
});

test.each(snippets.map((code, i) => [i + 1, code] as const))(
  'example %i of the README runs',
  (_, code) => {
    const args = ['--input-type=module-typescript', '--eval', code];
    const { status, stderr } = spawnSync(process.execPath, args, { cwd: here, encoding: 'utf8' });
    expect(status, stderr).toBe(0);
  },
);
