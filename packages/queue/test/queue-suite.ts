// What every queue promises; each implementation runs the same suite.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Lease, Shard, WorkQueue } from '../src/work-queue.ts';

export const shards: readonly Shard[] = Array.from({ length: 5 }, (_, i) => ({
  id: `shard-${i}`,
  start: i * 10,
  end: i * 10 + 10,
  firstItem: i,
  items: 1,
}));

/** @param open Another handle on the queue of that name, as another process would have one. */
export function queueSuite(
  name: string,
  open: (queue: string, leaseMs?: number) => Promise<WorkQueue>,
  suite: { readonly before?: () => Promise<void>; readonly after?: () => Promise<void> } = {},
): void {
  describe(`contract of ${name}`, () => {
    beforeAll(async () => suite.before?.());
    afterAll(async () => suite.after?.());

    const leaseAll = async (queue: WorkQueue): Promise<Lease[]> => {
      const leases: Lease[] = [];
      for (let lease = await queue.lease(); lease !== null; lease = await queue.lease()) {
        leases.push(lease);
      }
      return leases;
    };

    it('leases every shard once, whoever asks, and counts', async () => {
      const [a, b] = [await open('once'), await open('once')];
      await a.add(shards);
      await b.add(shards);
      expect(await a.counts()).toEqual({ waiting: 5, leased: 0, done: 0, failed: 0 });
      const both = await Promise.all([leaseAll(a), leaseAll(b)]);
      const ids = both.flat().map(({ shard }) => shard.id);
      expect(ids.toSorted()).toEqual(shards.map(({ id }) => id));
      expect(both.flat().map(({ shard }) => shard)).toEqual(expect.arrayContaining([...shards]));
      for (const [i, queue] of [a, b].entries()) {
        for (const lease of both[i] ?? []) expect(await queue.complete(lease)).toBe(true);
      }
      expect(await b.counts()).toEqual({ waiting: 0, leased: 0, done: 5, failed: 0 });
      await b.add(shards);
      expect(await b.lease()).toBeNull();
      for (const queue of [a, b]) await queue.close();
    });

    it('gives back what was released', async () => {
      const queue = await open('release');
      await queue.add(shards.slice(0, 1));
      const lease = await queue.lease();
      if (lease === null) throw new Error('no lease');
      expect(await queue.lease()).toBeNull();
      await queue.release(lease);
      const again = await queue.lease();
      expect(again?.shard).toEqual(shards[0]);
      expect(await queue.complete(lease)).toBe(false);
      if (again) expect(await queue.complete(again)).toBe(true);
      await queue.close();
    });

    it('leases again what was not renewed, and tells the late worker', async () => {
      const [a, b] = [await open('expiry', 300), await open('expiry', 300)];
      await a.add(shards.slice(0, 2));
      const first = await a.lease();
      const second = await a.lease();
      if (first === null || second === null) throw new Error('no lease');
      let taken: Lease | null = null;
      for (let i = 0; i < 100 && taken === null; i++) {
        await sleep(50);
        expect(await a.renew(second)).toBe(true);
        taken = await b.lease();
      }
      expect(taken?.shard).toEqual(first.shard);
      expect(await a.renew(first)).toBe(false);
      expect(await a.complete(first)).toBe(false);
      if (taken) expect(await b.complete(taken)).toBe(true);
      for (const queue of [a, b]) await queue.close();
    });
  });
}
