// One attempt over HTTP: sends a request, reads the answer whole or in pieces, and never waits longer than allowed.
import { parseRetryAfter, type Secret } from '@masksearch/core';
import { request as httpRequest, type Dispatcher } from 'undici';
import { AttemptError } from './chat-errors.ts';
import type { EndpointConfig } from './endpoint-config.ts';
import { EventReader } from './server-sent-events.ts';

/** What is quoted of an error page. */
const QUOTED_CHARACTERS = 300;
const ERROR_PAGE_BYTES = 65_536;

/** Reads one answer: whole, or as events. What it cannot read it refuses with an `AttemptError`. */
export interface AnswerReader<T> {
  readonly whole: (text: string) => T;
  readonly event: (data: string) => void;
  /** After the last event. */
  readonly end: () => T;
}

export interface AttemptRequest<T> {
  readonly dispatcher: Dispatcher;
  readonly config: EndpointConfig;
  readonly key: Secret | null;
  /** Below the base URL. */
  readonly path: string;
  readonly body: string;
  readonly reader: AnswerReader<T>;
  readonly signal?: AbortSignal | undefined;
}

/** @throws {AttemptError} no answer. Rethrows the reason of the caller's signal. */
export async function attempt<T>(request: AttemptRequest<T>): Promise<T> {
  const { signal } = request;
  const limits = new AttemptLimits(request.config.timeouts, signal);
  try {
    return await send(request, limits);
  } catch (error) {
    signal?.throwIfAborted();
    throw limits.expired ?? asAttemptError(error, request.key);
  } finally {
    limits.clear();
  }
}

async function send<T>(request: AttemptRequest<T>, limits: AttemptLimits): Promise<T> {
  const { config, key, dispatcher, path, body, reader } = request;
  const response = await httpRequest(`${config.baseUrl.replace(/\/+$/, '')}${path}`, {
    dispatcher,
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: config.stream ? 'text/event-stream, application/json' : 'application/json',
      ...(key === null ? {} : { authorization: `Bearer ${key.reveal()}` }),
    },
    body,
    signal: limits.signal,
  });
  if (response.statusCode !== 200) throw await refusal(response, key, limits);
  const chunks = limitedChunks(response.body, limits, config.maxResponseBytes);
  const type = String(response.headers['content-type'] ?? '');
  if (type.includes('text/event-stream')) return readEvents(reader, chunks);
  const whole: Uint8Array[] = [];
  for await (const chunk of chunks) whole.push(chunk);
  return reader.whole(Buffer.concat(whole).toString('utf8'));
}

async function readEvents<T>(
  reader: AnswerReader<T>,
  chunks: AsyncIterable<Uint8Array>,
): Promise<T> {
  const events = new EventReader();
  for await (const chunk of chunks) {
    for (const data of events.push(chunk)) if (data !== '[DONE]') reader.event(data);
  }
  return reader.end();
}

async function* limitedChunks(
  body: AsyncIterable<unknown>,
  limits: AttemptLimits,
  maximumBytes: number,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    limits.sawBytes();
    bytes += chunk.length;
    if (bytes > maximumBytes) {
      throw new AttemptError('too-large', `expected at most ${maximumBytes} bytes, received more.`);
    }
    yield chunk;
  }
}

async function refusal(
  { statusCode: status, headers, body }: Dispatcher.ResponseData,
  key: Secret | null,
  limits: AttemptLimits,
): Promise<AttemptError> {
  const retryAfter = headers['retry-after'];
  const header = Array.isArray(retryAfter) ? (retryAfter[0] ?? null) : (retryAfter ?? null);
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of limitedChunks(body, limits, ERROR_PAGE_BYTES)) chunks.push(chunk);
  } catch {
    // The status says enough; its page is only quoted.
  }
  const page = Buffer.concat(chunks).toString('utf8').replace(/\s+/g, ' ').trim();
  const quoted = (key === null ? page : key.redact(page)).slice(0, QUOTED_CHARACTERS);
  const isServerFault = status >= 500 || [408, 409, 425].includes(status);
  const kind = status === 429 ? 'rate-limit' : isServerFault ? 'server' : 'refused';
  return new AttemptError(kind, `status ${status}${quoted === '' ? '' : `: ${quoted}`}.`, {
    status,
    retryAfterMs: parseRetryAfter(header, Date.now()),
  });
}

function asAttemptError(error: unknown, key: Secret | null): AttemptError {
  if (error instanceof AttemptError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const text = error instanceof Error ? error.message : String(error);
  const message = `${key === null ? text : key.redact(text)}${code === '' ? '' : ` (${code})`}.`;
  if (code === 'UND_ERR_CONNECT_TIMEOUT') return new AttemptError('timeout', message);
  return new AttemptError('connect', message);
}

/** The time limits of one attempt, joined with the caller's signal. Connecting is limited by the dispatcher. */
class AttemptLimits {
  readonly signal: AbortSignal;
  readonly #own = new AbortController();
  readonly #timeouts: EndpointConfig['timeouts'];
  readonly #total: NodeJS.Timeout;
  #piece: NodeJS.Timeout;
  #expired: AttemptError | undefined;

  constructor(timeouts: EndpointConfig['timeouts'], caller: AbortSignal | undefined) {
    this.#timeouts = timeouts;
    this.#total = this.#timer('answer', timeouts.totalMs);
    this.#piece = this.#timer('first byte', timeouts.firstByteMs);
    const own = this.#own.signal;
    this.signal = caller === undefined ? own : AbortSignal.any([own, caller]);
  }

  /** The limit that was passed, if one was. */
  get expired(): AttemptError | undefined {
    return this.#expired;
  }

  /** Starts the wait for the next piece. */
  sawBytes(): void {
    clearTimeout(this.#piece);
    this.#piece = this.#timer('next piece', this.#timeouts.idleMs);
  }

  clear(): void {
    clearTimeout(this.#total);
    clearTimeout(this.#piece);
  }

  #timer(what: string, milliseconds: number): NodeJS.Timeout {
    return setTimeout(() => {
      this.#expired ??= new AttemptError('timeout', `no ${what} within ${milliseconds} ms.`);
      this.#own.abort();
    }, milliseconds);
  }
}
