// The queue of several machines: one BullMQ job per shard in Redis. BullMQ's locks are the leases.
import { randomBytes } from 'node:crypto';
import { UnavailableError } from '@masksearch/core';
import { Queue, Worker, type Job } from 'bullmq';
import { z } from 'zod';
import type { Lease, QueueCounts, Shard, WorkQueue } from '../work-queue.ts';

const shardSchema = z.strictObject({
  id: z.string(),
  start: z.number(),
  end: z.number(),
  firstItem: z.number(),
  items: z.number(),
});

export interface RedisQueueOptions {
  /** `redis://host:port/database`; a password belongs in the environment, see `passwordVariable`. */
  readonly url: string;
  /** Tells the work of one run from that of others. */
  readonly name: string;
  /** Milliseconds; default 60,000. */
  readonly leaseMs?: number;
  /** Times that a shard may be lost by its worker until it counts as failed; default 100. */
  readonly maxLeases?: number;
  /** Environment variable with the password of Redis. */
  readonly passwordVariable?: string;
}

export class RedisQueue implements WorkQueue {
  readonly leaseMs: number;
  readonly #queue: Queue;
  readonly #worker: Worker;
  readonly #jobs = new Map<string, Job>();

  private constructor(queue: Queue, worker: Worker, leaseMs: number) {
    this.#queue = queue;
    this.#worker = worker;
    this.leaseMs = leaseMs;
  }

  /** @throws {UnavailableError} no Redis answers there. */
  static async connect(options: RedisQueueOptions): Promise<RedisQueue> {
    const { url, name, leaseMs = 60_000, maxLeases = 100 } = options;
    const connection = connectionOf(options);
    const queue = new Queue(name, { connection });
    const worker = new Worker(name, null, {
      connection: { ...connection, maxRetriesPerRequest: null },
      autorun: false,
      lockDuration: leaseMs,
      stalledInterval: Math.max(100, leaseMs / 2),
      maxStalledCount: maxLeases,
    });
    let refusal = '';
    // Without a listener the first lost connection would end the process; commands report it themselves.
    const remember = (error: Error): void => {
      refusal = error.message;
    };
    queue.on('error', remember);
    worker.on('error', remember);
    try {
      await queue.waitUntilReady();
      await worker.waitUntilReady();
      await worker.startStalledCheckTimer();
    } catch (cause) {
      await Promise.allSettled([queue.close(), worker.close(true)]);
      const reason = refusal === '' && cause instanceof Error ? cause.message : refusal;
      throw new UnavailableError(
        `${new URL(url).host}: expected a Redis server, received none (${reason}); start one (Debian: redis-server) or use the SQLite queue.`,
        { cause },
      );
    }
    return new RedisQueue(queue, worker, leaseMs);
  }

  async add(shards: AsyncIterable<Shard> | Iterable<Shard>): Promise<void> {
    for await (const shard of shards) {
      await this.#queue.add('shard', shard, { jobId: shard.id, attempts: 1 });
    }
  }

  async lease(): Promise<Lease | null> {
    const token = randomBytes(12).toString('hex');
    const job = await this.#worker.getNextJob(token, { block: false });
    if (!job) return null;
    const shard = shardSchema.parse(job.data);
    this.#jobs.set(token, job);
    return { shard, token };
  }

  async renew({ token }: Lease): Promise<boolean> {
    const job = this.#jobs.get(token);
    if (job === undefined) return false;
    return (await job.extendLock(token, this.leaseMs)) === 1;
  }

  async complete({ token }: Lease): Promise<boolean> {
    const job = this.#jobs.get(token);
    this.#jobs.delete(token);
    if (job === undefined) return false;
    return this.#ifHeld(() => job.moveToCompleted(null, token, false));
  }

  async release({ token }: Lease): Promise<void> {
    const job = this.#jobs.get(token);
    this.#jobs.delete(token);
    if (job !== undefined) await this.#ifHeld(() => job.moveToWait(token));
  }

  async counts(): Promise<QueueCounts> {
    const counts = await this.#queue.getJobCounts(
      'waiting',
      'delayed',
      'prioritized',
      'active',
      'completed',
      'failed',
    );
    const sum = (...names: string[]): number =>
      names.reduce((total, name) => total + (counts[name] ?? 0), 0);
    return {
      waiting: sum('waiting', 'delayed', 'prioritized'),
      leased: sum('active'),
      done: sum('completed'),
      failed: sum('failed'),
    };
  }

  /** Removes everything of this queue from Redis. */
  async clear(): Promise<void> {
    await this.#queue.obliterate({ force: true });
  }

  async close(): Promise<void> {
    await this.#worker.close(true);
    await this.#queue.close();
  }

  /** False where BullMQ says that the lock is another's or gone. */
  async #ifHeld(work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (error instanceof Error && /lock|not in the active state|Missing/i.test(error.message)) {
        return false;
      }
      throw error;
    }
  }
}

function connectionOf({ url, passwordVariable }: RedisQueueOptions) {
  const { hostname, port, pathname } = new URL(url);
  const password = passwordVariable === undefined ? undefined : process.env[passwordVariable];
  return {
    host: hostname,
    port: port === '' ? 6379 : Number(port),
    db: Number(pathname.slice(1) || 0),
    ...(password === undefined ? {} : { password }),
    retryStrategy: (times: number) => (times > 20 ? null : Math.min(1000, times * 50)),
  };
}
