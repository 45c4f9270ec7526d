// One attempt over HTTP: sends a request, reads the answer whole or in pieces, and never waits longer than allowed.
import { parseRetryAfter, type Secret } from '@masksearch/core';
import { request as httpRequest, type Dispatcher } from 'undici';
import type { z } from 'zod';
import { AttemptError } from './chat-errors.ts';
import type { ChatResponse, Usage } from './chat-types.ts';
import type { EndpointConfig } from './endpoint-config.ts';
import { EventReader } from './server-sent-events.ts';
import { Assembly, chunkSchema, completionSchema } from './wire.ts';

/** What is quoted of an error page. */
const QUOTED_CHARACTERS = 300;
const ERROR_PAGE_BYTES = 65_536;

export interface AttemptRequest {
  readonly dispatcher: Dispatcher;
  readonly config: EndpointConfig;
  readonly key: Secret | null;
  readonly body: string;
  /** Usage where the endpoint reports none. */
  readonly estimate: (text: string) => Usage;
  readonly signal?: AbortSignal | undefined;
  readonly onText?: ((piece: string) => void) | undefined;
}

/** @throws {AttemptError} no answer. Rethrows the reason of the caller's signal. */
export async function attempt(request: AttemptRequest): Promise<ChatResponse> {
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

async function send(request: AttemptRequest, limits: AttemptLimits): Promise<ChatResponse> {
  const { config, key, dispatcher, body } = request;
  const response = await httpRequest(`${config.baseUrl.replace(/\/+$/, '')}/chat/completions`, {
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
  const type = String(response.headers['content-type'] ?? '');
  return type.includes('text/event-stream')
    ? readEvents(request, response, limits)
    : readWhole(request, response, limits);
}

async function readWhole(
  { config, estimate, onText }: AttemptRequest,
  { body }: Dispatcher.ResponseData,
  limits: AttemptLimits,
): Promise<ChatResponse> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of limitedChunks(body, limits, config.maxResponseBytes))
    chunks.push(chunk);
  const assembly = new Assembly();
  assembly.addCompletion(parse(completionSchema, Buffer.concat(chunks).toString('utf8')));
  const response = assembly.response(estimate);
  onText?.(response.text);
  return response;
}

async function readEvents(
  { config, estimate, onText }: AttemptRequest,
  { body }: Dispatcher.ResponseData,
  limits: AttemptLimits,
): Promise<ChatResponse> {
  const reader = new EventReader();
  const assembly = new Assembly();
  for await (const chunk of limitedChunks(body, limits, config.maxResponseBytes)) {
    for (const data of reader.push(chunk)) {
      if (data === '[DONE]') continue;
      const piece = assembly.addChunk(parse(chunkSchema, data));
      if (piece !== '') onText?.(piece);
    }
  }
  if (assembly.isFinished) return assembly.response(estimate);
  throw new AttemptError('cut', 'the stream ended before the answer did.');
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

function parse<T>(schema: z.ZodType<T>, text: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new AttemptError('malformed', 'expected JSON, received something else.');
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new AttemptError(
    'malformed',
    `expected a chat completion; ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is invalid'}.`,
  );
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
