// Helpers of this package's tests: passages from texts, and BM25 scored the slow, obvious way.
import type { Passage } from '@masksearch/core';
import { type Bm25Parameters, inverseDocumentFrequency, lengthNorm, termScore } from './bm25.ts';
import { analyzeEnglish } from './english-analysis.ts';
import type { Hit } from './top-heap.ts';

/** One passage per text, ids p0, p1, … */
export function passagesOf(texts: readonly string[]): Passage[] {
  return texts.map((text, i) => ({
    version: 1,
    id: `p${i}`,
    documentId: `d${i}`,
    title: '',
    text,
    start: 0,
  }));
}

/** Every passage with a positive score, best first: every term of every passage is counted. */
export function rankExhaustively(
  passages: readonly Passage[],
  query: string,
  parameters: Bm25Parameters,
): Hit[] {
  const analysed = passages.map(({ title, text }) => analyzeEnglish(`${title}\n${text}`));
  const total = analysed.reduce((sum, terms) => sum + terms.length, 0);
  const frequencyIn = (terms: readonly string[], term: string) =>
    terms.filter((other) => other === term).length;
  const queryTerms = analyzeEnglish(query);
  const terms = [...new Set(queryTerms)]
    .map((term) => {
      const documentFrequency = analysed.filter((other) => other.includes(term)).length;
      const idf = inverseDocumentFrequency(passages.length, documentFrequency);
      return { term, documentFrequency, weight: frequencyIn(queryTerms, term) * idf };
    })
    .sort((a, b) => a.documentFrequency - b.documentFrequency);
  return analysed
    .map((own, ordinal) => {
      const norm = lengthNorm(parameters, own.length, total / passages.length);
      let score = 0;
      for (const { term, weight } of terms) {
        const frequency = frequencyIn(own, term);
        if (frequency > 0) score += termScore(weight, frequency, norm);
      }
      return { ordinal, score };
    })
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score || a.ordinal - b.ordinal);
}
