// Small generated worlds as facts, the sentences that state them and the passages these stand in; an endless supply of names.
import type { Document, Passage, Span } from '@masksearch/core';
import { splitPassages } from '@masksearch/corpus';
import { generateWorld, MIN_ARTICLES, worldFacts, type WorldFact } from '@masksearch/world';

/** A sentence that states facts. */
export interface Sentence {
  readonly text: string;
  readonly document: Document;
  readonly passage: Passage;
  /** What it names, offsets from its own start; not the title of its document. */
  readonly names: readonly Span[];
  readonly facts: readonly StatedFact[];
}

/** A fact with every sentence that states it, of at least two documents. */
export interface StatedFact extends Omit<WorldFact, 'statements'> {
  readonly sentences: readonly Sentence[];
}

export interface FactLibrary {
  readonly passages: readonly Passage[];
  /** By passage id. */
  readonly sentencesOf: ReadonlyMap<string, readonly Sentence[]>;
  /** By document id, in the order of the facts that they state. */
  readonly sentencesOfDocument: ReadonlyMap<string, readonly Sentence[]>;
  /** Passages of other documents that share a name with this one, by passage id. */
  readonly neighbours: ReadonlyMap<string, readonly Passage[]>;
}

/** The facts of one small training world. @throws {ConfigError} passageWords is out of range. */
export function factLibrary(worldSeed: number, passageWords: number): FactLibrary {
  const world = { seed: worldSeed, articles: MIN_ARTICLES, split: 'train' } as const;
  const documents = new Map([...generateWorld(world)].map((document) => [document.id, document]));
  const passages = [...documents.values()].flatMap((document) =>
    splitPassages(document, { maxWords: passageWords }),
  );
  const sentences = new Map<string, Sentence & { facts: StatedFact[] }>();
  for (const { statements, ...fact } of worldFacts(world)) {
    const stated = { ...fact, sentences: [] as Sentence[] };
    for (const { documentId, start, end } of statements) {
      const key = `${documentId} ${start}`;
      const sentence = sentences.get(key) ?? makeSentence(documentId, start, end);
      sentences.set(key, sentence);
      sentence.facts.push(stated);
      stated.sentences.push(sentence);
    }
  }
  const all = [...sentences.values()];
  return {
    passages,
    sentencesOf: Map.groupBy(all, ({ passage }) => passage.id),
    sentencesOfDocument: Map.groupBy(all, ({ document }) => document.id),
    neighbours: new Map(passages.map((passage) => [passage.id, neighboursOf(passage)])),
  };

  function makeSentence(documentId: string, start: number, end: number) {
    const document = documents.get(documentId) as Document;
    const passage = passages.findLast(
      (candidate) => candidate.documentId === documentId && candidate.start <= start,
    ) as Passage;
    const names = document.spans
      .filter((span) => span.start >= start && span.end <= end && span.text !== document.title)
      .map((span) => ({ ...span, start: span.start - start, end: span.end - start }));
    return { text: document.text.slice(start, end), document, passage, names, facts: [] };
  }

  function neighboursOf({ documentId, title, text }: Passage): Passage[] {
    return passages.filter(
      (other) =>
        other.documentId !== documentId &&
        (other.text.includes(title) || text.includes(other.title)),
    );
  }
}
