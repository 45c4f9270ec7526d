// Answers by the content of their request, in one SQLite file that several processes may share.
import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { z } from 'zod';
import type { ChatResponse } from './chat-types.ts';

/** Milliseconds that a process waits for another's write. */
const BUSY_MS = 30_000;

const topSchema = z.strictObject({ token: z.string(), logProb: z.number() });
const responseSchema = z.strictObject({
  text: z.string(),
  toolCalls: z.array(z.strictObject({ id: z.string(), name: z.string(), arguments: z.string() })),
  finish: z.enum(['stop', 'length', 'tool-calls', 'content-filter']),
  usage: z.strictObject({ inputTokens: z.number(), outputTokens: z.number() }),
  model: z.string(),
  logProbs: z.array(topSchema.extend({ top: z.array(topSchema) })).optional(),
});

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

  /** The answer, or undefined; an entry that cannot be read counts as none. */
  get(key: string): ChatResponse | undefined {
    const text = this.#select.get(key)?.['response'];
    if (typeof text !== 'string') return undefined;
    try {
      const { logProbs, ...rest } = responseSchema.parse(JSON.parse(text));
      return logProbs === undefined ? rest : { ...rest, logProbs };
    } catch {
      return undefined;
    }
  }

  put(key: string, response: ChatResponse): void {
    this.#insert.run(key, JSON.stringify(response));
  }

  close(): void {
    this.#database.close();
  }
}
