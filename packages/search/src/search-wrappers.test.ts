// RandomSearch and CachedSearch, with fakes that count, fail or never answer.
import { CancelledError, ConfigError, type SearchResult, TimeoutError } from '@masksearch/core';
import { describe, expect, it } from 'vitest';
import { CachedSearch } from './cached-search.ts';
import { buildIndexInMemory } from './index-builder.ts';
import { RandomSearch } from './random-search.ts';
import type { SearchOptions, SearchRequest, SearchTool } from './search-tool.ts';
import { passagesOf } from './testing.ts';

/** Answers each query with one passage named after it, and counts. */
class CountingTool implements SearchTool {
  readonly provider = 'counting';
  calls = 0;

  search({ query }: SearchRequest): Promise<SearchResult[]> {
    this.calls++;
    return Promise.resolve([{ id: query, documentId: 'd', title: '', text: '', score: 1 }]);
  }
}

/** Never answers, even when told to stop; remembers that it was told. */
class HangingTool implements SearchTool {
  readonly provider = 'hanging';
  readonly signals: (AbortSignal | undefined)[] = [];

  search(_request: SearchRequest, options?: SearchOptions): Promise<SearchResult[]> {
    this.signals.push(options?.signal);
    return new Promise(() => {});
  }
}

class FailingTool implements SearchTool {
  readonly provider = 'failing';
  calls = 0;

  search(): Promise<SearchResult[]> {
    this.calls++;
    return Promise.reject(new Error('down'));
  }
}

describe('RandomSearch', () => {
  const texts = Array.from({ length: 40 }, (_, i) => `text ${i}`);

  it('gives equal answers to equal queries, other answers to others, and none that is excluded', async () => {
    const index = await buildIndexInMemory(passagesOf(texts));
    const tool = new RandomSearch(index, 5);
    const ask = async (query: string, exclude?: ReadonlySet<string>) =>
      (await tool.search({ query, topK: 5, ...(exclude && { exclude }) })).map((r) => r.id);
    const first = await ask('who');
    expect(new Set(first).size).toBe(5);
    expect(await ask('who')).toEqual(first);
    expect(await ask('where')).not.toEqual(first);
    const without = await ask('who', new Set(first.slice(0, 2)));
    expect(without).toHaveLength(5);
    expect(without.slice(0, 3)).toEqual(first.slice(2));
  });

  it('draws every passage when asked for more than there are', async () => {
    const index = await buildIndexInMemory(passagesOf(texts.slice(0, 6)));
    const results = await new RandomSearch(index, 5).search({ query: 'q', topK: 100 });
    expect(results.map((r) => r.id).sort()).toEqual(['p0', 'p1', 'p2', 'p3', 'p4', 'p5']);
  });
});

describe('CachedSearch', () => {
  it('asks once for concurrent and repeated calls, and apart for other requests', async () => {
    const tool = new CountingTool();
    const cache = new CachedSearch(tool, 10);
    await Promise.all([1, 2, 3].map(() => cache.search({ query: 'a', topK: 1 })));
    await cache.search({ query: 'a', topK: 1, exclude: new Set() });
    expect(tool.calls).toBe(1);
    await cache.search({ query: 'a', topK: 2 });
    await cache.search({ query: 'a', topK: 1, exclude: new Set(['x']) });
    expect(tool.calls).toBe(3);
    expect(cache.provider).toBe('counting');
  });

  it('forgets the least recently used answer', async () => {
    const tool = new CountingTool();
    const cache = new CachedSearch(tool, 2);
    for (const query of ['a', 'b', 'a', 'c', 'a', 'b']) await cache.search({ query, topK: 1 });
    expect(tool.calls).toBe(4); // a, b, c, and b again
  });

  it('does not let a caller change what others get', async () => {
    const cache = new CachedSearch(new CountingTool(), 2);
    (await cache.search({ query: 'a', topK: 1 })).pop();
    expect(await cache.search({ query: 'a', topK: 1 })).toHaveLength(1);
  });

  it('does not remember failures', async () => {
    const tool = new FailingTool();
    const cache = new CachedSearch(tool, 2);
    for (let i = 0; i < 2; i++) {
      await expect(cache.search({ query: 'a', topK: 1 })).rejects.toThrow('down');
    }
    expect(tool.calls).toBe(2);
  });

  it('keeps a shared call for those who still wait, and stops it after the last one', async () => {
    const tool = new HangingTool();
    const cache = new CachedSearch(tool, 2);
    const controller = new AbortController();
    const cancelled = cache.search({ query: 'a', topK: 1 }, { signal: controller.signal });
    const timedOut = cache.search({ query: 'a', topK: 1 }, { timeoutMs: 20 });
    controller.abort();
    await expect(cancelled).rejects.toThrow(CancelledError);
    expect(tool.signals.map((signal) => signal?.aborted)).toEqual([false]);
    await expect(timedOut).rejects.toThrow(TimeoutError);
    expect(tool.signals.map((signal) => signal?.aborted)).toEqual([true]);
  });

  it('refuses a capacity of nothing', () => {
    expect(() => new CachedSearch(new CountingTool(), 0)).toThrow(ConfigError);
  });
});
