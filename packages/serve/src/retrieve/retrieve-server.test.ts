// The retrieval server: Search-R1's wire format byte for byte, exact merging over shards, limits, load.
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CancelledError,
  ConfigError,
  InputError,
  type Passage,
  RandomStream,
  type SearchResult,
  Secret,
  TimeoutError,
  UnavailableError,
} from '@masksearch/core';
import {
  buildIndexInMemory,
  connectRetrieve,
  RetrieveClient,
  type SearchOptions,
  type SearchTool,
} from '@masksearch/search';
import { afterEach, describe, expect, it } from 'vitest';
import type { RunningServer } from '../http/server.ts';
import { type RetrieveServerOptions, startRetrieveServer } from './retrieve-server.ts';

const open: RunningServer[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close(0)));
});

async function serve(
  options: Omit<RetrieveServerOptions, 'port'> & { readonly port?: number },
): Promise<string> {
  const server = await startRetrieveServer({ port: 0, ...options });
  open.push(server);
  return server.url;
}

const random = new RandomStream(3, 'retrieve-server');
const PASSAGES: Passage[] = Array.from({ length: 300 }, (_, i) => ({
  version: 1,
  id: `p${i}`,
  documentId: `d${i >> 1}`,
  title: `Title "${i}" __proto__`,
  text: Array.from(
    { length: random.below(40) },
    () => `w${random.below(1 + random.below(60))}`,
  ).join(' '),
  start: 0,
}));
const index = await buildIndexInMemory(PASSAGES);

function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

/** Holds every search until it is let go. */
class GatedTool implements SearchTool {
  readonly provider = 'gated';
  readonly signals: AbortSignal[] = [];
  readonly #gate = Promise.withResolvers<SearchResult[]>();

  search(_request: unknown, options: SearchOptions = {}): Promise<SearchResult[]> {
    if (options.signal !== undefined) this.signals.push(options.signal);
    return this.#gate.promise;
  }

  release(): void {
    this.#gate.resolve([]);
  }
}

describe('the wire', () => {
  it('is that of Search-R1, with scores and without', async () => {
    const url = await serve({ tool: index });
    const [best] = await index.search({ query: 'w1 w2', topK: 1 });
    const ask = async (body: object) => (await post(`${url}/retrieve`, body)).json();
    const document = {
      id: best?.id,
      documentId: best?.documentId,
      contents: `"${best?.title}"\n${best?.text}`,
      title: best?.title,
      text: best?.text,
    };
    const queries = ['w1 w2', 'the', 'w1 w2'];
    expect(await ask({ queries, topk: 1, return_scores: true })).toEqual({
      result: [[{ document, score: best?.score }], [], [{ document, score: best?.score }]],
    });
    expect(await ask({ queries: ['w1 w2'], topk: 1 })).toEqual({ result: [[document]] });
    expect(await ask({ queries: [], topk: 3, return_scores: true })).toEqual({ result: [] });
    for (const topk of [null, 0, undefined]) {
      const { result } = (await ask({ queries: ['w1'], topk })) as { result: unknown[][] };
      expect(result[0]).toHaveLength(3);
    }
  });

  it('serves a client that returns what the index returns, exclusions included', async () => {
    const client = await connectRetrieve([await serve({ tool: index })]);
    expect(client.fingerprint).toBe(index.fingerprint);
    for (const query of ['w0', 'w1 w2 w3 w3', '', '__proto__ 7', 'ünknown']) {
      for (const exclude of [undefined, new Set(['p3', 'p4', 'p7'])]) {
        const request = { query, topK: 6, ...(exclude && { exclude }) };
        expect(await client.search(request)).toEqual(await index.search(request));
      }
    }
  });

  it.each<[string, number, unknown, Record<string, string>]>([
    ['no JSON', 400, '{', {}],
    ['bytes that are not UTF-8', 400, '{"queries":["\u00e9', {}],
    ['a wrong shape', 400, { queries: 'w' }, {}],
    ['a text of another kind', 415, { queries: [] }, { 'content-type': 'text/plain' }],
    ['too many queries', 400, { queries: ['a', 'b', 'c', 'd'] }, {}],
    ['too large a topk', 400, { queries: ['a'], topk: 11 }, {}],
    ['too large a body', 413, { queries: ['x'.repeat(3000)] }, {}],
  ])('refuses %s with %i', async (_, status, body, headers) => {
    const limits = { maxQueries: 3, maxTopK: 10, maxBodyBytes: 2000 };
    const url = await serve({ tool: index, limits });
    const response = await post(`${url}/retrieve`, body, headers);
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual({ detail: expect.any(String) as string });
  });

  it('knows its paths and methods, and its key', async () => {
    const url = await serve({ tool: index, key: new Secret('s3cret') });
    expect((await fetch(`${url}/health`)).status).toBe(200);
    expect((await fetch(`${url}/retrieve`)).status).toBe(405);
    expect((await fetch(`${url}/nothing`)).status).toBe(404);
    for (const authorization of ['', 'Bearer s3cre', 'Bearer s3cret2', 'Basic s3cret']) {
      const response = await post(`${url}/retrieve`, { queries: [] }, { authorization });
      expect(response.status).toBe(401);
      expect(await response.text()).not.toContain('s3cret');
    }
    const client = new RetrieveClient(url, { key: new Secret('s3cret') });
    expect(await client.search({ query: 'w1', topK: 1 })).toHaveLength(1);
    const stranger = new RetrieveClient(url, { key: new Secret('0ther') });
    await expect(stranger.search({ query: 'w1', topK: 1 })).rejects.toThrow(UnavailableError);
  });

  it('listens beyond this machine with a key only, and says when a port is taken', async () => {
    await expect(serve({ tool: index, host: '0.0.0.0' })).rejects.toThrow(ConfigError);
    const port = Number(new URL(await serve({ tool: index })).port);
    await expect(serve({ tool: index, port })).rejects.toThrow(UnavailableError);
  });
});

