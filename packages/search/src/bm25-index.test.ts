// Searching: exactness of the pruned ranking, exclusion, ties, limits, cancellation.
import { CancelledError, InputError, RandomStream, UnavailableError } from '@masksearch/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_BM25 } from './bm25.ts';
import { buildIndexInMemory } from './index-builder.ts';
import { passagesOf, rankExhaustively } from './testing.ts';

/** Few distinct words, unevenly drawn, so that ties, common terms and pruning all occur. */
const word = fc.nat({ max: 999 }).map((n) => `w${Math.floor(30 * (n / 1000) ** 3)}`);
const text = fc.array(word, { maxLength: 12 }).map((words) => words.join(' '));

describe('Bm25Index.search', () => {
  it('returns exactly what exhaustive scoring returns', { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(text, { maxLength: 60 }),
        text,
        fc.integer({ min: 1, max: 8 }),
        fc.record({
          k1: fc.double({ min: 0, max: 3, noNaN: true }),
          b: fc.double({ min: 0, max: 1, noNaN: true }),
        }),
        async (texts, query, topK, parameters) => {
          const passages = passagesOf(texts);
          const index = await buildIndexInMemory(passages, parameters);
          const results = await index.search({ query, topK });
          const expected = rankExhaustively(passages, query, parameters).slice(0, topK);
          expect(results.map(({ id, score }) => ({ id, score }))).toEqual(
            expected.map(({ ordinal, score }) => ({ id: `p${ordinal}`, score })),
          );
        },
      ),
      { numRuns: 300, seed: 7 },
    );
  });

  it('prunes exactly on a larger Zipf corpus (seed 3)', { timeout: 60_000 }, async () => {
    const random = new RandomStream(3, 'zipf');
    const words = (count: number) =>
      Array.from({ length: count }, () => `w${Math.floor(400 ** random.uniform())}`).join(' ');
    const passages = passagesOf(Array.from({ length: 2000 }, () => words(30)));
    const index = await buildIndexInMemory(passages);
    for (let q = 0; q < 12; q++) {
      const query = words(1 + (q % 6));
      const results = await index.search({ query, topK: 5 });
      const expected = rankExhaustively(passages, query, DEFAULT_BM25).slice(0, 5);
      expect(results.map((r) => [r.id, r.score])).toEqual(
        expected.map((hit) => [`p${hit.ordinal}`, hit.score]),
      );
    }
  });

  it('computes the score of the formula', async () => {
    const index = await buildIndexInMemory(passagesOf(['red fox', 'red red dog cat']));
    const [first] = await index.search({ query: 'fox', topK: 1 });
    // N = 2, df = 1, length 2, average 3.
    const expected = Math.log(1 + 1.5 / 1.5) / (1 + 0.9 * (0.6 + (0.4 * 2) / 3));
    expect(first?.score).toBeCloseTo(expected, 14);
  });

  it('counts a repeated query term as often as it is asked for', async () => {
    const index = await buildIndexInMemory(passagesOf(['red fox', 'blue dog']));
    const [once] = await index.search({ query: 'fox', topK: 1 });
    const [twice] = await index.search({ query: 'fox fox', topK: 1 });
    expect(twice?.score).toBe(2 * (once?.score ?? NaN));
  });

  it('orders equal scores by position in the corpus', async () => {
    const index = await buildIndexInMemory(
      passagesOf(['red fox', 'blue dog', 'red fox', 'red fox']),
    );
    const results = await index.search({ query: 'fox', topK: 2 });
    expect(results.map((r) => r.id)).toEqual(['p0', 'p2']);
  });

  it('puts the next best in the place of excluded passages', async () => {
    const index = await buildIndexInMemory(passagesOf(['fox', 'fox cat', 'fox cat dog', 'bird']));
    const exclude = new Set(['p0', 'p2', 'unknown']);
    const results = await index.search({ query: 'fox', topK: 2, exclude });
    expect(results.map((r) => r.id)).toEqual(['p1']);
  });

  it('returns what there is when topK is larger, and nothing for no terms', async () => {
    const index = await buildIndexInMemory(passagesOf(['red fox', 'blue dog']));
    expect(await index.search({ query: 'fox', topK: 1_000_000 })).toHaveLength(1);
    for (const query of ['', '  ', 'the of and', '?!', 'unicorn']) {
      expect(await index.search({ query, topK: 3 })).toEqual([]);
    }
  });

  it('answers from an empty corpus with nothing', async () => {
    const index = await buildIndexInMemory([]);
    expect(await index.search({ query: 'fox', topK: 3 })).toEqual([]);
  });

  it('searches titles and returns the whole passage', async () => {
    const [passage] = passagesOf(['It barks.']);
    const index = await buildIndexInMemory([{ ...passage!, title: 'Dog', start: 7 }]);
    expect(await index.search({ query: 'dogs', topK: 1 })).toMatchObject([
      { id: 'p0', documentId: 'd0', title: 'Dog', text: 'It barks.' },
    ]);
    expect(index.passage('p0')?.start).toBe(7);
    expect(index.passage('p1')).toBeUndefined();
  });

  it('refuses bad requests, and fails when cancelled or closed', async () => {
    const index = await buildIndexInMemory(passagesOf(['fox']));
    for (const topK of [0, -1, 1.5, NaN]) {
      await expect(index.search({ query: 'fox', topK })).rejects.toThrow(InputError);
    }
    const signal = AbortSignal.abort();
    await expect(index.search({ query: 'fox', topK: 1 }, { signal })).rejects.toThrow(
      CancelledError,
    );
    index.close();
    await expect(index.search({ query: 'fox', topK: 1 })).rejects.toThrow(UnavailableError);
  });
});
