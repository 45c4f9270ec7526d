// Who may call now: places for calls under way, and requests and tokens per minute. First come, first served.
import { CancelledError } from '@masksearch/core';

const MINUTE_MS = 60_000;

export interface RateLimits {
  readonly concurrency: number;
  readonly requestsPerMinute: number | null;
  readonly tokensPerMinute: number | null;
}

interface Waiter {
  readonly tokens: number;
  readonly start: () => void;
}

/** What a call holds until it ends. */
export interface Permit {
  /** Gives the place back and corrects the estimate by the tokens really used. */
  release(usedTokens?: number): void;
}

/** An allowance that fills up evenly; it may go below zero, then nothing starts until it is back. */
class Allowance {
  readonly #perMs: number;
  readonly #capacity: number;
  #level: number;
  #at: number;

  constructor(perMinute: number, now: number) {
    this.#perMs = perMinute / MINUTE_MS;
    // A burst of at most one second's worth, so that no minute, wherever it starts, sees much more than its share.
    this.#capacity = Math.max(1, perMinute / 60);
    this.#level = this.#capacity;
    this.#at = now;
  }

  /** Milliseconds until there is something to take. */
  waitMs(now: number): number {
    this.#level = Math.min(this.#capacity, this.#level + (now - this.#at) * this.#perMs);
    this.#at = now;
    return this.#level > 0 ? 0 : Math.ceil(-this.#level / this.#perMs) + 1;
  }

  take(amount: number): void {
    this.#level -= amount;
  }
}

export class RateLimiter {
  readonly #concurrency: number;
  readonly #requests: Allowance | undefined;
  readonly #tokens: Allowance | undefined;
  readonly #queue: Waiter[] = [];
  #active = 0;
  #pausedUntil = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(limits: RateLimits) {
    const now = performance.now();
    this.#concurrency = limits.concurrency;
    if (limits.requestsPerMinute !== null) {
      this.#requests = new Allowance(limits.requestsPerMinute, now);
    }
    if (limits.tokensPerMinute !== null) {
      this.#tokens = new Allowance(limits.tokensPerMinute, now);
    }
  }

  /** Calls under way. */
  get active(): number {
    return this.#active;
  }

  /**
   * Waits for a place.
   * @param tokens What the call is expected to use.
   * @throws {CancelledError} `signal` fired while waiting.
   */
  acquire(tokens: number, signal?: AbortSignal): Promise<Permit> {
    if (signal?.aborted) return Promise.reject(cancelled(signal));
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        const at = this.#queue.indexOf(waiter);
        if (at >= 0) this.#queue.splice(at, 1);
        if (signal !== undefined) reject(cancelled(signal));
      };
      const waiter: Waiter = {
        tokens,
        start: () => {
          signal?.removeEventListener('abort', onAbort);
          resolve(this.#permit(tokens));
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#queue.push(waiter);
      this.#advance();
    });
  }

  /** Starts nothing for so long: the endpoint said that it has had enough. */
  pause(milliseconds: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, performance.now() + milliseconds);
  }

  #permit(expected: number): Permit {
    let isHeld = true;
    return {
      release: (used = expected) => {
        if (!isHeld) return;
        isHeld = false;
        this.#active--;
        this.#tokens?.take(used - expected);
        this.#advance();
      },
    };
  }

  #advance(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#queue.length > 0 && this.#active < this.#concurrency) {
      const now = performance.now();
      const wait = Math.max(
        this.#pausedUntil - now,
        this.#requests?.waitMs(now) ?? 0,
        this.#tokens?.waitMs(now) ?? 0,
      );
      if (wait > 0) {
        this.#timer = setTimeout(() => this.#advance(), Math.ceil(wait));
        return;
      }
      const waiter = this.#queue.shift();
      if (waiter === undefined) return;
      this.#active++;
      this.#requests?.take(1);
      this.#tokens?.take(waiter.tokens);
      waiter.start();
    }
  }
}

function cancelled(signal: AbortSignal): CancelledError {
  return new CancelledError('rate limiter: cancelled while waiting.', signal.reason);
}