describe('shards', () => {
  const cuts = [0, 40, 40, 210, 300];

  async function serveShards(): Promise<string[]> {
    return Promise.all(
      cuts.slice(0, -1).map(async (start, i) => {
        const part = await buildIndexInMemory(PASSAGES.slice(start, cuts[i + 1]));
        return serve({ tool: part });
      }),
    );
  }

  it('give the results, scores and order of the whole index, bit for bit', async () => {
    const sharded = await connectRetrieve(await serveShards());
    const draw = new RandomStream(4, 'queries');
    for (let q = 0; q < 30; q++) {
      const words = Array.from({ length: draw.below(6) }, () => `w${draw.below(70)}`);
      const exclude = new Set(Array.from({ length: draw.below(4) }, () => `p${draw.below(300)}`));
      const request = { query: words.join(' '), topK: 1 + draw.below(20), exclude };
      expect(await sharded.search(request)).toEqual(await index.search(request));
    }
    expect(sharded.fingerprint).toMatch(/^[0-9a-f]{64}$/);
    expect(await sharded.search({ query: '__proto__', topK: 3 })).toHaveLength(3);
  });

  it('fail when one of them fails, for a part of a corpus is no answer', async () => {
    const urls = await serveShards();
    const sharded = await connectRetrieve(urls, { policy: { retries: 1, backoffMs: 1 } });
    await open[1]?.close(0);
    await expect(sharded.search({ query: 'w1', topK: 3 })).rejects.toThrow(UnavailableError);
  });

  it('must be alike, and must be our own servers', async () => {
    const other = await buildIndexInMemory(PASSAGES.slice(0, 5), { k1: 1.2, b: 0.75 });
    const urls = [await serve({ tool: index }), await serve({ tool: other })];
    await expect(connectRetrieve(urls)).rejects.toThrow(
      /received .* k1 0\.9, b 0\.4 and .* k1 1\.2/,
    );
    const foreign = await serve({ tool: new GatedTool() });
    await expect(connectRetrieve([foreign, foreign])).rejects.toThrow(InputError);
    await expect(connectRetrieve(['ftp://x', 'y'])).rejects.toThrow(InputError);
    await expect(connectRetrieve([])).rejects.toThrow(InputError);
  });
});

describe('limits', () => {
  it('tell an overloaded client to come back, with 503 and Retry-After', async () => {
    const tool = new GatedTool();
    const url = await serve({ tool, limits: { concurrency: 1, queue: 1 } });
    const ask = () => post(`${url}/retrieve`, { queries: ['q'] });
    const [first, second] = [ask(), sleep(50).then(ask)];
    await sleep(150);
    const third = await ask();
    expect(third.status).toBe(503);
    expect(third.headers.get('retry-after')).toBe('1');
    tool.release();
    expect([(await first).status, (await second).status]).toEqual([200, 200]);
  });

  it('cancel the search of a client that has gone or waited long enough', async () => {
    const tool = new GatedTool();
    const client = new RetrieveClient(await serve({ tool }));
    const controller = new AbortController();
    const cancelled = client.search({ query: 'q', topK: 1 }, { signal: controller.signal });
    while (tool.signals.length === 0) await sleep(5);
    controller.abort();
    await expect(cancelled).rejects.toThrow(CancelledError);
    while (!tool.signals[0]?.aborted) await sleep(5);
    const late = client.search({ query: 'q', topK: 1 }, { timeoutMs: 30 });
    await expect(late).rejects.toThrow(TimeoutError);
    while (!tool.signals[1]?.aborted) await sleep(5);
  });

  it('let a closing server finish what is under way, or cancel it after its grace', async () => {
    const quick = new GatedTool();
    const url = await serve({ tool: quick });
    const answer = post(`${url}/retrieve`, { queries: ['q'] });
    while (quick.signals.length === 0) await sleep(5);
    const closed = open[0]?.close(10_000);
    quick.release();
    expect((await answer).status).toBe(200);
    await closed;
    const stuck = new GatedTool();
    const other = await serve({ tool: stuck });
    const refused = post(`${other}/retrieve`, { queries: ['q'] });
    while (stuck.signals.length === 0) await sleep(5);
    await open[1]?.close(20);
    expect((await refused).status).toBe(503);
  });

  it('survive clients that send garbage or half a request', async () => {
    const url = await serve({ tool: index });
    const port = Number(new URL(url).port);
    for (const bytes of [
      '\0\0\0',
      'POST /retrieve HTTP/1.1\r\nContent-Length: 99\r\n\r\n{',
      'GET',
    ]) {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => {});
      socket.write(bytes);
      await sleep(20);
      socket.destroy();
    }
    expect((await fetch(`${url}/health`)).status).toBe(200);
  });
});

describe('load', () => {
  it('answers 600 searches of 64 clients at once, none lost, mixed up or slow to end', async () => {
    const client = await connectRetrieve([await serve({ tool: index, limits: { queue: 64 } })]);
    const queries = Array.from({ length: 50 }, (_, i) => `w${i} w${i + 3}`);
    const expected = await Promise.all(queries.map((query) => index.search({ query, topK: 4 })));
    let next = 0;
    const worker = async (): Promise<void> => {
      for (let i = next++; i < 600; i = next++) {
        const query = queries[i % queries.length] ?? '';
        const found = await client.search({ query, topK: 4 }, { timeoutMs: 60_000 });
        expect(found).toEqual(expected[i % queries.length]);
      }
    };
    await Promise.all(Array.from({ length: 64 }, worker));
    expect(next).toBeGreaterThanOrEqual(600);
  }, 120_000);
});
