// Every service against a local server that speaks the format it documents; keys never leave their header or parameter.
import { inspect } from 'node:util';
import {
  CancelledError,
  ConfigError,
  InputError,
  Secret,
  UnavailableError,
} from '@masksearch/core';
import { afterEach, describe, expect, it } from 'vitest';
import { type Asked, type FakeServer, startFakeServer } from '../../test/fake-server.ts';
import { OpenSearchTool } from './opensearch.ts';
import { WEB_PROVIDERS, type WebProviderName } from './providers.ts';
import { openWebSearch, WebSearch } from './web-search.ts';

const CANARY = 'canary-31415926';
const QUICK = { retries: 1, backoffMs: 1 };

let server: FakeServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

interface Example {
  /** Where the request must carry the key, the query and the count. */
  readonly carries: (asked: Asked) => unknown;
  readonly expected: unknown;
  readonly answer: unknown;
  readonly empty: unknown;
  readonly first: { title: string; text: string; url: string; score?: number };
}

const json = (asked: Asked): unknown => JSON.parse(asked.body);
const query = (asked: Asked) => Object.fromEntries(asked.url.searchParams);

const EXAMPLES: Record<WebProviderName, Example> = {
  serpapi: {
    carries: (asked) => [asked.method, asked.url.pathname, query(asked)],
    expected: ['GET', '/search', { engine: 'google', q: 'a & b', num: '4', api_key: CANARY }],
    answer: {
      search_metadata: { status: 'Success' },
      answer_box: { title: 'Box', link: 'https://box.example/', snippet: 'the answer' },
      organic_results: [
        {
          position: 1,
          title: 'One',
          link: 'https://one.example/a#part',
          snippet: 'first &amp; <b>best</b>',
        },
        { position: 2, title: 'Same', link: 'https://one.example/a', snippet: 'again' },
        { position: 3, title: 'Two', link: 'https://two.example/' },
        { position: 4, title: 'Script', link: 'javascript:alert(1)', snippet: 'x' },
      ],
      related_questions: [],
    },
    empty: { error: "Google hasn't returned any results for this query." },
    first: { title: 'Box', text: 'the answer', url: 'https://box.example/' },
  },
  serper: {
    carries: (asked) => [asked.method, asked.url.pathname, asked.headers['x-api-key'], json(asked)],
    expected: ['POST', '/search', CANARY, { q: 'a & b', num: 4 }],
    answer: {
      searchParameters: { q: 'a & b' },
      organic: [{ title: 'One', link: 'https://one.example/', snippet: 'first', position: 1 }],
    },
    empty: { organic: [] },
    first: { title: 'One', text: 'first', url: 'https://one.example/' },
  },
  tavily: {
    carries: (asked) => [
      asked.method,
      asked.url.pathname,
      asked.headers.authorization,
      json(asked),
    ],
    expected: ['POST', '/search', `Bearer ${CANARY}`, { query: 'a & b', max_results: 4 }],
    answer: {
      query: 'a & b',
      results: [
        {
          title: 'One',
          url: 'https://one.example/',
          content: 'first',
          score: 0.9,
          raw_content: null,
        },
      ],
      response_time: 1,
    },
    empty: { results: [] },
    first: { title: 'One', text: 'first', url: 'https://one.example/', score: 0.9 },
  },
  brave: {
    carries: (asked) => [asked.url.pathname, asked.headers['x-subscription-token'], query(asked)],
    expected: ['/res/v1/web/search', CANARY, { q: 'a & b', count: '4' }],
    answer: {
      type: 'search',
      web: {
        results: [
          {
            title: 'One',
            url: 'https://one.example/',
            description: 'the <strong>first</strong> &#39;one&#39;',
          },
        ],
      },
    },
    empty: { type: 'search' },
    first: { title: 'One', text: "the first 'one'", url: 'https://one.example/' },
  },
  searxng: {
    carries: (asked) => [asked.url.pathname, query(asked)],
    expected: ['/search', { q: 'a & b', format: 'json' }],
    answer: {
      query: 'a & b',
      results: [
        { title: 'One', url: 'https://one.example/', content: 'first', engine: 'x', score: 2 },
      ],
    },
    empty: { results: [] },
    first: { title: 'One', text: 'first', url: 'https://one.example/', score: 2 },
  },
  google: {
    carries: (asked) => [asked.url.pathname, query(asked)],
    expected: ['/customsearch/v1', { key: CANARY, cx: `${CANARY}-cx`, q: 'a & b', num: '4' }],
    answer: {
      kind: 'customsearch#search',
      items: [{ title: 'One', link: 'https://one.example/', snippet: 'first' }],
    },
    empty: { kind: 'customsearch#search', searchInformation: { totalResults: '0' } },
    first: { title: 'One', text: 'first', url: 'https://one.example/' },
  },
};

