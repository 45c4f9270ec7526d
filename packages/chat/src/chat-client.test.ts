// The client against a server that answers late, refuses, stalls, cuts off and lies.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { BudgetError, CancelledError, ConfigError } from '@masksearch/core';
import { afterEach, describe, expect, it } from 'vitest';
import { ChatClient } from './chat-client.ts';
import type { EndpointOptions } from './endpoint.ts';
import { ChatError, failureKindOf } from './chat-errors.ts';
import type { ChatRequest } from './chat-types.ts';
import { CostMeter } from './cost-meter.ts';
import { ResponseCache } from './response-cache.ts';
import { MisbehavingServer, type ServerOptions } from './testing/index.ts';

const CANARY = 'sk-canary-0123456789abcdef';
const quick = { baseMs: 1, maxMs: 4 };
const opened: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close();
});

async function serve(options: Partial<ServerOptions> = {}): Promise<[MisbehavingServer, string]> {
  const answer: ServerOptions['answer'] = ({ messages }) => `echo ${messages.at(-1)?.content}`;
  const server = new MisbehavingServer({ answer, ...options });
  const url = await server.listen();
  opened.push(() => server.close());
  return [server, url];
}

function open(
  baseUrl: string,
  config: Partial<EndpointOptions['config']> = {},
  options: Partial<EndpointOptions> = {},
): ChatClient {
  const client = new ChatClient({
    name: 'test',
    config: { baseUrl, model: 'm', retries: { ...quick, attempts: 20 }, ...config },
    ...options,
  });
  opened.push(() => client.close());
  return client;
}

function ask(content: string, rest: Partial<ChatRequest> = {}): ChatRequest {
  return { messages: [{ role: 'user', content }], maxTokens: 50, ...rest };
}

