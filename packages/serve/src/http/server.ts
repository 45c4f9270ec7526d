// The HTTP server under every service here: routes, keys, limits on bodies and time, an orderly end.
import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  ConfigError,
  MaskSearchError,
  readLimited,
  type Secret,
  UnavailableError,
} from '@masksearch/core';
import type { ZodType } from 'zod';
import { HttpError, toHttpError } from './http-error.ts';

/** What every server here is told by its caller. */
export interface ListenOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Asked for as a bearer token; required to listen beyond this machine. */
  readonly key?: Secret | undefined;
  /** Told of errors that nobody foresaw. */
  readonly onError?: (error: unknown) => void;
}

export interface ServerOptions extends ListenOptions {
  readonly routes: readonly Route[];
  /** Default 1 MiB. */
  readonly maxBodyBytes?: number;
  /** The JSON that tells of a refusal. */
  readonly errorBody: (error: HttpError) => unknown;
}

export interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** Open to callers without the key. */
  readonly isOpen?: boolean;
  readonly handle: (call: Call) => Promise<void>;
}

/** One request and its answer. */
export interface Call {
  /** Fires when the client goes away or the server ends. */
  readonly signal: AbortSignal;
  /** The body, checked. @throws {HttpError} it is not JSON of that shape, or too large. */
  readonly json: <T>(schema: ZodType<T>) => Promise<T>;
  readonly send: (status: number, body: unknown) => void;
  /** Starts an answer of server-sent events. */
  readonly events: () => EventStream;
}

export interface EventStream {
  /** Resolves when the client can take more. */
  readonly write: (data: string) => Promise<void>;
  readonly end: () => void;
}

export interface RunningServer {
  /** `http://host:port`, without a slash at the end. */
  readonly url: string;
  /** Takes no more requests, gives those under way `graceMs`, then cancels them. */
  readonly close: (graceMs?: number) => Promise<void>;
}

const DEFAULT_BODY_BYTES = 2 ** 20;
const LOOPBACK = /^(127(\.\d{1,3}){3}|::1|localhost)$/;
/** A client that sends slower than this is cut off. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
/** For refusing what was cancelled at the end; then connections are cut. */
const LAST_WORDS_MS = 1000;

