// How many requests are worked on and how many wait; the rest are told to come back.
import { CancelledError, ConfigError } from '@masksearch/core';
import { HttpError } from './http-error.ts';

export interface AdmissionLimits {
  /** Requests worked on at once. */
  readonly concurrency: number;
  /** Requests that wait; more are refused with 503. */
  readonly queue: number;
}

/** Seconds that a refused client is asked to wait. */
const RETRY_AFTER_SECONDS = 1;

interface Waiting {
  readonly start: () => void;
}

/** First come, first served. */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #waiting = new Set<Waiting>();
  #running = 0;

  /** @throws {ConfigError} a limit is out of range. */
  constructor(limits: AdmissionLimits) {
    const { concurrency, queue } = limits;
    if (!Number.isSafeInteger(concurrency) || concurrency < 1) {
      throw new ConfigError(`server: expected concurrency to be >= 1, received ${concurrency}.`);
    }
    if (!Number.isSafeInteger(queue) || queue < 0) {
      throw new ConfigError(`server: expected queue to be >= 0, received ${queue}.`);
    }
    this.#limits = limits;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Runs `work` when there is room.
   * @throws {HttpError} 503 with `Retry-After` when the queue is full.
   * @throws {CancelledError} `signal` fires while it waits.
   */
  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#limits.concurrency) await this.#wait(signal);
    else this.#running++;
    try {
      return await work();
    } finally {
      this.#next();
    }
  }

  #wait(signal: AbortSignal): Promise<void> {
    if (this.#waiting.size >= this.#limits.queue) {
      const { concurrency, queue } = this.#limits;
      throw new HttpError(
        503,
        `the server is full: ${concurrency} requests under way, ${queue} waiting; try again later`,
        RETRY_AFTER_SECONDS,
      );
    }
    return new Promise((resolve, reject) => {
      const cancel = (): void => {
        this.#waiting.delete(waiting);
        reject(new CancelledError('server: cancelled while waiting.'));
      };
      const waiting: Waiting = {
        start: () => {
          signal.removeEventListener('abort', cancel);
          resolve();
        },
      };
      if (signal.aborted) return cancel();
      signal.addEventListener('abort', cancel, { once: true });
      this.#waiting.add(waiting);
    });
  }

  /** Hands the place of a finished request on, or frees it. */
  #next(): void {
    for (const waiting of this.#waiting) {
      this.#waiting.delete(waiting);
      waiting.start();
      return;
    }
    this.#running--;
  }
}
