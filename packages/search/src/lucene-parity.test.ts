// Analysis, rankings and scores against Lucene 8.7 (golden/lucene.json, made by bench/peers/SearchLucene.java).
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { analyzeEnglish } from './english-analysis.ts';
import { buildIndexInMemory } from './index-builder.ts';
import { passagesOf } from './testing.ts';

const golden = z
  .object({
    analysis: z.array(z.tuple([z.string(), z.array(z.string())])),
    passages: z.array(z.string()),
    queries: z.array(
      z.object({ query: z.string(), hits: z.array(z.tuple([z.number(), z.number()])) }),
    ),
  })
  .parse(JSON.parse(readFileSync(new URL('../golden/lucene.json', import.meta.url), 'utf8')));

/** float32 sums of up to 8 terms, each rounded a few times. */
const RELATIVE_BOUND = 16 * 2 ** -24;

describe('Lucene parity', () => {
  it.each(golden.analysis)('analyses %j alike', (word, terms) => {
    expect(analyzeEnglish(word)).toEqual(terms);
  });

  it('ranks and scores 50 queries alike', async () => {
    const index = await buildIndexInMemory(passagesOf(golden.passages));
    let worst = 0;
    for (const { query, hits } of golden.queries) {
      const results = await index.search({ query, topK: 10 });
      expect(results.map((r) => r.id)).toEqual(hits.map(([ordinal]) => `p${ordinal}`));
      results.forEach(({ score }, i) => {
        const expected = hits[i]?.[1] ?? NaN;
        worst = Math.max(worst, Math.abs(score - expected) / expected);
      });
    }
    expect(golden.queries).toHaveLength(50);
    expect(worst).toBeLessThan(RELATIVE_BOUND);
  });
});
