// One worker: leases shards, works on their items, a bounded number at a time, and records every result at once.
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { CancelledError, MaskSearchError } from '@masksearch/core';
import { PartFiles, type PartWriter } from './part-files.ts';
import { readShard, type ShardItem } from './plan-shards.ts';
import type { Lease, WorkQueue } from './work-queue.ts';

export interface WorkerOptions {
  readonly queue: WorkQueue;
  /** The JSONL file that the shards were planned from. */
  readonly items: string;
  /** Folder of the results. */
  readonly parts: string;
  /** Items under way at most. */
  readonly concurrency: number;
  /** The result of an item: any JSON value. What it throws stops the worker. */
  readonly work: (item: ShardItem, signal: AbortSignal) => Promise<unknown>;
  readonly onRecord?: (item: ShardItem, record: unknown) => void;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds between two looks at a queue in which others hold all shards; default 200. */
  readonly pollMs?: number;
  /** Names the result files; default host, process and random digits. */
  readonly name?: string;
}

/** A shard that this worker holds. */
interface Held {
  readonly lease: Lease;
  readonly writer: PartWriter;
  readonly lost: AbortController;
  /** Fires when the shard is lost or the worker stops. */
  readonly signal: AbortSignal;
  pending: number;
  isRead: boolean;
}

/**
 * Works until every shard is done, by this worker or another.
 * @returns how many results this worker recorded.
 * @throws what `work` throws, after the shards held were given back. A BudgetError lets the items under way end first;
 *   anything else cancels them. @throws {CancelledError} `signal` fired.
 */
export async function runWorker(options: WorkerOptions): Promise<number> {
  return new WorkerRun(options).run();
}

class WorkerRun {
  readonly #options: WorkerOptions;
  readonly #parts: PartFiles;
  readonly #name: string;
  readonly #held = new Set<Held>();
  readonly #active = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  #failure: { readonly error: unknown } | undefined;
  #recorded = 0;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#parts = new PartFiles(options.parts);
    const suffix = randomBytes(4).toString('hex');
    this.#name = options.name ?? `${hostname().replace(/[^\w.-]/g, '-')}-${process.pid}-${suffix}`;
  }

  async run(): Promise<number> {
    const { queue, signal } = this.#options;
    const onAbort = (): void => {
      this.#fail(new CancelledError('worker: cancelled.', signal?.reason));
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) onAbort();
    const renewal = setInterval(() => void this.#renew(), queue.leaseMs / 3);
    try {
      await this.#drain();
    } catch (error) {
      this.#fail(error);
    } finally {
      await Promise.all(this.#active);
      clearInterval(renewal);
      signal?.removeEventListener('abort', onAbort);
      for (const held of this.#held) await this.#giveBack(held);
    }
    if (this.#failure !== undefined) throw this.#failure.error;
    return this.#recorded;
  }

  /** Starts items as places become free; the next shard is leased while the last items of this one are under way. */
  async #drain(): Promise<void> {
    const { queue, pollMs = 200 } = this.#options;
    while (this.#failure === undefined) {
      const lease = await queue.lease();
      if (lease !== null) {
        await this.#workOn(lease);
        continue;
      }
      if (this.#active.size > 0) await Promise.race([...this.#active, sleep(pollMs)]);
      else {
        const { waiting, leased } = await queue.counts();
        if (waiting + leased === 0) return;
        await sleep(pollMs);
      }
    }
  }

  async #workOn(lease: Lease): Promise<void> {
    const { items, concurrency } = this.#options;
    const lost = new AbortController();
    const held: Held = {
      lease,
      writer: this.#parts.open(lease.shard, this.#name),
      lost,
      signal: AbortSignal.any([this.#stop.signal, lost.signal]),
      pending: 0,
      isRead: false,
    };
    this.#held.add(held);
    const recorded = this.#parts.recorded(lease.shard);
    for await (const item of readShard(items, lease.shard)) {
      if (recorded.has(item.index)) continue;
      while (this.#active.size >= concurrency) await Promise.race(this.#active);
      if (this.#failure !== undefined || held.lost.signal.aborted) break;
      held.pending++;
      const work = this.#workOnItem(held, item).finally(() => this.#active.delete(work));
      this.#active.add(work);
    }
    held.isRead = true;
    await this.#completeIfDone(held);
  }

  /** Never rejects: what goes wrong is kept and stops the worker. */
  async #workOnItem(held: Held, item: ShardItem): Promise<void> {
    try {
      const record = await this.#options.work(item, held.signal);
      // Of a lost shard another records what is missing.
      if (!held.lost.signal.aborted) {
        held.writer.write(item.index, record);
        this.#recorded++;
        this.#options.onRecord?.(item, record);
        held.pending--;
        await this.#completeIfDone(held);
      }
    } catch (error) {
      if (!held.lost.signal.aborted) this.#fail(error);
    }
  }

  async #completeIfDone(held: Held): Promise<void> {
    const isDone = held.isRead && held.pending === 0 && this.#failure === undefined;
    if (!isDone || !this.#held.delete(held)) return;
    held.writer.close();
    if (!held.lost.signal.aborted) await this.#options.queue.complete(held.lease);
  }

  async #giveBack(held: Held): Promise<void> {
    this.#held.delete(held);
    held.writer.close();
    if (!held.lost.signal.aborted) await this.#options.queue.release(held.lease);
  }

  async #renew(): Promise<void> {
    for (const held of this.#held) {
      try {
        if (!(await this.#options.queue.renew(held.lease))) held.lost.abort();
      } catch (error) {
        this.#fail(error);
      }
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    const mayEnd = MaskSearchError.isInstance(error) && error.code === 'budget';
    if (!mayEnd) this.#stop.abort(error);
  }
}
