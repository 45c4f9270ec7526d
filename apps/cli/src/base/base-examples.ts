// What the base model is trained on: articles read after passages that are linked to them, the same
// with gaps to fill, and random sequences that repeat themselves. No searches, no episodes.
import {
  MASK_MARKER,
  RandomStream,
  type Document,
  type Passage,
  type Span,
} from '@masksearch/core';
import { renderDocument } from '@masksearch/agent';
import { encodeMarked, type Tokenizer } from '@masksearch/tokenizer';
import type { ExampleGenerator, TrainingExample } from '@masksearch/train';
import { repeatedStretches } from './repeated-stretches.ts';
import { linkedArticles, type LinkedArticle } from './linked-articles.ts';

export interface BaseExampleOptions {
  readonly seed: number;
  readonly tokenizer: Tokenizer;
  readonly batchTokens: number;
  /** Longest passage of a context, words. */
  readonly passageWords: number;
  /** Most passages before an article. */
  readonly maxPassages: number;
  /** Every so-manyth step is a copying step; 0 = none. */
  readonly copyEvery: number;
  /** Share of articles that are given with gaps. */
  readonly gapShare: number;
  readonly maxGaps: number;
}

/** Steps that take their articles from one world. */
const STEPS_PER_WORLD = 8;

/** Examples of a step; they depend on the options and the step only. */
export function baseExamples(options: BaseExampleOptions): ExampleGenerator {
  const { seed, batchTokens, copyEvery, tokenizer } = options;
  let world: { number: number; articles: readonly LinkedArticle[] } | undefined;
  return (step) => {
    const random = new RandomStream(seed, 'base', step);
    if (copyEvery > 0 && step % copyEvery === 0) {
      return fill(batchTokens, () => repeatedStretches(random, tokenizer));
    }
    const number = Math.floor(step / STEPS_PER_WORLD);
    if (world?.number !== number) {
      const order = new RandomStream(seed, 'base-world', number);
      const worldSeed = order.uint32();
      world = { number, articles: linkedArticles(worldSeed, options.passageWords, order) };
    }
    const { articles } = world;
    return fill(batchTokens, () => articleExample(random.pick(articles), random, options));
  };
}

/** Examples until the next would not fit; at least one. */
function fill(batchTokens: number, make: () => TrainingExample): TrainingExample[] {
  const examples = [make()];
  let tokens = examples[0]?.ids.length ?? 0;
  for (;;) {
    const example = make();
    tokens += example.ids.length;
    if (tokens > batchTokens) return examples;
    examples.push(example);
  }
}

function articleExample(
  { document, linked }: LinkedArticle,
  random: RandomStream,
  options: BaseExampleOptions,
): TrainingExample {
  const { tokenizer } = options;
  const count = 1 + random.below(Math.min(options.maxPassages, linked.length));
  const passages = random.sample(linked, count);
  const context = passages.map((passage) => `${renderDocument(passage)}\n`).join('');
  const gaps =
    random.uniform() < options.gapShare ? chooseGaps(document, passages, random, options) : [];
  const text = gaps.length > 0 ? withGaps(document, gaps) : `${renderDocument(document)}\n`;
  const ids = [
    ...encodeMarked(tokenizer, context + text, [MASK_MARKER]),
    tokenizer.specialId('<|endoftext|>'),
  ];
  return { ids, mask: ids.map((_, t) => (t === 0 ? 0 : 1)) };
}

/** Spans that occur once in the article and also in a passage, in text order. */
function chooseGaps(
  { text, title, spans }: Document,
  passages: readonly Passage[],
  random: RandomStream,
  { maxGaps }: BaseExampleOptions,
): Span[] {
  const candidates = spans.filter(
    (span) =>
      span.start > 0 &&
      span.text !== title &&
      text.indexOf(span.text) === span.start &&
      text.lastIndexOf(span.text) === span.start &&
      passages.some((passage) => passage.text.includes(span.text) || passage.title === span.text),
  );
  if (candidates.length === 0) return [];
  const count = 1 + random.below(Math.min(maxGaps, candidates.length));
  return random.sample(candidates, count).toSorted((a, b) => a.start - b.start);
}

/** The article with gaps, and after it what belongs there, one after the other. */
function withGaps({ text }: Document, gaps: readonly Span[]): string {
  let masked = '';
  let end = 0;
  for (const gap of gaps) {
    masked += text.slice(end, gap.start) + MASK_MARKER;
    end = gap.end;
  }
  return ` ${masked}${text.slice(end)}\n ${gaps.map((gap) => gap.text).join(' ; ')}\n`;
}
