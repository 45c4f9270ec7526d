import { InputError, questionTaskSchema, type QuestionTask } from '@masksearch/core';
import { describe, expect, test } from 'vitest';
import { generateQuestions, QUESTION_GROUPS, type QuestionGroup } from './questions.ts';
import { relationOf, RELATION_NAMES } from './relations.ts';
import { generateWorld, worldFacts, type WorldFact } from './world.ts';

const world = { seed: 3, articles: 1000, split: 'heldout' } as const;
const passageIdAt = (documentId: string): string => `${documentId}#0`;
const tasks = [...generateQuestions({ ...world, kinds: QUESTION_GROUPS, count: 500, passageIdAt })];
const facts = [...worldFacts(world)];
const documents = [...generateWorld(world)];

function of(group: QuestionGroup): QuestionTask[] {
  return tasks.filter((task) => task.group === group);
}

/** The facts that a step looks up: those whose query and object match it. */
function factsOfStep({ query, answer }: QuestionTask['steps'][number]): WorldFact[] {
  return facts.filter(
    (fact) =>
      fact.object.text === answer.text &&
      relationOf(fact.relation).query.replace('{s}', fact.subject.name) === query,
  );
}

function supports(task: QuestionTask, fact: WorldFact): boolean {
  return fact.statements.every(({ documentId }) => task.supporting.includes(`${documentId}#0`));
}

describe('generateQuestions', () => {
  test('gives valid, distinct tasks, the groups in turn', () => {
    expect(tasks).toHaveLength(500);
    for (const task of tasks) questionTaskSchema.parse(task);
    for (const group of QUESTION_GROUPS) expect(of(group)).toHaveLength(100);
    expect(new Set(tasks.map((task) => task.id)).size).toBe(500);
    expect(new Set(tasks.map((task) => task.steps.map((step) => step.query).join())).size).toBe(
      500,
    );
  });

  test('repeats itself, whichever other groups are asked for', () => {
    const alone = generateQuestions({ ...world, kinds: ['hop2'], count: 100, passageIdAt });
    expect([...alone]).toEqual(of('hop2'));
  });

  test.each([
    ['hop1', 1],
    ['hop2', 2],
    ['hop3', 3],
  ] as const)('%s: a chain of %i true facts ends in the answer', (group, hops) => {
    for (const task of of(group)) {
      expect(task.steps).toHaveLength(hops);
      let reached: string | undefined;
      for (const step of task.steps) {
        const found = factsOfStep(step).filter(({ subject }) =>
          reached === undefined ? task.question.includes(subject.name) : subject.name === reached,
        );
        expect(found).toHaveLength(1);
        expect(found.every((fact) => supports(task, fact))).toBe(true);
        reached = step.answer.text;
      }
      expect(task.golds.map((gold) => gold.text)).toEqual([reached]);
      expect(task.question).not.toContain(reached);
    }
  });

  test('comparison: the answer has the smaller year, and the years differ', () => {
    for (const task of of('comparison')) {
      const compared = task.steps.map((step) => factsOfStep(step)[0] as WorldFact);
      const [earlier, later] = compared.toSorted(
        (a, b) => Number(a.object.text) - Number(b.object.text),
      ) as [WorldFact, WorldFact];
      expect(Number(earlier.object.text)).toBeLessThan(Number(later.object.text));
      expect(earlier.relation).toBe(later.relation);
      expect(task.golds[0]?.text).toBe(earlier.subject.name);
      for (const fact of compared) {
        expect(task.question).toContain(fact.subject.name);
        expect(supports(task, fact)).toBe(true);
      }
    }
  });

  test('list: two to four answers, and none is missing', () => {
    for (const task of of('list')) {
      const [relation, object] = RELATION_NAMES.flatMap((name) =>
        facts
          .filter(
            (fact) =>
              fact.relation === name &&
              relationOf(name).list?.query.replace('{o}', fact.object.text) ===
                task.steps[0]?.query,
          )
          .map((fact) => [name, fact.object.text] as const),
      )[0] as readonly [string, string];
      const members = facts.filter(
        (fact) => fact.relation === relation && fact.object.text === object,
      );
      expect(task.golds.map((gold) => gold.text)).toEqual(
        members.map(({ subject }) => subject.name),
      );
      expect(members.length).toBeGreaterThanOrEqual(2);
      expect(members.length).toBeLessThanOrEqual(4);
      expect(members.every((fact) => supports(task, fact))).toBe(true);
    }
  });

  test('asks in at least three ways', () => {
    for (const name of RELATION_NAMES) {
      const { questions, phrases, list, comparison } = relationOf(name);
      for (const ways of [questions, phrases, list?.questions, comparison]) {
        if (ways) expect(new Set(ways).size).toBeGreaterThanOrEqual(3);
      }
    }
  });

  test('says that a world is exhausted', () => {
    const many = generateQuestions({
      ...world,
      articles: 100,
      kinds: ['list'],
      count: 1000,
      passageIdAt,
    });
    expect(() => [...many]).toThrow(InputError);
  });

  test('refuses unknown or repeated groups and negative counts', () => {
    const ask = (changes: object): unknown => [
      ...generateQuestions({ ...world, kinds: ['hop1'], count: 1, passageIdAt, ...changes }),
    ];
    expect(() => ask({ kinds: ['hop9'] })).toThrow(/received \["hop9"\]/);
    expect(() => ask({ kinds: ['hop1', 'hop1'] })).toThrow(/expected kinds to be distinct/);
    expect(() => ask({ kinds: [] })).toThrow(/expected kinds/);
    expect(() => ask({ count: -1 })).toThrow(/count to be an integer >= 0, received -1/);
  });
});

describe('evidence', () => {
  const wordsOf = (text: string): string[] => text.toLowerCase().match(/\w+/g) ?? [];
  const postings = new Map<string, Map<number, number>>();
  for (const [d, { text }] of documents.entries()) {
    for (const word of wordsOf(text)) {
      const list = postings.get(word) ?? new Map<number, number>();
      postings.set(word, list.set(d, (list.get(d) ?? 0) + 1));
    }
  }

  /** Documents by the sum of idf · tf/(tf + 1) over the query's words; a plain stand-in for BM25. */
  function rank(query: string, excluded: string): string[] {
    const scores = new Map<number, number>();
    for (const word of new Set(wordsOf(query))) {
      const list = postings.get(word) ?? new Map<number, number>();
      const weight = Math.log(1 + documents.length / (1 + list.size));
      for (const [d, count] of list) {
        scores.set(d, (scores.get(d) ?? 0) + (weight * count) / (count + 1));
      }
    }
    return [...scores]
      .sort(([a, scoreA], [b, scoreB]) => scoreB - scoreA || a - b)
      .map(([d]) => documents[d]?.id ?? '')
      .filter((id) => id !== excluded);
  }

  test('is found by the words of a step without the article of its subject', () => {
    const sampled = facts.filter((_, f) => f % 11 === 0);
    const found = sampled.filter((fact) => {
      const query = relationOf(fact.relation).query.replace('{s}', fact.subject.name);
      const top = rank(query, fact.subject.documentId).slice(0, 4);
      return fact.statements.some(({ documentId }) => top.includes(documentId));
    });
    expect(sampled.length).toBeGreaterThan(200);
    expect(found.length / sampled.length).toBeGreaterThan(0.9);
  });
});
