// The control for salient spans: random runs of words with the same lengths, under the same rules.
import { splitSentences } from '@masksearch/core';
import type { RandomStream, Span } from '@masksearch/core';
import { eligibleSpans } from './eligibility.ts';
import type { Paragraph } from './eligibility.ts';
import { inTextOrder } from './select.ts';
import { spanOf } from './spans.ts';
import { isWordBounded, words } from './words.ts';

/**
 * For each of `salient` one random span of as many words, within a sentence, eligible like any other and
 * apart from those drawn before. In text order; undefined where the paragraph has no room for one.
 */
export function randomSpans(
  paragraph: Paragraph,
  salient: readonly Span[],
  options: { readonly stream: RandomStream; readonly allowLeadingMask: boolean },
): Span[] | undefined {
  const drawn: Span[] = [];
  for (const { text } of salient) {
    const wordCount = words(text).length;
    const free = wordRuns(paragraph.text, wordCount).find(options.stream, (span) => {
      const { eligible } = eligibleSpans(paragraph, [...drawn, span], options);
      return eligible.length === drawn.length + 1;
    });
    if (!free) return undefined;
    drawn.push(free);
  }
  return inTextOrder(drawn);
}

/** All runs of `wordCount` words within a sentence, to be tried in random order. */
function wordRuns(text: string, wordCount: number) {
  const runs: Span[] = [];
  for (const sentence of splitSentences(text)) {
    const starts = [...text.slice(sentence.start, sentence.end).matchAll(/[\p{L}\p{M}\p{N}]+/gu)];
    for (let i = 0; i + wordCount <= starts.length; i++) {
      const first = starts[i];
      const last = starts[i + wordCount - 1];
      if (!first || !last) continue;
      const start = sentence.start + first.index;
      const end = sentence.start + last.index + last[0].length;
      if (isWordBounded(text, start, end)) runs.push(spanOf(text, [start, end], 'random'));
    }
  }
  return {
    find: (stream: RandomStream, accepts: (span: Span) => boolean) =>
      stream.shuffled(runs).find(accepts),
  };
}
