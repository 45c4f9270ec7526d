// What calls cost, and a cap: a call starts only if the dearest end it can have still fits.
import { BudgetError } from '@masksearch/core';
import type { Usage } from './chat-types.ts';

export interface Price {
  /** US dollars per million tokens. */
  readonly input: number;
  readonly output: number;
}

export interface CostReport {
  /** Calls that reached the endpoint and were answered. */
  readonly calls: number;
  /** Calls answered from the cache. */
  readonly cached: number;
  /** Attempts that failed. */
  readonly failedAttempts: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly usd: number;
}

/** A sum put aside for a call under way. */
export interface Reservation {
  /** Books what was really used. */
  settle(usage: Usage): void;
  /** Nothing was used. */
  cancel(): void;
}

/** Shared by all endpoints of a run. */
export class CostMeter {
  readonly #capUsd: number;
  #reserved = 0;
  #report = {
    calls: 0,
    cached: 0,
    failedAttempts: 0,
    inputTokens: 0,
    outputTokens: 0,
    usd: 0,
  };

  /** @param spentUsd What earlier runs of the same work have spent. */
  constructor(options: { readonly capUsd?: number; readonly spentUsd?: number } = {}) {
    this.#capUsd = options.capUsd ?? Infinity;
    this.#report.usd = options.spentUsd ?? 0;
  }

  /**
   * Puts aside what a call may cost at most.
   * @throws {BudgetError} it does not fit under the cap together with what is spent and put aside.
   */
  reserve(most: Usage, price: Price): Reservation {
    const sum = costOf(most, price);
    const total = this.#report.usd + this.#reserved + sum;
    if (total > this.#capUsd) {
      throw new BudgetError(
        `cost: expected at most $${this.#capUsd}, the next call could make it $${total.toFixed(6)}; raise the cap to go on.`,
        { capUsd: this.#capUsd, spentUsd: this.#report.usd },
      );
    }
    this.#reserved += sum;
    let isOpen = true;
    const close = (): boolean => {
      const wasOpen = isOpen;
      if (isOpen) this.#reserved -= sum;
      isOpen = false;
      return wasOpen;
    };
    return {
      settle: (usage) => {
        if (!close()) return;
        this.#report.calls++;
        this.#report.inputTokens += usage.inputTokens;
        this.#report.outputTokens += usage.outputTokens;
        this.#report.usd += costOf(usage, price);
      },
      cancel: () => void close(),
    };
  }

  countCached(): void {
    this.#report.cached++;
  }

  countFailedAttempt(): void {
    this.#report.failedAttempts++;
  }

  report(): CostReport {
    return { ...this.#report };
  }
}

function costOf({ inputTokens, outputTokens }: Usage, { input, output }: Price): number {
  return (inputTokens * input + outputTokens * output) / 1e6;
}
