// Results as they come: one file per shard and worker, whole lines only, merged in the order of the items.
import {
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  writeSync,
  closeSync,
  fsyncSync,
} from 'node:fs';
import { join } from 'node:path';
import { InputError, IntegrityError, MaskSearchError } from '@masksearch/core';
import type { Shard } from './work-queue.ts';

interface Row {
  readonly index: number;
  readonly record: unknown;
}

/** Where a worker writes the results of one shard. Only this worker writes to it. */
export class PartWriter {
  readonly #descriptor: number;

  constructor(path: string) {
    this.#descriptor = openSync(path, 'a');
  }

  /** Appends a result in one write: a kill leaves the line whole, torn or absent. */
  write(index: number, record: unknown): void {
    const bytes = Buffer.from(`${JSON.stringify({ index, record })}\n`, 'utf8');
    const written = writeSync(this.#descriptor, bytes);
    // A short write happens when the disk is full; the torn line counts for nothing.
    if (written !== bytes.length) {
      throw new IntegrityError(
        `part file: expected to write ${bytes.length} bytes, wrote ${written}.`,
      );
    }
  }

  /** Forces everything to disk and closes. */
  close(): void {
    fsyncSync(this.#descriptor);
    closeSync(this.#descriptor);
  }
}

/** The folder of results: `<folder>/<shard>/<worker>.jsonl`. */
export class PartFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** @param worker Never used before, not even by an earlier life of the same process. */
  open(shard: Shard, worker: string): PartWriter {
    if (!/^[\w.-]+$/.test(worker)) {
      throw new InputError(
        `worker name: expected letters, digits, dots, dashes, received ${JSON.stringify(worker)}.`,
      );
    }
    const folder = join(this.#folder, shard.id);
    mkdirSync(folder, { recursive: true });
    return new PartWriter(join(folder, `${worker}.jsonl`));
  }

  /** Numbers of the items of a shard that have a result, whoever recorded it. */
  recorded(shard: Shard): Set<number> {
    return new Set(this.#rows(shard).map(({ index }) => index));
  }

  /**
   * The results of the shards in the order of the items, each item's once: where two workers recorded one, as after a
   * lease that ran out under a worker that still lived, the one whose bytes sort first.
   * @throws {IntegrityError} an item has no result.
   */
  *merge(shards: Iterable<Shard>): Generator<{ index: number; record: unknown }> {
    for (const shard of shards) {
      const rows = new Map<number, string>();
      for (const { index, record } of this.#rows(shard)) {
        const text = JSON.stringify(record);
        const known = rows.get(index);
        if (known === undefined || text < known) rows.set(index, text);
      }
      for (let index = shard.firstItem; index < shard.firstItem + shard.items; index++) {
        const text = rows.get(index);
        if (text === undefined) {
          throw new IntegrityError(
            `${this.#folder}: expected a result of item ${index} (${shard.id}), found none; run the workers again.`,
          );
        }
        yield { index, record: JSON.parse(text) as unknown };
      }
    }
  }

  #rows(shard: Shard): Row[] {
    const folder = join(this.#folder, shard.id);
    if (!existsSync(folder)) return [];
    const files = readdirSync(folder).filter((file) => file.endsWith('.jsonl'));
    return files.toSorted().flatMap((file) => rowsOf(join(folder, file)));
  }
}

/** The whole lines of a part; a last line without an end was cut off by a kill and counts for nothing. */
function rowsOf(path: string): Row[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  lines.pop();
  return lines.map((line, i) => {
    try {
      const row = JSON.parse(line) as Partial<Row>;
      if (typeof row.index === 'number' && 'record' in row) return row as Row;
    } catch (error) {
      if (MaskSearchError.isInstance(error)) throw error;
    }
    throw new IntegrityError(
      `${path}:${i + 1}: expected a result, received ${JSON.stringify(line.slice(0, 60))}.`,
    );
  });
}
