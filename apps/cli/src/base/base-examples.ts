// What the base model is trained on: articles read after passages that are linked to them, sentences
// with gaps that the passages fill, and random sequences that repeat themselves. No searches, no episodes.
import {
  MASK_MARKER,
  RandomStream,
  type Document,
  type Passage,
  type Span,
} from '@masksearch/core';
import { renderDocument } from '@masksearch/agent';
import { sentenceRanges } from '@masksearch/corpus';
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
  /** Share of articles of which only sentences with gaps are given. */
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
  const hasGaps = random.uniform() < options.gapShare;
  const gaps = hasGaps ? gapsOf(document, passages, random).slice(0, options.maxGaps) : [];
  const pieces = piecesOf(document, context, gaps, random.uniform() < 0.5);
  const ids: number[] = [];
  const mask: number[] = [];
  for (const { text, isLabel } of pieces) {
    const tokens = encodeMarked(tokenizer, text, [MASK_MARKER]);
    ids.push(...tokens);
    mask.push(...Array.from(tokens, () => (isLabel ? 1 : 0)));
  }
  mask[0] = 0;
  return { ids, mask };
}

/** A sentence with a gap, and what belongs there. */
interface Gap {
  readonly sentence: string;
  readonly filling: string;
}

/** One gap for each sentence of the article that names something which a passage names too, in random order. */
function gapsOf(
  { text, title, spans }: Document,
  passages: readonly Passage[],
  random: RandomStream,
): Gap[] {
  const gaps = sentenceRanges(text).flatMap(({ start, end }) => {
    const known = spans.filter(
      (span) => span.start >= start && span.end <= end && isKnown(span, title, passages),
    );
    if (known.length === 0) return [];
    const gap = random.pick(known);
    const sentence = text.slice(start, gap.start) + MASK_MARKER + text.slice(gap.end, end);
    return [{ sentence: sentence.trim(), filling: gap.text }];
  });
  return random.shuffled(gaps);
}

function isKnown(span: Span, title: string, passages: readonly Passage[]): boolean {
  if (span.text === title) return false;
  return passages.some((passage) => `${passage.title}: ${passage.text}`.includes(span.text));
}

interface Piece {
  readonly text: string;
  /** Its tokens carry loss. */
  readonly isLabel: boolean;
}

/**
 * Passages and article, all of it to be predicted; or passages and the gaps with their fillings; or one
 * gap before the passages and its filling after them. Of gaps only the fillings are to be predicted.
 */
function piecesOf(
  document: Document,
  context: string,
  gaps: readonly Gap[],
  isGapFirst: boolean,
): Piece[] {
  const shown = (text: string): Piece => ({ text, isLabel: false });
  const wanted = (text: string): Piece => ({ text, isLabel: true });
  const [first] = gaps;
  if (first === undefined) return [wanted(`${context}${renderDocument(document)}\n`)];
  if (isGapFirst) {
    return [shown(` ${first.sentence}\n${context}`), wanted(` ${first.filling}\n`)];
  }
  const questions = gaps.flatMap(({ sentence, filling }) => [
    shown(` ${sentence}\n`),
    wanted(` ${filling}\n`),
  ]);
  return [shown(context), ...questions];
}
