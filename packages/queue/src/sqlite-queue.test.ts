// The SQLite queue: the shared suite, and what only it promises.
import { mkdtempSync, rmSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { queueSuite, shards } from '../test/queue-suite.ts';
import { SqliteQueue } from './sqlite-queue.ts';

const folder = mkdtempSync(join(tmpdir(), 'sqlite-queue-'));
afterAll(() => rmSync(folder, { recursive: true }));

queueSuite('SqliteQueue', (name, leaseMs) =>
  Promise.resolve(
    new SqliteQueue(join(folder, `${name}.sqlite`), leaseMs === undefined ? {} : { leaseMs }),
  ),
);

it('frees at once what a dead process held', async () => {
  const path = join(folder, 'dead.sqlite');
  const script = `
    const { SqliteQueue } = await import(${JSON.stringify(join(import.meta.dirname, 'sqlite-queue.ts'))});
    const queue = new SqliteQueue(${JSON.stringify(path)});
    await queue.add(${JSON.stringify(shards)});
    await queue.lease();
    process.kill(process.pid, 'SIGKILL');`;
  const { signal } = spawnSync(process.execPath, ['--input-type=module', '-e', script]);
  expect(signal).toBe('SIGKILL');
  const queue = new SqliteQueue(path);
  expect(await queue.counts()).toMatchObject({ leased: 1, waiting: 4 });
  expect((await queue.lease())?.shard.id).toBe('shard-0');
  await queue.close();
});

it('stops handing out a shard that every worker dies of', async () => {
  const queue = new SqliteQueue(join(folder, 'poison.sqlite'), { leaseMs: 1, maxLeases: 3 });
  await queue.add(shards.slice(0, 1));
  for (let i = 0; i < 3; i++) {
    expect(await queue.lease()).not.toBeNull();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  expect(await queue.lease()).toBeNull();
  expect(await queue.counts()).toEqual({ waiting: 0, leased: 0, done: 0, failed: 1 });
  await queue.close();
});
