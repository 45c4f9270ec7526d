// Workers: every item once, whatever dies, stops or is slow.
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { BudgetError, CancelledError, InputError, IntegrityError } from '@masksearch/core';
import { afterAll, describe, expect, it } from 'vitest';
import { PartFiles } from './part-files.ts';
import { planShards, readShard } from './plan-shards.ts';
import { runWorker, type WorkerOptions } from './run-worker.ts';
import { SqliteQueue } from './sqlite-queue.ts';
import type { Lease, Shard, WorkQueue } from './work-queue.ts';

const root = mkdtempSync(join(tmpdir(), 'run-worker-'));
afterAll(() => rmSync(root, { recursive: true }));

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const value of values) list.push(value);
  return list;
}

/** A queue of `count` items `{"n": 0}`, … */
async function prepare(name: string, count: number, perShard = 10) {
  const folder = join(root, name);
  mkdirSync(folder);
  const items = join(folder, 'items.jsonl');
  writeFileSync(items, Array.from({ length: count }, (_, n) => `{"n":${n}}\n`).join(''));
  const queue = new SqliteQueue(join(folder, 'queue.sqlite'));
  const shards = await all(planShards(items, perShard));
  await queue.add(shards);
  const parts = join(folder, 'parts');
  const merged = () => [...new PartFiles(parts).merge(shards)].map(({ record }) => record);
  return { queue, items, parts, shards, merged };
}

const double: WorkerOptions['work'] = async ({ line }) => {
  await sleep(1);
  return { doubled: 2 * (JSON.parse(line) as { n: number }).n };
};
const doubled = (count: number) => Array.from({ length: count }, (_, n) => ({ doubled: 2 * n }));

