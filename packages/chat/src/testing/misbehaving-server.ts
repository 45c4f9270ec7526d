// A chat-completions server for tests: answers as told, late, and misbehaves on a schedule that repeats itself.
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { RandomStream } from '@masksearch/core';
import { HOSTILE_TEXTS } from './hostile-texts.ts';

/** The part of a request that answers are made from. */
export interface AskedChat {
  readonly model: string;
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly [field: string]: unknown;
}

export type Fault =
  | 'rate-limit' // 429 with Retry-After
  | 'server-error' // 500
  | 'stall' // takes the request and never answers
  | 'cut' // breaks off in the middle
  | 'malformed' // 200 with what is no chat completion
  | 'hostile'; // a proper answer whose text is meant to do harm; the same whenever it is asked

export interface ServerOptions {
  readonly answer: (chat: AskedChat) => string;
  /** Milliseconds before every answer. */
  readonly latencyMs?: number;
  /** Share of calls for each fault. */
  readonly faults?: Partial<Record<Fault, number>>;
  readonly seed?: number;
  /** Seconds of the Retry-After header. */
  readonly retryAfterSeconds?: number;
  /** Key that must come with every request; quoted in refusals, as careless servers do. */
  readonly apiKey?: string;
}

export interface ServerStatistics {
  readonly requests: number;
  readonly faults: Readonly<Record<Fault, number>>;
  /** Requests answered a second time in full: what a cache or a queue should have spared. */
  readonly repeated: number;
  /** Most requests under way at once. */
  readonly peak: number;
  /** Sum over requests of the time between arrival and end, the caller's hanging up included. */
  readonly busyMs: number;
}

const FAULTS: readonly Fault[] = [
  'rate-limit',
  'server-error',
  'stall',
  'cut',
  'malformed',
  'hostile',
];
const MALFORMED = ['<html>gateway</html>', '{"choices": []}', '{"choices": [{"message": 3}]}', '{'];

export class MisbehavingServer {
  readonly #options: ServerOptions;
  readonly #server = createServer((request, response) => void this.#serve(request, response));
  readonly #attempts = new Map<string, number>();
  readonly #answered = new Set<string>();
  readonly #faults: Record<Fault, number> = {
    'rate-limit': 0,
    'server-error': 0,
    stall: 0,
    cut: 0,
    malformed: 0,
    hostile: 0,
  };
  #requests = 0;
  #repeated = 0;
  #active = 0;
  #peak = 0;
  #busyMs = 0;
  /** Bodies and headers as they came, while `record` is set. */
  readonly received: { readonly headers: IncomingMessage['headers']; readonly body: AskedChat }[] =
    [];
  record = false;

  constructor(options: ServerOptions) {
    this.#options = options;
  }

  /** Listens on loopback. @returns the base URL. */
  async listen(port = 0): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  statistics(): ServerStatistics {
    return {
      requests: this.#requests,
      faults: { ...this.#faults },
      repeated: this.#repeated,
      peak: this.#peak,
      busyMs: this.#busyMs,
    };
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const started = performance.now();
    this.#requests++;
    this.#peak = Math.max(this.#peak, ++this.#active);
    response.on('close', () => {
      this.#active--;
      this.#busyMs += performance.now() - started;
    });
    try {
      const body = await readBody(request);
      if (request.url?.endsWith('/statistics')) sendJson(response, 200, this.statistics());
      else await this.#reply(request, response, body);
    } catch {
      // The caller hung up.
      response.destroy();
    }
  }

  async #reply(request: IncomingMessage, response: ServerResponse, body: string): Promise<void> {
    const { apiKey, latencyMs = 0 } = this.#options;
    const chat = JSON.parse(body) as AskedChat;
    if (this.record) this.received.push({ headers: request.headers, body: chat });
    if (apiKey !== undefined && request.headers.authorization !== `Bearer ${apiKey}`) {
      const quoted = `wrong key: ${request.headers.authorization ?? 'none'}`;
      return sendJson(response, 401, { error: { message: quoted } });
    }
    const content = createHash('sha256').update(body).digest('hex');
    const attempt = (this.#attempts.get(content) ?? 0) + 1;
    this.#attempts.set(content, attempt);
    const fault = this.#faultOf(content, attempt);
    if (fault !== null) this.#faults[fault]++;
    if (fault === 'stall') return;
    await sleep(latencyMs);
    if (fault === 'rate-limit') {
      response.setHeader('retry-after', String(this.#options.retryAfterSeconds ?? 0));
      const quoted = `slow down, ${request.headers.authorization ?? 'stranger'}`;
      return sendJson(response, 429, { error: { message: quoted } });
    }
    if (fault === 'server-error') return sendJson(response, 500, { error: 'oops' });
    if (fault === 'malformed') return sendText(response, this.#pick(content, MALFORMED));
    const isHostile = fault === 'hostile';
    const text = isHostile ? this.#pick(content, HOSTILE_TEXTS) : this.#options.answer(chat);
    if (fault !== 'cut') this.#count(content);
    if (chat['stream'] === true) sendStream(response, chat, text, fault === 'cut');
    else sendWhole(response, chat, text, fault === 'cut');
  }

  /** Hostile answers belong to a content; the other faults to one attempt of it. */
  #faultOf(content: string, attempt: number): Fault | null {
    const { seed = 0, faults = {} } = this.#options;
    const hostile = new RandomStream(seed, 'hostile', content).uniform();
    if (hostile < (faults.hostile ?? 0)) return 'hostile';
    let left = new RandomStream(seed, 'fault', content, attempt).uniform();
    for (const fault of FAULTS) {
      if (fault === 'hostile') continue;
      left -= faults[fault] ?? 0;
      if (left < 0) return fault;
    }
    return null;
  }

  #pick(content: string, texts: readonly string[]): string {
    return new RandomStream(this.#options.seed ?? 0, 'pick', content).pick(texts);
  }

  #count(content: string): void {
    if (this.#answered.has(content)) this.#repeated++;
    this.#answered.add(content);
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of request as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function sendText(response: ServerResponse, text: string): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(text);
}

function usageOf(chat: AskedChat, text: string) {
  const read = chat.messages.reduce((sum, { content }) => sum + content.length, 0);
  return { prompt_tokens: Math.ceil(read / 4), completion_tokens: Math.ceil(text.length / 4) };
}

function sendWhole(response: ServerResponse, chat: AskedChat, text: string, cut: boolean): void {
  const body = JSON.stringify({
    id: 'chat-1',
    object: 'chat.completion',
    model: chat.model,
    choices: [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }],
    usage: usageOf(chat, text),
  });
  response.writeHead(200, { 'content-type': 'application/json' });
  if (!cut) return void response.end(body);
  response.write(body.slice(0, body.length >> 1), () => response.destroy());
}

function sendStream(response: ServerResponse, chat: AskedChat, text: string, cut: boolean): void {
  const events = (text.match(/[^]{1,16}/g) ?? []).map((piece) => ({
    model: chat.model,
    choices: [{ index: 0, delta: { content: piece } }],
  }));
  const end = { model: chat.model, choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] };
  const usage = { model: chat.model, choices: [], usage: usageOf(chat, text) };
  const all = [...events, end, usage].map((event) => `data: ${JSON.stringify(event)}\n\n`);
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  if (!cut) return void response.end(`${all.join('')}data: [DONE]\n\n`);
  const part = all.slice(0, events.length >> 1).join('');
  response.write(part === '' ? ': nothing\n\n' : part, () => response.destroy());
}
