import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { withRunLock } from './lock.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lock-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

describe('withRunLock', () => {
  test('refuses a second worker and lets the next one in', async () => {
    const inner = withRunLock(folder, () => withRunLock(folder, () => Promise.resolve('never')));
    await expect(inner).rejects.toThrow(`process ${process.pid} works in it`);
    await expect(withRunLock(folder, () => Promise.resolve('next'))).resolves.toBe('next');
    expect(existsSync(join(folder, '.lock'))).toBe(false);
  });

  test.each(['999999999', 'not a number', ''])(
    'takes over the lock of a dead owner (%j)',
    async (owner) => {
      writeFileSync(join(folder, '.lock'), owner);
      await expect(withRunLock(folder, () => Promise.resolve('done'))).resolves.toBe('done');
    },
  );
});
