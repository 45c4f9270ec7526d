// The client of one endpoint: cache, cost cap, limits and retries around single attempts.
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CancelledError,
  RateLimiter,
  retryDelayMs,
  type Secret,
  secretFromEnvironment,
} from '@masksearch/core';
import { Agent } from 'undici';
import { attempt } from './attempt.ts';
import { AttemptError, ChatError } from './chat-errors.ts';
import type { ChatModel, ChatOptions, ChatRequest, ChatResponse, Usage } from './chat-types.ts';
import { CostMeter } from './cost-meter.ts';
import { resolveEndpointConfig, type EndpointConfig } from './endpoint-config.ts';
import type { endpointConfigSchema } from './endpoint-config.ts';
import { cacheKey, type ResponseCache } from './response-cache.ts';
import { toWire } from './wire.ts';
import type { z } from 'zod';

/** Refusals in a row after which the whole endpoint rests: one alone may be meant for one call. */
const REFUSALS_BEFORE_PAUSE = 3;
/** Low for English, so that estimates err upwards; Chinese characters count one each. */
const CHARACTERS_PER_TOKEN = 3;

export interface ChatClientOptions {
  /** Names the endpoint in errors and records. */
  readonly name: string;
  readonly config: z.input<typeof endpointConfigSchema>;
  /** Shared by the clients of a run; default one of its own, without a cap. */
  readonly meter?: CostMeter;
  readonly cache?: ResponseCache;
  /** Where API keys are; default `process.env`. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** In [0, 1); decides the jitter. Default `Math.random`. */
  readonly random?: () => number;
}

export class ChatClient implements ChatModel {
  readonly name: string;
  readonly structured: boolean;
  readonly meter: CostMeter;
  readonly #config: EndpointConfig;
  readonly #key: Secret | null;
  readonly #cache: ResponseCache | undefined;
  readonly #random: () => number;
  readonly #limiter: RateLimiter;
  readonly #agent: Agent;
  #refusals = 0;

  /** @throws {ConfigError} the configuration is impossible or the key's variable is not set. */
  constructor(options: ChatClientOptions) {
    const config = resolveEndpointConfig(options.config);
    const { apiKeyVariable, concurrency, timeouts } = config;
    this.name = `${options.name}:${config.model}`;
    this.structured = config.structuredOutput === 'json-schema';
    this.meter = options.meter ?? new CostMeter();
    this.#config = config;
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
  async complete(request: ChatRequest, options: ChatOptions = {}): Promise<ChatResponse> {
    const body = toWire(request, this.#config);
    const key = cacheKey(this.#config.baseUrl, { ...body, stream: null, stream_options: null });
    const known = this.#cache?.get(key);
    if (known !== undefined) {
      this.meter.countCached();
      options.onText?.(known.text);
      return known;
    }
    const response = await this.#ask(request, JSON.stringify(body), options);
    this.#cache?.put(key, response);
    return response;
  }

  /** Closes the connections; calls under way fail. */
  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #ask(request: ChatRequest, body: string, options: ChatOptions): Promise<ChatResponse> {
    const { retries } = this.#config;
    for (let number = 1; ; number++) {
      try {
        return await this.#attempt(request, body, options);
      } catch (error) {
        if (options.signal?.aborted) {
          throw new CancelledError(`chat(${this.name}): cancelled.`, options.signal.reason);
        }
        if (!(error instanceof AttemptError)) throw error;
        this.meter.countFailedAttempt();
        const { retryAfterMs = 0 } = error;
        const mayRetry = error.isRetryable && retryAfterMs <= retries.maxRetryAfterMs;
        if (!mayRetry || number >= retries.attempts) throw new ChatError(this.name, error, number);
        this.#restIfRefused(error);
        await this.#wait(retryDelayMs(number, this.#random(), retries, retryAfterMs), options);
      }
    }
  }

  async #attempt(request: ChatRequest, body: string, options: ChatOptions): Promise<ChatResponse> {
    const { price } = this.#config;
    const inputTokens = estimateTokens(body);
    const most: Usage = { inputTokens, outputTokens: request.maxTokens };
    const reservation = this.meter.reserve(most, price);
    let used = 0;
    try {
      const permit = await this.#limiter.acquire(inputTokens + request.maxTokens, options.signal);
      try {
        const response = await attempt({
          dispatcher: this.#agent,
          config: this.#config,
          key: this.#key,
          body,
          estimate: (text) => ({ inputTokens, outputTokens: estimateTokens(text) }),
          signal: options.signal,
          onText: options.onText,
        });
        this.#refusals = 0;
        used = response.usage.inputTokens + response.usage.outputTokens;
        reservation.settle(response.usage);
        return response;
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

  async #wait(milliseconds: number, { signal }: ChatOptions): Promise<void> {
    try {
      await sleep(milliseconds, undefined, signal === undefined ? {} : { signal });
    } catch (error) {
      throw new CancelledError(`chat(${this.name}): cancelled.`, error);
    }
  }
}

/** Tokens that a text may have at most, near enough for limits. */
export function estimateTokens(text: string): number {
  const wide = text.match(/[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]/g)?.length ?? 0;
  return Math.ceil(wide + (text.length - wide) / CHARACTERS_PER_TOKEN);
}
