// Who may call now: places for calls under way, and requests and tokens per minute. First come, first served.
import { CancelledError, ConfigError } from './errors.ts';

const MINUTE_MS = 60_000;

export interface RateLimits {
  /** Default without limit. */
  readonly concurrency?: number;
  readonly requestsPerMinute?: number | null;
  readonly tokensPerMinute?: number | null;
  /** Spaces the requests out evenly, where else a second's worth may start at once. */
  readonly isEven?: boolean;
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

  /** @param burst What may be taken at once after a rest, and one more. */
  constructor(perMinute: number, burst: number, now: number) {
    this.#perMs = perMinute / MINUTE_MS;
    this.#capacity = burst;
    this.#level = this.#capacity;
    this.#at = now;
  }

  /** Milliseconds until something may be taken. */
  waitMs(now: number): number {
    this.#level = Math.min(this.#capacity, this.#level + (now - this.#at) * this.#perMs);
    this.#at = now;
    return this.#level >= 0 ? 0 : Math.ceil(-this.#level / this.#perMs);
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

  /** @throws {ConfigError} an allowance is not positive. */
  constructor(limits: RateLimits) {
    const { concurrency = Infinity, requestsPerMinute, tokensPerMinute, isEven = false } = limits;
    this.#concurrency = concurrency;
    this.#requests = allowance(requestsPerMinute, isEven);
    this.#tokens = allowance(tokensPerMinute, false);
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

/** A burst is at most one second's worth, so that no minute, wherever it starts, sees much more than its share. */
function allowance(perMinute: number | null | undefined, isEven: boolean): Allowance | undefined {
  if (perMinute === null || perMinute === undefined) return undefined;
  if (!(perMinute > 0)) {
    throw new ConfigError(`rate limiter: expected more than 0 per minute, received ${perMinute}.`);
  }
  return new Allowance(perMinute, isEven ? 0 : Math.max(1, perMinute / 60), performance.now());
}

function cancelled(signal: AbortSignal): CancelledError {
  return new CancelledError('rate limiter: cancelled while waiting.', signal.reason);
}
