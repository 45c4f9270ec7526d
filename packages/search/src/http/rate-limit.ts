// Spaces calls out in time: at most so many per second, in the order in which they came.
import { setTimeout as sleep } from 'node:timers/promises';
import { CancelledError, ConfigError } from '@masksearch/core';

export class RateLimit {
  readonly #intervalMs: number;
  /** When the next call may go, on the clock of `performance.now`. */
  #next = 0;

  /**
   * @param perSecond Calls per second; Infinity for no limit.
   * @throws {ConfigError} it is not positive.
   */
  constructor(perSecond: number) {
    if (!(perSecond > 0)) {
      throw new ConfigError(`RateLimit: expected calls per second > 0, received ${perSecond}.`);
    }
    this.#intervalMs = 1000 / perSecond;
  }

  /** Resolves when the call may go. @throws {CancelledError} `signal` fires first. */
  async turn(signal: AbortSignal): Promise<void> {
    const now = performance.now();
    const at = Math.max(now, this.#next);
    this.#next = at + this.#intervalMs;
    if (at <= now) return;
    try {
      await sleep(at - now, undefined, { signal });
    } catch (cause) {
      throw new CancelledError('RateLimit: cancelled while waiting.', cause);
    }
  }
}