describe('ChatClient', () => {
  it.each([false, true])('gets an answer and its usage, stream %s', async (stream) => {
    const [, url] = await serve();
    const pieces: string[] = [];
    const response = await open(url, { stream }).complete(ask('how are you today?'), {
      onText: (piece) => pieces.push(piece),
    });
    expect(response.text).toBe('echo how are you today?');
    expect(pieces.join('')).toBe(response.text);
    expect(response.finish).toBe('stop');
    expect(response.usage).toEqual({ inputTokens: 5, outputTokens: 6 });
  });

  it.each([false, true])(
    'answers all of 200 calls although half of the attempts fail, stream %s',
    async (stream) => {
      const [server, url] = await serve({
        faults: { 'rate-limit': 0.1, 'server-error': 0.1, stall: 0.1, cut: 0.1, malformed: 0.1 },
      });
      const timeouts = { firstByteMs: 3000 };
      const client = open(url, { stream, timeouts, concurrency: 32 });
      const texts = await Promise.all(
        Array.from({ length: 200 }, async (_, i) => (await client.complete(ask(`q${i}`))).text),
      );
      expect(texts).toEqual(Array.from({ length: 200 }, (_, i) => `echo q${i}`));
      const { faults, peak } = server.statistics();
      for (const fault of ['rate-limit', 'server-error', 'stall', 'cut', 'malformed'] as const) {
        expect(faults[fault], fault).toBeGreaterThan(5);
      }
      expect(peak).toBeLessThanOrEqual(32);
      expect(client.meter.report().calls).toBe(200);
    },
    120_000,
  );

  it('waits at least as long as Retry-After says', async () => {
    const [, url] = await serve({ faults: { 'rate-limit': 0.5 }, retryAfterSeconds: 0.2, seed: 3 });
    const client = open(url);
    const started = performance.now();
    const refusals = async (): Promise<number> => client.meter.report().failedAttempts;
    for (let i = 0; (await refusals()) === 0; i++) await client.complete(ask(`q${i}`));
    expect(performance.now() - started).toBeGreaterThanOrEqual(200 * (await refusals()));
  });

  it('fails at once where a Retry-After is longer than allowed', async () => {
    const [server, url] = await serve({ faults: { 'rate-limit': 1 }, retryAfterSeconds: 900 });
    const failed = open(url).complete(ask('q'));
    await expect(failed).rejects.toThrow(/429/);
    expect(server.statistics().requests).toBe(1);
  });

  it('gives up after the attempts allowed, saying how many there were and what came last', async () => {
    const [server, url] = await serve({ faults: { 'server-error': 1 } });
    const client = open(url, { retries: { ...quick, attempts: 3 } });
    const failed = client.complete(ask('q'));
    await expect(failed).rejects.toThrow('3 attempts; last: status 500');
    expect(failureKindOf(await failed.catch((error: unknown) => error))).toBe('server');
    expect(server.statistics().requests).toBe(3);
  });

  it('does not ask again what the endpoint refuses', async () => {
    const [server, url] = await serve({ apiKey: 'other' });
    await expect(open(url).complete(ask('q'))).rejects.toThrow(ChatError);
    expect(server.statistics().requests).toBe(1);
  });

  it('notices a server that takes the connection and says nothing, or stops in the middle', async () => {
    const server = createServer((request, response) => {
      if (request.url?.startsWith('/slow')) return;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: {"choices": [{"delta": {"content": "half"}}]}\n\n');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    opened.push(() => (server.closeAllConnections(), server.close()));
    const { port } = server.address() as AddressInfo;
    const retries = { ...quick, attempts: 1 };
    const base = `http://127.0.0.1:${port}`;
    const silent = open(`${base}/slow`, { retries, timeouts: { firstByteMs: 50 } });
    await expect(silent.complete(ask('q'))).rejects.toThrow('no first byte within 50 ms');
    const stuck = open(base, { retries, stream: true, timeouts: { idleMs: 60 } });
    await expect(stuck.complete(ask('q'))).rejects.toThrow('no next piece within 60 ms');
    const slow = open(base, { retries, stream: true, timeouts: { totalMs: 70 } });
    await expect(slow.complete(ask('q'))).rejects.toThrow('no answer within 70 ms');
  });

  it('says that nobody listens', async () => {
    const [server, url] = await serve();
    await server.close();
    opened.pop();
    const client = open(url, { retries: { ...quick, attempts: 2 } });
    await expect(client.complete(ask('q'))).rejects.toThrow('ECONNREFUSED');
  });

  it('stops when told to: under way, waiting for a place, and between attempts', async () => {
    const [, url] = await serve({ faults: { stall: 1 } });
    const client = open(url, { concurrency: 1 });
    const controller = new AbortController();
    const calls = ['a', 'b'].map((q) => client.complete(ask(q), { signal: controller.signal }));
    setTimeout(() => controller.abort(new Error('enough')), 50);
    for (const result of await Promise.allSettled(calls)) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'cancelled' } });
    }
    const [, refusing] = await serve({ faults: { 'rate-limit': 1 }, retryAfterSeconds: 100 });
    const call = open(refusing).complete(ask('q'), { signal: AbortSignal.timeout(50) });
    await expect(call).rejects.toThrow(CancelledError);
  });

  it('refuses an answer that is too large', async () => {
    const [, url] = await serve({ answer: () => 'x'.repeat(5000) });
    const failed = open(url, { maxResponseBytes: 1024 }).complete(ask('q'));
    await expect(failed).rejects.toThrow('expected at most 1024 bytes');
  });

  it('keeps to requests per minute', async () => {
    const [, url] = await serve();
    const client = open(url, { requestsPerMinute: 1200 });
    const started = performance.now();
    await Promise.all(Array.from({ length: 30 }, (_, i) => client.complete(ask(`q${i}`))));
    // 20 at once, one every 50 ms after that.
    expect(performance.now() - started).toBeGreaterThan(450);
  });

  it('passes tools, stop, seed and the schema on, and reads calls and log-probabilities', async () => {
    const [server, url] = await serve();
    server.record = true;
    const tools = [{ name: 'search', parameters: { type: 'object' } }];
    const json = { name: 'plan', schema: { type: 'object' } };
    const client = open(url, { structuredOutput: 'json-schema' });
    await client.complete(ask('q', { tools, json, stop: ['\n'], seed: 7, topLogProbs: 2 }));
    expect(server.received[0]?.body).toMatchObject({
      tools: [{ type: 'function', function: { name: 'search' } }],
      response_format: { type: 'json_schema', json_schema: { name: 'plan', strict: true } },
      stop: ['\n'],
      seed: 7,
      logprobs: true,
      top_logprobs: 2,
      max_tokens: 50,
    });
  });
});

