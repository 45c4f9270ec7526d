import { documentSchema, type Document } from '@masksearch/core';
import { describe, expect, test } from 'vitest';
import { kindsOfBlock, KINDS } from './kinds.ts';
import { RELATION_NAMES } from './relations.ts';
import { sentenceForms } from './sentence-forms.ts';
import type { Split } from './words.ts';
import { generateWorld, worldFacts, type WorldOptions } from './world.ts';

const options: WorldOptions = { seed: 7, articles: 2000, split: 'train' };
const documents = [...generateWorld(options)];
const facts = [...worldFacts(options)];
const byId = new Map(documents.map((document) => [document.id, document]));

function sentencesOf(text: string): string[] {
  return text.split(/(?<=\.) /);
}

function share<T>(items: readonly T[], predicate: (item: T) => boolean): number {
  return items.filter(predicate).length / items.length;
}

function eligibleSpans({ title, text, spans }: Document): number {
  const once = spans.filter((span) => span.text !== title && text.split(span.text).length === 2);
  return new Set(once.map((span) => span.text)).size;
}

describe('generateWorld', () => {
  test('gives the same articles for the same options', () => {
    expect([...generateWorld(options)]).toEqual(documents);
  });

  test('gives other articles for another seed', () => {
    const titles = new Set(documents.map((document) => document.title));
    const others = [...generateWorld({ ...options, seed: 8 })];
    expect(share(others, (other) => titles.has(other.title))).toBeLessThan(0.05);
  });

  test('gives as many valid documents as asked for, with unique ids and titles', () => {
    for (const articles of [100, 101, 149, 150, 2000]) {
      const world = [...generateWorld({ ...options, articles })];
      expect(world).toHaveLength(articles);
      expect(new Set(world.map((document) => document.id)).size).toBe(articles);
      expect(new Set(world.map((document) => document.title)).size).toBe(articles);
      for (const document of world) documentSchema.parse(document);
    }
  });

  test('keeps the articles of a smaller world in a larger one', () => {
    const small = [...generateWorld({ ...options, articles: 100 })];
    expect(small.slice(0, 50)).toEqual(documents.slice(0, 50));
  });

  test('streams: the first articles of a million come at once', () => {
    const started = performance.now();
    const [first] = generateWorld({ ...options, articles: 1_000_000 });
    expect(first).toEqual(documents[0]);
    expect(performance.now() - started).toBeLessThan(2000);
  });

  test('writes 3 to 8 short sentences, whatever is left for the last block', () => {
    for (const articles of [100, 117, 133, 149, 2000]) {
      for (const { text } of generateWorld({ ...options, articles })) {
        expect(sentencesOf(text).length).toBeGreaterThanOrEqual(3);
        expect(sentencesOf(text).length).toBeLessThanOrEqual(8);
      }
    }
    const sentences = documents.flatMap((document) => sentencesOf(document.text));
    const words = sentences.map((sentence) => sentence.split(' ').length);
    expect(Math.max(...words)).toBeLessThanOrEqual(13);
    expect(words.reduce((sum, count) => sum + count) / words.length).toBeLessThan(9);
    expect(share(documents, ({ text }) => text.split(' ').length <= 60)).toBeGreaterThan(0.95);
  });

  test('opens each article with its title and names it in every sentence', () => {
    for (const { title, text } of documents) {
      const sentences = sentencesOf(text);
      expect(sentences.filter((sentence) => !sentence.includes(title))).toEqual([]);
    }
    expect(share(documents, ({ title, text }) => text.startsWith(title))).toBe(1);
  });

  test('annotates every name and year exactly', () => {
    const titles = new Set(documents.map((document) => document.title));
    for (const { text, spans } of documents) {
      let cursor = 0;
      for (const span of spans) {
        expect(text.slice(span.start, span.end)).toBe(span.text);
        expect(span.start).toBeGreaterThanOrEqual(cursor);
        expect(span.kind === 'date' ? /^\d{4}$/.test(span.text) : titles.has(span.text)).toBe(true);
        cursor = span.end;
      }
      const years = text.match(/\d{4}/g)?.length ?? 0;
      expect(spans.filter((span) => span.kind === 'date')).toHaveLength(years);
    }
  });

  test('has at least five spans to mask in nearly every article', () => {
    expect(share(documents, (document) => eligibleSpans(document) >= 5)).toBeGreaterThan(0.98);
  });

  test('has near misses: another entity of the same kind that shares a word', () => {
    const owners = new Map<string, Set<string>>();
    const kinds = new Map(facts.map(({ subject }) => [subject.documentId, subject.kind]));
    for (const { id, title } of documents) {
      for (const word of title.split(' ')) {
        const key = `${kinds.get(id)} ${word}`;
        owners.set(key, (owners.get(key) ?? new Set()).add(id));
      }
    }
    const twoWords = documents.filter((document) => document.title.includes(' '));
    const hasNearMiss = ({ id, title }: Document): boolean =>
      title.split(' ').some((word) => (owners.get(`${kinds.get(id)} ${word}`)?.size ?? 0) > 1);
    expect(share(twoWords, hasNearMiss)).toBeGreaterThan(0.85);
  });

  test('shares no word of any name between the splits, for any seeds', () => {
    const wordsOf = (split: Split): Set<string> =>
      new Set(
        [1, 2, 3].flatMap((seed) =>
          [...generateWorld({ seed, articles: 1000, split })].flatMap(({ title }) =>
            title.split(' '),
          ),
        ),
      );
    const train = wordsOf('train');
    const heldout = [...wordsOf('heldout')];
    expect(heldout.length).toBeGreaterThan(1000);
    expect(heldout.filter((word) => train.has(word))).toEqual([]);
  });

  test('refuses options out of range', () => {
    const first = (changes: object): unknown => [...generateWorld({ ...options, ...changes })];
    expect(() => first({ articles: 99 })).toThrow(
      /articles to be an integer in 100\.\.1000000, received 99/,
    );
    expect(() => first({ articles: 1_000_001 })).toThrow(/received 1000001/);
    expect(() => first({ articles: 100.5 })).toThrow(/received 100.5/);
    expect(() => first({ seed: 0.5 })).toThrow(/seed to be an integer, received 0.5/);
    expect(() => first({ split: 'test' })).toThrow(/'train' or 'heldout', received "test"/);
  });
});

