// Requests that fail in every way a server can fail them; errors and logs never hold the key.
import { inspect } from 'node:util';
import {
  CancelledError,
  InputError,
  Secret,
  TimeoutError,
  UnavailableError,
} from '@masksearch/core';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type Answer,
  type Asked,
  type FakeServer,
  startFakeServer,
} from '../../test/fake-server.ts';
import { requestJson, type JsonRequest } from './request-json.ts';

const CANARY = 'key/with+signs&canary=31415926535';
const key = new Secret(CANARY);
const QUICK = { backoffMs: 1, retries: 3 };

let server: FakeServer;
afterEach(() => server.close());

async function ask(
  answer: (asked: Asked, call: number) => Answer,
  request: Partial<JsonRequest> = {},
): Promise<unknown> {
  server = await startFakeServer(answer);
  const url = new URL('/find', server.url);
  url.searchParams.set('api_key', CANARY);
  return requestJson({ where: 'test', url, secrets: [key], policy: QUICK, ...request });
}

async function failureOf(promise: Promise<unknown>): Promise<Error> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(Error);
  expect(inspect(error, { depth: 10 })).not.toMatch(/canary/);
  return error as Error;
}

describe('requestJson', () => {
  it.each([[429], [500], [502], [503], [504]])('tries again after %i', async (status) => {
    const result = await ask((_, call) =>
      call < 2 ? { status, body: 'busy' } : { body: { ok: true } },
    );
    expect(result).toEqual({ ok: true });
    expect(server.asked).toHaveLength(3);
  });

  it('tries again after a connection that was cut or a try that hung', async () => {
    const result = await ask(
      (_, call) => ({ body: call === 0 ? 'reset' : call === 1 ? null : {} }),
      {
        policy: { ...QUICK, tryTimeoutMs: 100 },
      },
    );
    expect(result).toEqual({});
    expect(server.asked).toHaveLength(3);
  });

  it('gives up after the retries, and says what it met', async () => {
    const error = await failureOf(ask(() => ({ status: 503, body: `no: ${CANARY}` })));
    expect(error).toBeInstanceOf(UnavailableError);
    expect(error.message).toMatch(
      /^test: expected an answer from http:\/\/127\.0\.0\.1:\d+\/find, received status 503 "no: \[redacted\]" \(4 tries\)\.$/,
    );
  });

  it.each([[400], [401], [403], [404], [422]])('does not try again after %i', async (status) => {
    const error = await failureOf(ask(() => ({ status, body: encodeURIComponent(CANARY) })));
    expect(error).toMatchObject({ code: 'unavailable', data: { status } });
    expect(server.asked).toHaveLength(1);
  });

  it('waits as long as Retry-After says, and not for one that is too long', async () => {
    const started = performance.now();
    await ask((_, call) =>
      call === 0 ? { status: 429, headers: { 'retry-after': '0.2' }, body: '' } : { body: {} },
    );
    expect(performance.now() - started).toBeGreaterThan(190);
    await server.close();
    const late = { status: 503, headers: { 'retry-after': '3600' }, body: '' };
    const error = await failureOf(ask(() => late));
    expect(error.message).toContain('(1 tries)');
  });

  it('ends all tries at the time limit, and at once when cancelled', async () => {
    const timedOut = ask(() => ({ body: null }), { timeoutMs: 50 });
    expect(await failureOf(timedOut)).toBeInstanceOf(TimeoutError);
    await server.close();
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 30);
    const slow = { status: 503, headers: { 'retry-after': '20' }, body: '' };
    const cancelled = ask(() => slow, { signal: controller.signal });
    expect(await failureOf(cancelled)).toBeInstanceOf(CancelledError);
  });

  it.each<[string, Answer]>([
    ['is not JSON', { body: `<html>${CANARY}` }],
    ['is too large', { body: JSON.stringify('x'.repeat(2000)) }],
  ])('refuses an answer that %s', async (_, answer) => {
    const error = await failureOf(ask(() => answer, { policy: { ...QUICK, maxBytes: 1000 } }));
    expect(error).toBeInstanceOf(InputError);
  });

  it('follows no redirect, which could carry a key elsewhere', async () => {
    const away = { status: 302, headers: { location: 'http://127.0.0.1:1/' }, body: '' };
    const error = await failureOf(ask(() => away, { policy: { ...QUICK, retries: 0 } }));
    expect(error).toBeInstanceOf(UnavailableError);
    expect(server.asked).toHaveLength(1);
  });
});