describe('planShards', () => {
  it('covers every line of any file once, in order, empty lines and a missing last break included', async () => {
    const line = fc.constantFrom('', '{"a":1}', '"é漢"', '"x\\n"');
    await fc.assert(
      fc.asyncProperty(
        fc.array(line, { maxLength: 12 }),
        fc.constantFrom('\n', '\r\n'),
        fc.boolean(),
        fc.integer({ min: 1, max: 5 }),
        async (lines, end, hasLast, size) => {
          const path = join(root, 'plan.jsonl');
          writeFileSync(path, lines.join(end) + (hasLast ? end : ''));
          const shards = await all(planShards(path, size));
          const items = (
            await Promise.all(shards.map((shard) => all(readShard(path, shard))))
          ).flat();
          expect(items.map((item) => item.line)).toEqual(lines.filter((text) => text !== ''));
          expect(items.map(({ index }) => index)).toEqual(items.map((_, i) => i));
          expect(shards.every((shard) => shard.items <= size)).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('refuses a file that has changed', async () => {
    const { items, shards } = await prepare('changed', 5);
    writeFileSync(items, '{"n":0}\n');
    await expect(all(readShard(items, shards[0] as Shard))).rejects.toThrow(InputError);
  });
});

describe('runWorker', () => {
  it('does everything once and merges in order, with many workers', async () => {
    const { queue, merged, ...options } = await prepare('many', 205);
    const counts = await Promise.all(
      Array.from({ length: 4 }, () =>
        runWorker({ ...options, queue, concurrency: 8, work: double }),
      ),
    );
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(205);
    expect(merged()).toEqual(doubled(205));
    expect(await queue.counts()).toMatchObject({ done: 21 });
    await queue.close();
  });

  it('keeps as many items under way as allowed, across the ends of shards', async () => {
    const { queue, ...options } = await prepare('busy', 100, 3);
    let [active, most, starved] = [0, 0, 0];
    const work = async (): Promise<number> => {
      most = Math.max(most, ++active);
      await sleep(5);
      if (active < 6) starved++;
      active--;
      return 0;
    };
    await runWorker({ ...options, queue, concurrency: 8, work });
    expect(most).toBe(8);
    // Only the last few items may see fewer neighbours.
    expect(starved).toBeLessThan(15);
    await queue.close();
  });

  it('repeats nothing that was recorded and loses nothing, wherever the one before was cut off', async () => {
    const { queue, parts, shards, merged, ...options } = await prepare('torn', 30, 30);
    const calls: string[] = [];
    const work: WorkerOptions['work'] = (item, signal) => {
      calls.push(item.line);
      return double(item, signal);
    };
    const writer = new PartFiles(parts).open(shards[0] as Shard, 'dead');
    for (let index = 0; index < 7; index++) writer.write(index, { doubled: 2 * index });
    writer.close();
    appendFileSync(join(parts, 'shard-000000000', 'dead.jsonl'), '{"index":7,"record":{"doub');
    await runWorker({ ...options, parts, queue, concurrency: 4, work });
    expect(calls).toHaveLength(23);
    expect(merged()).toEqual(doubled(30));
    await queue.close();
  });

  it('gives its shards back when an item fails, keeps what was done, and says what failed', async () => {
    const { queue, parts, merged, ...options } = await prepare('failing', 40);
    const failing: WorkerOptions['work'] = (item, signal) =>
      item.index === 25 ? Promise.reject(new InputError('item 25')) : double(item, signal);
    const failed = runWorker({ ...options, parts, queue, concurrency: 4, work: failing });
    await expect(failed).rejects.toThrow('item 25');
    expect(await queue.counts()).toMatchObject({ leased: 0, done: 2 });
    const rest = await runWorker({ ...options, parts, queue, concurrency: 4, work: double });
    expect(rest).toBeLessThan(20);
    expect(merged()).toEqual(doubled(40));
    await queue.close();
  });

  it('lets items under way end when the budget is spent, and starts no more', async () => {
    const { queue, parts, ...options } = await prepare('budget', 40);
    let started = 0;
    const work: WorkerOptions['work'] = async (_, signal) => {
      if (++started > 10) throw new BudgetError('spent');
      await sleep(20);
      expect(signal.aborted).toBe(false);
      return 1;
    };
    const stopped = runWorker({ ...options, parts, queue, concurrency: 4, work });
    await expect(stopped).rejects.toThrow(BudgetError);
    const recorded = readdirSync(parts).length;
    expect(recorded).toBeGreaterThan(0);
    expect(started).toBeLessThanOrEqual(14);
    expect(await queue.counts()).toMatchObject({ leased: 0 });
    await queue.close();
  });

  it('stops when told to, and later goes on', async () => {
    const { queue, merged, ...options } = await prepare('stopped', 60);
    const controller = new AbortController();
    const work: WorkerOptions['work'] = (item, signal) => {
      if (item.index === 20) controller.abort();
      return double(item, signal);
    };
    const stopped = runWorker({
      ...options,
      queue,
      concurrency: 4,
      work,
      signal: controller.signal,
    });
    await expect(stopped).rejects.toThrow(CancelledError);
    await runWorker({ ...options, queue, concurrency: 4, work: double });
    expect(merged()).toEqual(doubled(60));
    await queue.close();
  });

  it('leaves a shard to another when it was too slow to renew its lease', async () => {
    const { items, parts, shards, merged, queue: unused } = await prepare('slow', 3, 3);
    const stuck: WorkerOptions['work'] = (_, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new CancelledError('lost')));
      });
    const [shard] = shards as [Shard];
    const options = { items, parts, concurrency: 3 };
    const lost = new OneShard(shard, { renews: false });
    expect(await runWorker({ ...options, queue: lost, work: stuck })).toBe(0);
    expect(lost.completed).toBe(0);
    const kept = new OneShard(shard, { renews: true });
    expect(await runWorker({ ...options, queue: kept, work: double })).toBe(3);
    expect(kept.completed).toBe(1);
    expect(merged()).toEqual(doubled(3));
    await unused.close();
  });
});

/** Hands out one shard, once; its lease is lost at the first renewal or never. */
class OneShard implements WorkQueue {
  readonly leaseMs = 30;
  completed = 0;
  readonly #renews: boolean;
  #shard: Shard | null;

  constructor(shard: Shard, options: { renews: boolean }) {
    this.#shard = shard;
    this.#renews = options.renews;
  }

  add = () => Promise.resolve();
  release = () => Promise.resolve();
  close = () => Promise.resolve();
  renew = () => Promise.resolve(this.#renews);
  counts = () => Promise.resolve({ waiting: 0, leased: 0, done: 0, failed: 0 });

  lease(): Promise<Lease | null> {
    const shard = this.#shard;
    this.#shard = null;
    return Promise.resolve(shard && { shard, token: 't' });
  }

  complete(): Promise<boolean> {
    this.completed++;
    return Promise.resolve(true);
  }
}

describe('PartFiles', () => {
  it('merges to the same whatever the files are called, each item once', async () => {
    const { parts, shards } = await prepare('merge', 4, 2);
    const files = new PartFiles(parts);
    const record = (worker: string, shard: number, rows: [number, string][]): void => {
      const writer = files.open(shards[shard] as Shard, worker);
      for (const [index, text] of rows) writer.write(index, text);
      writer.close();
    };
    record('b', 0, [
      [1, 'one'],
      [0, 'late'],
    ]);
    record('a', 0, [[0, 'zero']]);
    record('c', 1, [[3, 'three']]);
    expect(() => [...files.merge(shards)]).toThrow(IntegrityError);
    record('d', 1, [[2, 'two']]);
    expect([...files.merge(shards)].map((row) => row.record)).toEqual([
      'late',
      'one',
      'two',
      'three',
    ]);
  });

  it('refuses a damaged line, naming it', async () => {
    const { parts, shards } = await prepare('damaged', 2);
    const folder = join(parts, 'shard-000000000');
    mkdirSync(folder, { recursive: true });
    writeFileSync(
      join(folder, 'w.jsonl'),
      '{"index":0,"record":1}\nnonsense\n{"index":1,"record":1}\n',
    );
    expect(() => new PartFiles(parts).recorded(shards[0] as Shard)).toThrow(/w\.jsonl:2/);
  });
});
