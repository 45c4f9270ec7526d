// Small generated worlds as sets of articles that name each other; an endless supply of names.
import type { Document, Passage, RandomStream } from '@masksearch/core';
import { splitPassages } from '@masksearch/corpus';
import { generateWorld, MIN_ARTICLES } from '@masksearch/world';

/** An article and the passages of other articles that share a name with it. */
export interface LinkedArticle {
  readonly document: Document;
  /** Of articles that it names or that name it. */
  readonly linked: readonly Passage[];
}

/** The articles of one small training world, each with what is linked to it, in random order. */
export function linkedArticles(
  worldSeed: number,
  passageWords: number,
  random: RandomStream,
): LinkedArticle[] {
  const documents = [...generateWorld({ seed: worldSeed, articles: MIN_ARTICLES, split: 'train' })];
  const passages = documents.flatMap((document) =>
    splitPassages(document, { maxWords: passageWords }),
  );
  const articles = documents.map((document) => ({
    document,
    linked: passages.filter(
      (passage) => passage.documentId !== document.id && isLinked(document, passage),
    ),
  }));
  return random.shuffled(articles.filter(({ linked }) => linked.length > 0));
}

function isLinked(document: Document, passage: Passage): boolean {
  if (passage.text.includes(document.title)) return true;
  return document.spans.some(({ text }) => text === passage.title);
}
