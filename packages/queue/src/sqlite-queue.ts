// The queue of one machine: a SQLite file that any number of processes share.
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { IntegrityError } from '@masksearch/core';
import { z } from 'zod';
import type { Lease, QueueCounts, Shard, WorkQueue } from './work-queue.ts';

/** Milliseconds that a process waits for another's transaction. */
const BUSY_MS = 30_000;
const SCHEMA = `
  PRAGMA busy_timeout = ${BUSY_MS};
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  CREATE TABLE IF NOT EXISTS shards (
    id TEXT PRIMARY KEY, start INTEGER, "end" INTEGER, firstItem INTEGER, items INTEGER,
    state TEXT NOT NULL DEFAULT 'waiting', leases INTEGER NOT NULL DEFAULT 0, token TEXT, owner INTEGER, expires INTEGER
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS by_state ON shards (state, id);`;

const rowSchema = z.object({
  id: z.string(),
  start: z.number(),
  end: z.number(),
  firstItem: z.number(),
  items: z.number(),
  leases: z.number(),
});

export interface SqliteQueueOptions {
  /** Milliseconds; default 60,000. A worker that died is noticed at once, one that hangs when its leases run out. */
  readonly leaseMs?: number;
  /** Leases of one shard until it counts as failed; default 100. */
  readonly maxLeases?: number;
}

export class SqliteQueue implements WorkQueue {
  readonly leaseMs: number;
  readonly #maxLeases: number;
  readonly #database: DatabaseSync;

  constructor(path: string, { leaseMs = 60_000, maxLeases = 100 }: SqliteQueueOptions = {}) {
    mkdirSync(dirname(path), { recursive: true });
    this.leaseMs = leaseMs;
    this.#maxLeases = maxLeases;
    this.#database = new DatabaseSync(path);
    this.#database.exec(SCHEMA);
  }

  async add(shards: AsyncIterable<Shard> | Iterable<Shard>): Promise<void> {
    const insert = this.#database.prepare(
      'INSERT OR IGNORE INTO shards (id, start, "end", firstItem, items) VALUES (?, ?, ?, ?, ?)',
    );
    for await (const { id, start, end, firstItem, items } of shards) {
      insert.run(id, start, end, firstItem, items);
    }
  }

  lease(): Promise<Lease | null> {
    return this.#transaction(() => {
      this.#freeLost();
      const found = this.#database
        .prepare(`SELECT * FROM shards WHERE state = 'waiting' ORDER BY id LIMIT 1`)
        .get();
      if (found === undefined) return null;
      const { leases, ...shard } = rowSchema.parse(found);
      const token = randomBytes(12).toString('hex');
      this.#database
        .prepare(
          `UPDATE shards SET state = 'leased', leases = ?, token = ?, owner = ?, expires = ? WHERE id = ?`,
        )
        .run(leases + 1, token, process.pid, Date.now() + this.leaseMs, shard.id);
      return { shard, token };
    });
  }

  renew({ shard, token }: Lease): Promise<boolean> {
    return this.#update(`expires = ?`, [Date.now() + this.leaseMs], shard.id, token);
  }

  complete({ shard, token }: Lease): Promise<boolean> {
    return this.#update(`state = 'done'`, [], shard.id, token);
  }

  async release({ shard, token }: Lease): Promise<void> {
    // A shard that was given back cost nobody anything.
    await this.#update(`state = 'waiting', leases = leases - 1`, [], shard.id, token);
  }

  counts(): Promise<QueueCounts> {
    const rows = this.#database
      .prepare('SELECT state, COUNT(*) AS shards FROM shards GROUP BY state')
      .all();
    const counts = new Map(rows.map((row) => [String(row['state']), Number(row['shards'])]));
    return Promise.resolve({
      waiting: counts.get('waiting') ?? 0,
      leased: counts.get('leased') ?? 0,
      done: counts.get('done') ?? 0,
      failed: counts.get('failed') ?? 0,
    });
  }

  close(): Promise<void> {
    this.#database.close();
    return Promise.resolve();
  }

  /** Leases that ran out, or whose process is gone, are free again. */
  #freeLost(): void {
    const leased = this.#database
      .prepare(`SELECT id, leases, owner, expires FROM shards WHERE state = 'leased'`)
      .all();
    const alive = new Map<number, boolean>();
    for (const { id, leases, owner, expires } of leased) {
      const pid = Number(owner);
      if (!alive.has(pid)) alive.set(pid, isAlive(pid));
      if (alive.get(pid) && Number(expires) > Date.now()) continue;
      const state = Number(leases) >= this.#maxLeases ? 'failed' : 'waiting';
      this.#database.prepare('UPDATE shards SET state = ? WHERE id = ?').run(state, String(id));
    }
  }

  #update(set: string, values: number[], id: string, token: string): Promise<boolean> {
    return this.#transaction(() => {
      const { changes } = this.#database
        .prepare(`UPDATE shards SET ${set} WHERE id = ? AND state = 'leased' AND token = ?`)
        .run(...values, id, token);
      return Number(changes) === 1;
    });
  }

  #transaction<T>(work: () => T): Promise<T> {
    try {
      this.#database.exec('BEGIN IMMEDIATE');
      const result = work();
      this.#database.exec('COMMIT');
      return Promise.resolve(result);
    } catch (cause) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      const reason = cause instanceof Error ? cause.message : String(cause);
      return Promise.reject(
        new IntegrityError(`queue: the transaction failed; ${reason}.`, { cause }),
      );
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, but belongs to somebody else.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