describe('worldFacts', () => {
  test('covers six kinds and twelve relations at least', () => {
    expect(KINDS.length).toBeGreaterThanOrEqual(6);
    expect(new Set(facts.map((fact) => fact.relation))).toEqual(new Set(RELATION_NAMES));
    expect(RELATION_NAMES.length).toBeGreaterThanOrEqual(12);
  });

  test('states every fact in two articles and in different words, also in an odd last block', () => {
    for (const articles of [117, 2000]) {
      const world = { ...options, articles };
      const texts = new Map([...generateWorld(world)].map(({ id, text }) => [id, text]));
      for (const { subject, object, statements } of worldFacts(world)) {
        expect(new Set(statements.map(({ documentId }) => documentId)).size).toBeGreaterThan(1);
        const wordings = statements.map(({ documentId, start, end }) => {
          const sentence = texts.get(documentId)?.slice(start, end) ?? '';
          expect(sentence).toContain(subject.name);
          expect(sentence).toContain(object.text);
          expect(sentence).toMatch(/\.$/);
          return sentence.replace(/[A-Z]\w+|\d+/g, '_');
        });
        expect(new Set(wordings).size).toBe(statements.length);
      }
    }
  });

  test('is functional: a subject has one object of a relation', () => {
    const keys = facts.map(({ subject, relation }) => `${subject.documentId} ${relation}`);
    expect(new Set(keys).size).toBe(facts.length);
  });

  test('names existing documents', () => {
    for (const { subject, object } of facts) {
      expect(byId.get(subject.documentId)?.title).toBe(subject.name);
      if (object.documentId !== null) expect(byId.get(object.documentId)?.title).toBe(object.text);
    }
  });
});

describe('sentenceForms', () => {
  test.each(RELATION_NAMES)(
    'puts %s in four ways on each side, with no way in common',
    (relation) => {
      const ways = (article: 'subject' | 'object'): string[] =>
        sentenceForms
          .filter(
            (form) => [form.relation, form.year].includes(relation) && form.article === article,
          )
          .flatMap((form) => form.phrasings);
      expect(new Set(ways('subject')).size).toBeGreaterThanOrEqual(4);
      expect(new Set(ways('object')).size).toBeGreaterThanOrEqual(4);
      expect(ways('subject').filter((way) => ways('object').includes(way))).toEqual([]);
    },
  );
});

test('kindsOfBlock keeps the proportions at every size', () => {
  for (let size = 50; size < 150; size++) {
    const persons = kindsOfBlock(size).filter((kind) => kind === 'person').length;
    expect(Math.abs(persons - size * 0.28)).toBeLessThan(1.5);
  }
});
