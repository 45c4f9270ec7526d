// JSON over HTTP with time-outs, cancellation, retries and limits; errors never show a key.
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CancelledError,
  InputError,
  MaskSearchError,
  parseRetryAfter,
  readLimited,
  retryDelayMs,
  type Secret,
  UnavailableError,
  withDeadline,
} from '@masksearch/core';

export interface JsonRequest {
  /** Who asks, for messages. */
  readonly where: string;
  readonly url: URL;
  /** Sent as JSON by POST; without it the request is a GET. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Keys that must not appear in errors. */
  readonly secrets?: readonly Secret[];
  readonly policy?: Partial<RequestPolicy>;
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface RequestPolicy {
  /** Tries after the first one fails in a way that may pass: no connection, 429, 500, 502, 503, 504. */
  readonly retries: number;
  /** Upper bound of the wait before the first retry; doubles each time and is drawn from. A `Retry-After` is added. */
  readonly backoffMs: number;
  /** Upper bound of every wait; a `Retry-After` beyond it is not waited for. */
  readonly maxWaitMs: number;
  /** Milliseconds of one try. */
  readonly tryTimeoutMs: number;
  /** Larger answers are refused. */
  readonly maxBytes: number;
}

export const DEFAULT_POLICY: RequestPolicy = {
  retries: 4,
  backoffMs: 250,
  maxWaitMs: 30_000,
  tryTimeoutMs: 30_000,
  maxBytes: 16 * 2 ** 20,
};

const PASSING = new Set([429, 500, 502, 503, 504]);

/** A failure that another try may not meet. */
class PassingFailure extends Error {
  readonly retryAfterMs: number | undefined;

  constructor(message: string, options: { retryAfterMs?: number | undefined; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.retryAfterMs = options.retryAfterMs;
  }
}

/**
 * The parsed JSON of an answer.
 *
 * @throws {UnavailableError} the server could not be reached or refused, after all retries.
 * @throws {InputError} the answer is not JSON or too large.
 * @throws {TimeoutError} `timeoutMs`, which covers all tries, have passed. @throws {CancelledError}
 */
export async function requestJson(request: JsonRequest): Promise<unknown> {
  const { where, timeoutMs, signal } = request;
  return withDeadline(where, { timeoutMs, signal }, async (either) => {
    try {
      return await tryRepeatedly(request, either);
    } catch (error) {
      throw redacted(error, request.secrets ?? []);
    }
  });
}

async function tryRepeatedly(request: JsonRequest, signal: AbortSignal): Promise<unknown> {
  const policy = { ...DEFAULT_POLICY, ...request.policy };
  for (let attempt = 0; ; attempt++) {
    try {
      return await tryOnce(request, policy, signal);
    } catch (error) {
      if (signal.aborted) throw new CancelledError(`${request.where}: cancelled.`);
      if (!(error instanceof PassingFailure)) throw error;
      const { retryAfterMs = 0 } = error;
      if (attempt >= policy.retries || retryAfterMs > policy.maxWaitMs) {
        throw new UnavailableError(
          `${request.where}: expected an answer from ${placeOf(request.url)}, received ${error.message} (${attempt + 1} tries).`,
          { cause: error.cause },
        );
      }
      const limits = { baseMs: policy.backoffMs, maxMs: policy.maxWaitMs };
      const waitMs = retryDelayMs(attempt + 1, Math.random(), limits, retryAfterMs);
      await sleep(waitMs, undefined, { signal });
    }
  }
}

async function tryOnce(
  { where, url, body, headers }: JsonRequest,
  { tryTimeoutMs, maxBytes }: RequestPolicy,
  signal: AbortSignal,
): Promise<unknown> {
  const own = AbortSignal.any([signal, AbortSignal.timeout(tryTimeoutMs)]);
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      redirect: 'error', // a key in a header must not travel to another host
      signal: own,
      headers: {
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    });
    text = new TextDecoder().decode(await readLimited(response.body, { where, maxBytes }));
  } catch (cause) {
    if (MaskSearchError.isInstance(cause)) throw cause;
    throw new PassingFailure(reasonOf(cause), { cause });
  }
  const refusal = `status ${response.status} ${JSON.stringify(text.slice(0, 200))}`;
  if (PASSING.has(response.status)) {
    throw new PassingFailure(refusal, {
      retryAfterMs: parseRetryAfter(response.headers.get('retry-after'), Date.now()),
    });
  }
  if (!response.ok) {
    throw new UnavailableError(
      `${where}: expected status 200 from ${placeOf(url)}, received ${refusal}.`,
      { data: { status: response.status } },
    );
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new InputError(
      `${where}: expected JSON from ${placeOf(url)}, received ${JSON.stringify(text.slice(0, 80))}.`,
      { cause },
    );
  }
}

/** What `fetch` says hides behind `cause`. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message || error.message : error.message;
}

/** Without query and credentials, where keys may stand. */
function placeOf({ origin, pathname }: URL): string {
  return `${origin}${pathname}`;
}

/** The error without any key; causes are dropped, since they may hold the whole request. */
function redacted(error: unknown, secrets: readonly Secret[]): unknown {
  if (secrets.length === 0 || !MaskSearchError.isInstance(error)) return error;
  const clean = secrets.reduce((text, secret) => secret.redact(text), error.message);
  const { data } = error;
  if (error.code === 'input') return new InputError(clean, { data });
  return error.code === 'unavailable' ? new UnavailableError(clean, { data }) : error;
}
