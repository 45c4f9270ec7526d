// An index that holds a part of a corpus scores as the index of the whole does, bit for bit.
import { InputError, type SearchResult } from '@masksearch/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { analyzeEnglish } from './english-analysis.ts';
import { buildIndexInMemory } from './index-builder.ts';
import { passagesOf } from './testing.ts';

const word = fc.integer({ min: 0, max: 12 }).map((i) => `w${Math.floor(i * i * 0.2)}`);
const text = fc.array(word, { maxLength: 30 }).map((words) => words.join(' '));

describe('searchAsPart', () => {
  it('gives the scores and the order of one index over all parts', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(text, { minLength: 1, maxLength: 40 }),
        fc.array(fc.nat(40), { maxLength: 3 }),
        fc.array(word, { maxLength: 6 }),
        fc.integer({ min: 1, max: 8 }),
        async (texts, cuts, words, topK) => {
          const passages = passagesOf(texts);
          const bounds = [0, ...cuts.map((cut) => cut % texts.length).sort((a, b) => a - b)];
          const parts = await Promise.all(
            bounds.map((start, i) => buildIndexInMemory(passages.slice(start, bounds[i + 1]))),
          );
          const query = words.join(' ');
          const terms = [...new Set(analyzeEnglish(query))];
          const counts = parts.map((part) => part.documentFrequencies(terms));
          const statistics = {
            passages: parts.reduce((sum, { header }) => sum + header.passages, 0),
            totalLength: parts.reduce((sum, { header }) => sum + header.totalLength, 0),
            documentFrequencies: new Map(
              terms.map((term, i) => [term, counts.reduce((sum, c) => sum + (c[i] ?? 0), 0)]),
            ),
          };
          const found: SearchResult[] = [];
          for (const part of parts) {
            found.push(...(await part.searchAsPart({ query, topK }, statistics)));
          }
          const merged = found.sort((a, b) => b.score - a.score).slice(0, topK);
          const whole = await buildIndexInMemory(passages);
          expect(merged).toEqual(await whole.search({ query, topK }));
        },
      ),
      { seed: 5, numRuns: 150 },
    );
  });

  it('refuses statistics that no corpus with this part can have', async () => {
    const part = await buildIndexInMemory(passagesOf(['a b', 'b']));
    const frequencies = new Map([['b', 2]]);
    const search = (passages: number, totalLength: number, documentFrequencies = frequencies) =>
      part.searchAsPart({ query: 'b', topK: 1 }, { passages, totalLength, documentFrequencies });
    expect(await search(2, 3)).toHaveLength(1);
    for (const wrong of [
      search(1, 3),
      search(2, 1),
      search(NaN, 3),
      search(2, 3, new Map()),
      search(2, 3, new Map([['b', 3]])),
    ]) {
      await expect(wrong).rejects.toThrow(InputError);
    }
  });
});
