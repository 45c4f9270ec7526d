// One endpoint, whatever is asked of it: cache, cost cap, limits and retries around single attempts.
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CancelledError,
  RateLimiter,
  retryDelayMs,
  type Secret,
  secretFromEnvironment,
} from '@masksearch/core';
import { Agent } from 'undici';
import type { z, ZodType } from 'zod';
import { type AnswerReader, attempt } from './attempt.ts';
import { AttemptError, ChatError } from './chat-errors.ts';
import type { Usage } from './chat-types.ts';
import { CostMeter } from './cost-meter.ts';
import {
  type EndpointConfig,
  type endpointConfigSchema,
  resolveEndpointConfig,
} from './endpoint-config.ts';
import { cacheKey, type ResponseCache } from './response-cache.ts';

/** Refusals in a row after which the whole endpoint rests: one alone may be meant for one call. */
const REFUSALS_BEFORE_PAUSE = 3;

export interface EndpointOptions {
  /** Names the endpoint in errors and records. */
  readonly name: string;
  readonly config: z.input<typeof endpointConfigSchema>;
  /** Shared by the endpoints of a run; default one of its own, without a cap. */
  readonly meter?: CostMeter;
  readonly cache?: ResponseCache;
  /** Where API keys are; default `process.env`. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** In [0, 1); decides the jitter. Default `Math.random`. */
  readonly random?: () => number;
}

/** What is sent, and how its answer is read. */
export interface EndpointCall<T> {
  /** Below the base URL. */
  readonly path: `/${string}`;
  readonly body: Readonly<Record<string, unknown>>;
  /** Tokens of the request, or a little more. @param body As it is sent. */
  readonly inputTokens: (body: string) => number;
  /** Tokens that the answer may have. */
  readonly maxTokens: number;
  /** A new one for each attempt. */
  readonly reader: (inputTokens: number) => AnswerReader<T>;
  /** The form of an answer in the cache. */
  readonly cached: ZodType<T>;
  readonly signal?: AbortSignal | undefined;
}

export class Endpoint {
  /** Endpoint and model, as recorded with what they made. */
  readonly name: string;
  readonly config: EndpointConfig;
  readonly meter: CostMeter;
  readonly #key: Secret | null;
  readonly #cache: ResponseCache | undefined;
  readonly #random: () => number;
  readonly #limiter: RateLimiter;
  readonly #agent: Agent;
  #refusals = 0;

  /** @throws {ConfigError} the configuration is impossible or the key's variable is not set. */
  constructor(options: EndpointOptions) {
    const config = resolveEndpointConfig(options.config);
    const { apiKeyVariable, concurrency, timeouts } = config;
    this.name = `${options.name}:${config.model}`;
    this.config = config;
    this.meter = options.meter ?? new CostMeter();
    this.#key =
      apiKeyVariable === null ? null : secretFromEnvironment(apiKeyVariable, options.environment);
    this.#cache = options.cache;
    this.#random = options.random ?? Math.random;
    this.#limiter = new RateLimiter(config);
    this.#agent = new Agent({
      connections: concurrency,
      connect: { timeout: timeouts.connectMs },
      // The attempt has its own limits for these.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  /**
   * Asks, and asks again after failures that may pass. An answer in the cache costs nothing.
   * @throws {ChatError} no answer in the attempts allowed, or a request that the endpoint refuses.
   * @throws {BudgetError} the cost cap leaves no room. @throws {CancelledError} `signal` fired.
   */
  async ask<T extends { readonly usage: Usage }>(call: EndpointCall<T>): Promise<T> {
    // Whether an answer is streamed makes no difference to it.
    const key = cacheKey(this.config.baseUrl, { ...call.body, stream: null, stream_options: null });
    const known = this.#cache?.get(key, call.cached);
    if (known !== undefined) {
      this.meter.countCached();
      return known;
    }
    const answer = await this.#tryRepeatedly(call);
    this.#cache?.put(key, answer);
    return answer;
  }

  /** Closes the connections; calls under way fail. */
  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #tryRepeatedly<T extends { readonly usage: Usage }>(call: EndpointCall<T>): Promise<T> {
    const { retries } = this.config;
    const { signal } = call;
    const body = JSON.stringify(call.body);
    const most = { inputTokens: call.inputTokens(body), outputTokens: call.maxTokens };
    for (let number = 1; ; number++) {
      try {
        return await this.#attempt(call, body, most);
      } catch (error) {
        if (signal?.aborted) {
          throw new CancelledError(`chat(${this.name}): cancelled.`, signal.reason);
        }
        if (!(error instanceof AttemptError)) throw error;
        this.meter.countFailedAttempt();
        const { retryAfterMs = 0 } = error;
        const mayRetry = error.isRetryable && retryAfterMs <= retries.maxRetryAfterMs;
        if (!mayRetry || number >= retries.attempts) throw new ChatError(this.name, error, number);
        this.#restIfRefused(error);
        await this.#wait(retryDelayMs(number, this.#random(), retries, retryAfterMs), signal);
      }
    }
  }

  async #attempt<T extends { readonly usage: Usage }>(
    { path, reader, signal }: EndpointCall<T>,
    body: string,
    most: Usage,
  ): Promise<T> {
    const reservation = this.meter.reserve(most, this.config.price);
    let used = 0;
    try {
      const permit = await this.#limiter.acquire(most.inputTokens + most.outputTokens, signal);
      try {
        const answer = await attempt({
          dispatcher: this.#agent,
          config: this.config,
          key: this.#key,
          path,
          body,
          reader: reader(most.inputTokens),
          signal,
        });
        this.#refusals = 0;
        used = answer.usage.inputTokens + answer.usage.outputTokens;
        reservation.settle(answer.usage);
        return answer;
      } finally {
        permit.release(used);
      }
    } finally {
      // Nothing where the call was settled.
      reservation.cancel();
    }
  }

  #restIfRefused(error: AttemptError): void {
    if (error.kind !== 'rate-limit' && error.status !== 503) return;
    this.#refusals++;
    if (this.#refusals >= REFUSALS_BEFORE_PAUSE) this.#limiter.pause(error.retryAfterMs ?? 0);
  }

  async #wait(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
    try {
      await sleep(milliseconds, undefined, signal === undefined ? {} : { signal });
    } catch (error) {
      throw new CancelledError(`chat(${this.name}): cancelled.`, error);
    }
  }
}
