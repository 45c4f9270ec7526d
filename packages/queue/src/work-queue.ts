// The port: work that is leased shard by shard. A lease that is not renewed runs out, and the shard is leased again.

/** A run of consecutive items of a JSONL file. */
export interface Shard {
  /** Sorts as the shards follow each other in the file. */
  readonly id: string;
  /** Bytes of the file, [start, end). */
  readonly start: number;
  readonly end: number;
  /** Number of its first item in the file, from 0. */
  readonly firstItem: number;
  readonly items: number;
}

/** The right to work on a shard, until it runs out. */
export interface Lease {
  readonly shard: Shard;
  /** Tells this lease from earlier ones of the same shard. */
  readonly token: string;
}

export interface QueueCounts {
  readonly waiting: number;
  readonly leased: number;
  readonly done: number;
  /** Leased so often without being completed that nobody is given them any more. */
  readonly failed: number;
}

export interface WorkQueue {
  /** Adds shards; those whose id is known are left as they are. */
  add(shards: AsyncIterable<Shard> | Iterable<Shard>): Promise<void>;
  /** A shard that is waiting or whose lease ran out, the first in order where the queue can tell; null if there is none now. */
  lease(): Promise<Lease | null>;
  /** Prolongs a lease. False: it ran out and is another's now. */
  renew(lease: Lease): Promise<boolean>;
  /** Marks a shard as done. False: the lease was another's by then. */
  complete(lease: Lease): Promise<boolean>;
  /** Gives a shard back unfinished. */
  release(lease: Lease): Promise<void>;
  counts(): Promise<QueueCounts>;
  close(): Promise<void>;
  /** Milliseconds that a lease lasts. */
  readonly leaseMs: number;
}
