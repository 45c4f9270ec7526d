// Answers by the content of their request, in one SQLite file that several processes may share.
import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { ZodType } from 'zod';

/** Milliseconds that a process waits for another's write. */
const BUSY_MS = 30_000;

/** The key of a request: endpoint and body decide it, the API key does not. */
export function cacheKey(baseUrl: string, body: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify([1, baseUrl, body]))
    .digest('hex');
}

export class ResponseCache {
  readonly #database: DatabaseSync;
  readonly #select: StatementSync;
  readonly #insert: StatementSync;

  /** @param path The file, or `:memory:`. */
  constructor(path: string) {
    if (path !== ':memory:') mkdirSync(dirname(path), { recursive: true });
    this.#database = new DatabaseSync(path);
    this.#database.exec(
      `PRAGMA busy_timeout = ${BUSY_MS}; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
       CREATE TABLE IF NOT EXISTS responses (key TEXT PRIMARY KEY, response TEXT NOT NULL) WITHOUT ROWID;`,
    );
    this.#select = this.#database.prepare('SELECT response FROM responses WHERE key = ?');
    this.#insert = this.#database.prepare('INSERT OR IGNORE INTO responses VALUES (?, ?)');
  }

  /** The answer, or undefined; an entry that is not of that form counts as none. */
  get<T>(key: string, schema: ZodType<T>): T | undefined {
    const text = this.#select.get(key)?.['response'];
    if (typeof text !== 'string') return undefined;
    try {
      return schema.parse(JSON.parse(text));
    } catch {
      return undefined;
    }
  }

  put(key: string, response: unknown): void {
    this.#insert.run(key, JSON.stringify(response));
  }

  close(): void {
    this.#database.close();
  }
}
