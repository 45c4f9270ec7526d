// Cuts a JSONL file into shards and reads the items of one; holds no more than one item in memory.
import { createReadStream, existsSync, openSync, closeSync, readSync } from 'node:fs';
import { InputError, textLines } from '@masksearch/core';
import type { Shard } from './work-queue.ts';

const NEWLINE = 0x0a;

/**
 * The shards of a file, in order. The same file and size give the same shards.
 * @param itemsPerShard ≥ 1.
 * @throws {InputError} the file is absent, or `itemsPerShard` is not a positive integer.
 */
export async function* planShards(path: string, itemsPerShard: number): AsyncGenerator<Shard> {
  if (!existsSync(path)) throw new InputError(`${path}: expected a JSONL file, found none.`);
  if (!Number.isInteger(itemsPerShard) || itemsPerShard < 1) {
    throw new InputError(
      `planShards: expected itemsPerShard to be a positive integer, received ${itemsPerShard}.`,
    );
  }
  let number = 0;
  let [start, firstItem, items] = [0, 0, 0];
  const shardUpTo = (end: number): Shard => {
    const shard = { id: shardId(number), start, end, firstItem, items };
    number++;
    [start, firstItem, items] = [end, firstItem + items, 0];
    return shard;
  };
  let at = 0;
  let hasText = false;
  for await (const chunk of createReadStream(path) as AsyncIterable<Uint8Array>) {
    for (let i = 0; i < chunk.length; i++) {
      if (chunk[i] !== NEWLINE) {
        hasText ||= chunk[i] !== 0x0d;
        continue;
      }
      if (hasText) items++;
      hasText = false;
      if (items === itemsPerShard) yield shardUpTo(at + i + 1);
    }
    at += chunk.length;
  }
  if (hasText) items++;
  if (items > 0) yield shardUpTo(at);
}

/** Nine digits: shards sort by name. */
function shardId(number: number): string {
  return `shard-${String(number).padStart(9, '0')}`;
}

/** One item of a shard. */
export interface ShardItem {
  /** Number of the item in the whole file, from 0. */
  readonly index: number;
  /** Its line. */
  readonly line: string;
}

/** The items of a shard. @throws {InputError} the file has become shorter. */
export async function* readShard(path: string, shard: Shard): AsyncGenerator<ShardItem> {
  let index = shard.firstItem;
  for await (const { line } of textLines(bytesOf(path, shard), path)) {
    if (line !== '') yield { index: index++, line };
  }
  if (index !== shard.firstItem + shard.items) {
    throw new InputError(
      `${path}: expected ${shard.items} items in ${shard.id}, found ${index - shard.firstItem}; the file has changed since the queue was made.`,
    );
  }
}

async function* bytesOf(path: string, { start, end }: Shard): AsyncGenerator<Uint8Array> {
  const descriptor = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(Math.min(65_536, Math.max(1, end - start)));
    for (let at = start; at < end;) {
      const length = readSync(descriptor, buffer, 0, Math.min(buffer.length, end - at), at);
      if (length === 0) return;
      at += length;
      yield buffer.subarray(0, length);
    }
  } finally {
    closeSync(descriptor);
  }
}