/**
 * Starts to listen.
 * @throws {ConfigError} other machines could reach it and there is no key.
 * @throws {UnavailableError} the port is taken.
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { host = '127.0.0.1', port, key } = options;
  if (key === undefined && !LOOPBACK.test(host)) {
    throw new ConfigError(
      `server: expected a key to listen on ${host}, received none; set one, or listen on 127.0.0.1.`,
    );
  }
  const service = new Service(options);
  const server = createServer({ keepAliveTimeout: 5000 }, (request, response) => {
    void service.answer(request, response);
  });
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  await listen(server, host, port);
  const { port: taken } = server.address() as AddressInfo;
  const shown = host.includes(':') ? `[${host}]` : host;
  return {
    url: `http://${shown}:${taken}`,
    close: (graceMs = 5000) => service.close(server, graceMs),
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      reject(
        new UnavailableError(`server: cannot listen on ${host}:${port}: ${cause.message}.`, {
          cause,
        }),
      );
    });
    server.listen(port, host, resolve);
  });
}

async function settlesWithin(promise: Promise<unknown>, milliseconds: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), milliseconds);
  });
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

class Service {
  readonly #options: ServerOptions;
  readonly #end = new AbortController();
  readonly #underWay = new Set<Promise<void>>();
  #closing = false;

  constructor(options: ServerOptions) {
    this.#options = options;
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const work = this.#answer(request, response);
    this.#underWay.add(work);
    await work;
    this.#underWay.delete(work);
  }

  async close(server: Server, graceMs: number): Promise<void> {
    this.#closing = true;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeIdleConnections();
    const finished = Promise.all(this.#underWay);
    if (!(await settlesWithin(finished, graceMs))) {
      this.#end.abort();
      await settlesWithin(finished, LAST_WORDS_MS);
    }
    server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.on('close', () => {
      if (!response.writableFinished) gone.abort();
    });
    response.on('error', () => gone.abort());
    try {
      const route = this.#routeOf(request);
      const signal = AbortSignal.any([gone.signal, this.#end.signal]);
      await route.handle(this.#callOf(request, response, signal));
    } catch (error) {
      if (!gone.signal.aborted) this.#refuse(response, error);
    }
  }

  #routeOf(request: IncomingMessage): Route {
    if (this.#closing) throw new HttpError(503, 'the server is shutting down', 1);
    const { pathname } = new URL(request.url ?? '/', 'http://server');
    const here = this.#options.routes.filter(({ path }) => path === pathname);
    if (here.length === 0) throw new HttpError(404, `there is no ${pathname}`);
    const route = here.find(({ method }) => method === request.method);
    if (route === undefined) {
      throw new HttpError(405, `${pathname} takes ${here.map(({ method }) => method).join(', ')}`);
    }
    if (route.isOpen !== true) this.#checkKey(request);
    return route;
  }

  #checkKey(request: IncomingMessage): void {
    const { key } = this.#options;
    if (key === undefined) return;
    const given = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
    const hash = (text: string): Buffer => createHash('sha256').update(text).digest();
    if (!timingSafeEqual(hash(given), hash(key.reveal()))) {
      throw new HttpError(401, 'expected the key of this server as a bearer token');
    }
  }

  #callOf(request: IncomingMessage, response: ServerResponse, signal: AbortSignal): Call {
    return {
      signal,
      json: async (schema) => readJson(request, schema, this.#maxBodyBytes),
      send: (status, body) => sendJson(response, status, body),
      events: () => eventStream(response, signal),
    };
  }

  get #maxBodyBytes(): number {
    return this.#options.maxBodyBytes ?? DEFAULT_BODY_BYTES;
  }

  #refuse(response: ServerResponse, error: unknown): void {
    const told = toHttpError(error);
    if (told.status === 500) this.#options.onError?.(error);
    // An answer that has begun can only be broken off, so that it does not look whole; a stream has told by now.
    if (response.headersSent) {
      if (!response.writableEnded) response.destroy();
      return;
    }
    if (told.retryAfterSeconds !== undefined) {
      response.setHeader('retry-after', `${told.retryAfterSeconds}`);
    }
    if (told.status === 413) response.setHeader('connection', 'close'); // the rest is not read
    sendJson(response, told.status, this.#options.errorBody(told));
  }
}

/** Only `application/json` is taken: other kinds a web page could send from a browser without being asked. */
async function readJson<T>(
  request: IncomingMessage,
  schema: ZodType<T>,
  maxBytes: number,
): Promise<T> {
  if (!/^application\/json\b/i.test(request.headers['content-type'] ?? '')) {
    throw new HttpError(415, 'expected content-type application/json');
  }
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes);
  let value: unknown;
  try {
    // The answer goes over the same socket, so reading must not destroy it.
    const body = request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
    const bytes = await readLimited(body, { where: 'server', maxBytes });
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    if (MaskSearchError.isInstance(error)) {
      throw tooLarge(maxBytes);
    }
    throw new HttpError(400, 'expected a JSON body');
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const key = issue?.path.map(String).join('.') ?? '';
  throw new HttpError(400, `${key === '' ? 'the body' : key}: ${issue?.message ?? 'is invalid'}`);
}

function tooLarge(maxBytes: number): HttpError {
  return new HttpError(413, `expected a body of at most ${maxBytes} bytes`);
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const bytes = Buffer.from(JSON.stringify(body), 'utf8');
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': bytes.length,
  });
  response.end(bytes);
}

function eventStream(response: ServerResponse, signal: AbortSignal): EventStream {
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  response.flushHeaders();
  return {
    write: async (data) => {
      signal.throwIfAborted();
      if (response.write(`data: ${data}\n\n`)) return;
      await new Promise<void>((resolve) => {
        const go = (): void => {
          response.off('drain', go);
          signal.removeEventListener('abort', go);
          resolve();
        };
        response.on('drain', go);
        signal.addEventListener('abort', go);
      });
    },
    end: () => void response.end(),
  };
}