describe('cache', () => {
  it('makes a repeated run cost nothing, also in another process life and with streaming switched', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'chat-cache-'));
    opened.push(() => rmSync(folder, { recursive: true }));
    const [server, url] = await serve();
    for (const stream of [false, true]) {
      const cache = new ResponseCache(join(folder, 'cache.sqlite'));
      const client = open(url, { stream }, { cache });
      for (let i = 0; i < 20; i++) await client.complete(ask(`q${i}`));
      cache.close();
      expect(client.meter.report()).toMatchObject(
        stream ? { calls: 0, cached: 20 } : { calls: 20 },
      );
    }
    expect(server.statistics().requests).toBe(20);
  });

  it('tells apart prompts, seeds and temperatures', async () => {
    const [server, url] = await serve();
    const cache = new ResponseCache(':memory:');
    const client = open(url, {}, { cache });
    for (const rest of [{}, { seed: 1 }, { seed: 2 }, { temperature: 1 }, {}]) {
      await client.complete(ask('q', rest));
    }
    expect(server.statistics().requests).toBe(4);
  });
});

describe('cost cap', () => {
  it('is never passed, however many calls are under way, and says what was spent', async () => {
    const [, url] = await serve({ latencyMs: 5, answer: () => 'x'.repeat(200) });
    const meter = new CostMeter({ capUsd: 0.01 });
    const client = open(url, { price: { input: 1, output: 10 }, concurrency: 8 }, { meter });
    const results = await Promise.allSettled(
      Array.from({ length: 100 }, (_, i) => client.complete(ask(`q${i}`))),
    );
    const failures = results.filter((result) => result.status === 'rejected');
    expect(failures.length).toBeGreaterThan(0);
    for (const { reason } of failures) expect(reason).toBeInstanceOf(BudgetError);
    const { usd, calls } = meter.report();
    expect(calls).toBe(100 - failures.length);
    expect(usd).toBeLessThanOrEqual(0.01);
    expect(usd).toBeGreaterThan(0.005);
  });

  it('counts what earlier runs spent', async () => {
    const [server, url] = await serve();
    const meter = new CostMeter({ capUsd: 1, spentUsd: 1 });
    const client = open(url, { price: { input: 1, output: 1 } }, { meter });
    await expect(client.complete(ask('q'))).rejects.toThrow(BudgetError);
    expect(server.statistics().requests).toBe(0);
  });
});

describe('API keys', () => {
  it('leave no byte behind: not in errors, logs, records, cache or requests but their header', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'chat-canary-'));
    opened.push(() => rmSync(folder, { recursive: true }));
    const environment = { TEST_KEY: CANARY };
    const config = { apiKeyVariable: 'TEST_KEY', retries: { ...quick, attempts: 2 } };
    const cache = new ResponseCache(join(folder, 'cache.sqlite'));
    const seen: unknown[] = [];
    for (const options of [
      { apiKey: CANARY },
      { apiKey: 'other' },
      { faults: { 'rate-limit': 1 } },
    ]) {
      const [server, url] = await serve(options);
      server.record = true;
      const client = open(url, config, { cache, environment });
      const settled = await client.complete(ask('q')).catch((error: unknown) => error);
      seen.push(
        settled,
        client,
        server.received.map(({ body }) => body),
        client.meter.report(),
      );
      expect(server.received[0]?.headers.authorization).toBe(`Bearer ${CANARY}`);
    }
    cache.close();
    for (const value of seen) {
      const printed = [inspect(value, { depth: 20, showHidden: true }), JSON.stringify(value)];
      if (value instanceof Error) printed.push(value.message, String(value.stack));
      for (const text of printed) expect(text).not.toContain(CANARY);
    }
    const files = readdirSync(folder).map((file) => readFileSync(join(folder, file), 'latin1'));
    expect(files.length).toBeGreaterThan(0);
    for (const bytes of files) expect(bytes).not.toContain(CANARY);
  });

  it('come from the environment only', () => {
    const create = (config: object) => () =>
      new ChatClient({
        name: 'x',
        config: { baseUrl: 'http://localhost/v1', model: 'm', ...config },
        environment: {},
      });
    expect(create({ apiKeyVariable: 'NOWHERE' })).toThrow(/environment variable NOWHERE/);
    expect(create({ baseUrl: 'http://user:pass@localhost/v1' })).toThrow(ConfigError);
    expect(create({ baseUrl: 'http://localhost/v1?key=x' })).toThrow(ConfigError);
    expect(create({ baseUrl: 'file:///etc/passwd' })).toThrow(ConfigError);
  });
});
