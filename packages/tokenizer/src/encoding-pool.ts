// Many texts encoded at once on worker threads; what comes out does not depend on how many there are.
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { ConfigError, MaskSearchError } from '@masksearch/core';
import type { Encoding, Tokenizer } from './tokenizer.ts';

/** Texts that a worker encodes in one go. */
export interface TextBatch {
  readonly serial: number;
  readonly texts: readonly string[];
}

/** Its answer, in the order of the texts. */
export interface EncodedBatch {
  readonly serial: number;
  readonly encodings: readonly Encoding[];
}

// Large enough that messages cost little, small enough that all workers have something to do.
const BATCH_CHARACTERS = 262_144;

// The source runs as TypeScript in the repository and as JavaScript when published.
const WORKER = import.meta.url.endsWith('.ts') ? './encoding-worker.ts' : './encoding-worker.js';

/** Worker threads that encode texts with one tokenizer. Close it when done. */
export class EncodingPool {
  readonly #workers: Worker[];
  readonly #waiting = new Map<number, PromiseWithResolvers<readonly Encoding[]>>();
  #serial = 0;
  #failure: unknown = null;

  /** @param workers Threads; default one per core. @throws {ConfigError} it is no positive integer. */
  constructor(tokenizer: Tokenizer, workers = availableParallelism()) {
    if (!Number.isSafeInteger(workers) || workers < 1) {
      throw new ConfigError(
        `EncodingPool: expected a number of workers >= 1, received ${String(workers)}.`,
      );
    }
    const workerData = tokenizer.serialize();
    this.#workers = Array.from({ length: workers }, () => {
      const worker = new Worker(new URL(WORKER, import.meta.url), { workerData });
      worker.on('message', ({ serial, encodings }: EncodedBatch) => {
        this.#waiting.get(serial)?.resolve(encodings);
        this.#waiting.delete(serial);
      });
      worker.on('error', (error) => this.#fail(error));
      worker.on('exit', () =>
        this.#fail(new MaskSearchError('cancelled', 'EncodingPool: closed.')),
      );
      // Only unanswered work keeps the process alive.
      worker.unref();
      return worker;
    });
  }

  /**
   * Encodings in the order of the texts; at most two batches per worker are under way, so a long source is not read
   * ahead of its use.
   * @throws {MaskSearchError} `cancelled`: the pool was closed meanwhile.
   */
  async *encode(texts: Iterable<string> | AsyncIterable<string>): AsyncGenerator<Encoding> {
    const underWay: Promise<readonly Encoding[]>[] = [];
    try {
      for await (const batch of batchesOf(texts)) {
        underWay.push(this.#send(batch));
        if (underWay.length >= 2 * this.#workers.length) yield* (await underWay.shift()) ?? [];
      }
      while (underWay.length > 0) yield* (await underWay.shift()) ?? [];
    } finally {
      // A caller that stops early awaits none of these; their failure is not an unhandled one.
      for (const rest of underWay) rest.catch(() => undefined);
    }
  }

  /** Ends the threads. What is under way fails. */
  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #send(texts: readonly string[]): Promise<readonly Encoding[]> {
    const serial = this.#serial++;
    const answer = Promise.withResolvers<readonly Encoding[]>();
    this.#waiting.set(serial, answer);
    if (this.#failure !== null) {
      this.#fail(this.#failure);
      return answer.promise;
    }
    const worker = this.#workers[serial % this.#workers.length] as Worker;
    worker.ref();
    worker.postMessage({ serial, texts } satisfies TextBatch);
    return answer.promise.finally(() => this.#waiting.size === 0 && this.#rest());
  }

  #rest(): void {
    for (const worker of this.#workers) worker.unref();
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    for (const answer of this.#waiting.values()) answer.reject(this.#failure);
    this.#waiting.clear();
  }
}

async function* batchesOf(
  texts: Iterable<string> | AsyncIterable<string>,
): AsyncGenerator<string[]> {
  let batch: string[] = [];
  let characters = 0;
  for await (const text of texts) {
    batch.push(text);
    characters += text.length;
    if (characters < BATCH_CHARACTERS) continue;
    yield batch;
    batch = [];
    characters = 0;
  }
  if (batch.length > 0) yield batch;
}