describe.each(Object.entries(EXAMPLES))('%s', (name, example) => {
  const provider = WEB_PROVIDERS[name as WebProviderName];
  const keys = [new Secret(CANARY), new Secret(`${CANARY}-cx`)];
  const tool = () =>
    new WebSearch(provider, keys, { base: server?.url ?? '', callsPerSecond: 1000, policy: QUICK });
  const request = { query: 'a & b', topK: 3, exclude: new Set(['https://none.example/']) };

  it('is asked as it documents, and its results are brought into one form', async () => {
    server = await startFakeServer(() => ({ body: example.answer }));
    const results = await tool().search(request);
    expect(server.asked.map(example.carries)).toEqual([example.expected]);
    const { url, ...shown } = example.first;
    expect(results[0]).toEqual({
      id: url,
      documentId: url,
      url,
      score: 1,
      provider: name,
      licence: provider.licence,
      ...shown,
    });
    expect(new Set(results.map(({ id }) => id)).size).toBe(results.length);
    expect(results.every(({ id }) => id.startsWith('https://'))).toBe(true);
    const without = await tool().search({ ...request, exclude: new Set([url]) });
    expect(without.map(({ id }) => id)).not.toContain(url);
    expect(JSON.stringify(results)).not.toContain('canary');
  });

  it('may find nothing', async () => {
    server = await startFakeServer(() => ({ body: example.empty }));
    expect(await tool().search(request)).toEqual([]);
    expect(await tool().search({ query: ' ', topK: 3 })).toEqual([]);
    expect(server.asked).toHaveLength(1);
  });

  it.each<[string, number, unknown]>([
    ['refuses the key', 401, { error: `bad key ${CANARY}` }],
    ['is exhausted', 429, `quota of ${CANARY}`],
    [
      'speaks another format',
      200,
      { results: 7, organic: 7, organic_results: 7, web: 7, items: 7 },
    ],
    ['answers with a page', 200, `<html>${CANARY}</html>`],
  ])('%s: an error without the key', async (_, status, body) => {
    server = await startFakeServer(() => ({ status, body }));
    const error: unknown = await tool()
      .search(request)
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(status === 200 ? InputError : UnavailableError);
    if (provider.keyVariables.length > 0)
      expect(inspect(error, { depth: 9 })).not.toContain('canary');
  });
});

describe('web search', () => {
  it('keeps its pace, in order, and lets waiting calls be cancelled', async () => {
    const times: number[] = [];
    server = await startFakeServer(() => {
      times.push(performance.now());
      return { body: { results: [] } };
    });
    const tool = new WebSearch(WEB_PROVIDERS.searxng, [], { base: server.url, callsPerSecond: 20 });
    const controller = new AbortController();
    const { signal } = controller;
    const calls = [1, 2, 3].map((i) => tool.search({ query: `${i}`, topK: 1 }));
    const cancelled = tool.search({ query: '4', topK: 1 }, { signal });
    controller.abort();
    await expect(cancelled).rejects.toThrow(CancelledError);
    await Promise.all(calls);
    expect(server.asked.map(({ url }) => url.searchParams.get('q'))).toEqual(['1', '2', '3']);
    expect((times[2] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(60);
  });

  it('takes keys from the environment only, and needs an address where there is no common one', () => {
    expect(() => openWebSearch('brave')).toThrow(/MASKSEARCH_BRAVE_KEY/);
    expect(() => openWebSearch('searxng')).toThrow(ConfigError);
    expect(() => openWebSearch('searxng', { base: 'ftp://x' })).toThrow(ConfigError);
    process.env['MASKSEARCH_BRAVE_KEY'] = CANARY;
    expect(inspect(openWebSearch('brave'), { depth: 9, showHidden: true })).not.toContain('canary');
    delete process.env['MASKSEARCH_BRAVE_KEY'];
  });
});

describe('OpenSearch', () => {
  const hit = (id: string, score: number) => ({
    _index: 'wiki',
    _id: id,
    _score: score,
    _source: { title: `T${id}`, text: 'x' },
  });

  it('is asked for the best that are not excluded; ties go by id', async () => {
    const hits = [hit('b', 2), hit('a', 2), hit('c', 3)];
    server = await startFakeServer(() => ({
      body: { took: 1, timed_out: false, _shards: { failed: 0 }, hits: { hits } },
    }));
    const credentials = new Secret(`user:${CANARY}`);
    const tool = new OpenSearchTool({ url: `${server.url}/wiki/`, credentials });
    const results = await tool.search({ query: 'q', topK: 3, exclude: new Set(['z', 'y']) });
    expect(results.map(({ id, score, title }) => [id, score, title])).toEqual([
      ['c', 3, 'Tc'],
      ['a', 2, 'Ta'],
      ['b', 2, 'Tb'],
    ]);
    const [asked] = server.asked;
    expect(asked?.url.pathname).toBe('/wiki/_search');
    expect(asked?.headers.authorization).toBe(
      `Basic ${Buffer.from(`user:${CANARY}`).toString('base64')}`,
    );
    expect(JSON.parse(asked?.body ?? '')).toMatchObject({
      size: 3,
      allow_partial_search_results: false,
      query: {
        bool: {
          must: { multi_match: { query: 'q' } },
          must_not: [{ ids: { values: ['y', 'z'] } }],
        },
      },
    });
  });

  it('fails without its credentials in the error, and wants the address of an index', async () => {
    const encoded = Buffer.from(`user:${CANARY}`).toString('base64');
    server = await startFakeServer(() => ({ status: 401, body: `no ${CANARY} ${encoded}` }));
    const credentials = new Secret(`user:${CANARY}`);
    const tool = new OpenSearchTool({ url: `${server.url}/wiki`, credentials });
    const error: unknown = await tool.search({ query: 'q', topK: 1 }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(UnavailableError);
    expect(inspect(error, { depth: 9 })).not.toContain(encoded);
    expect(() => new OpenSearchTool({ url: 'http://127.0.0.1:9200' })).toThrow(ConfigError);
  });
});
