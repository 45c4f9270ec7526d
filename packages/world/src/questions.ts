// Questions about a world, with answers, supporting passages and the look-ups that lead there.
import {
  ConfigError,
  InputError,
  RandomStream,
  RECORD_VERSION,
  type Gold,
  type QuestionTask,
} from '@masksearch/core';
import type { Block, Entity, Fact } from './block.ts';
import { fillTemplate, relationOf } from './relations.ts';
import { World, type WorldOptions } from './world.ts';

/** In domain: hop1, hop2 (a bridge), comparison; out of domain: hop3 and list. */
export const QUESTION_GROUPS = ['hop1', 'hop2', 'comparison', 'hop3', 'list'] as const;
export type QuestionGroup = (typeof QUESTION_GROUPS)[number];

export interface QuestionOptions extends WorldOptions {
  /** Groups to draw from, in turn. Questions of a group do not depend on the other groups. */
  readonly kinds: readonly QuestionGroup[];
  /** Questions in total. */
  readonly count: number;
  /** Id of the passage that holds this UTF-16 offset of a document. */
  readonly passageIdAt: (documentId: string, offset: number) => string;
}

/** A question before it becomes a task. */
interface Draft {
  readonly question: string;
  readonly golds: readonly Gold[];
  readonly facts: readonly Fact[];
  readonly steps: QuestionTask['steps'];
}

type Drafter = (block: Block, stream: RandomStream) => Draft | null;

const drafters: Readonly<Record<QuestionGroup, Drafter>> = {
  hop1: (block, stream) => draftChain(block, stream, 1),
  hop2: (block, stream) => draftChain(block, stream, 2),
  hop3: (block, stream) => draftChain(block, stream, 3),
  comparison: draftComparison,
  list: draftList,
};

/** By number of look-ups, and by what has to be done with what they find. */
const difficulties: Readonly<Record<QuestionGroup, number>> = {
  hop1: 0.2,
  hop2: 0.5,
  comparison: 0.5,
  hop3: 0.8,
  list: 0.7,
};

const MIN_LIST = 2;
const MAX_LIST = 4;
/** Draws in vain after which a world counts as exhausted. */
const MAX_ATTEMPTS = 2000;

/**
 * Distinct questions about a world. `supporting` names every passage that states a fact on the way
 * to the answer, so it also holds passages that repeat each other. All are drawn before the first is given, so that every
 * block of the world is written out once.
 *
 * @throws {ConfigError} an option is out of range.
 * @throws {InputError} the world is too small for so many distinct questions.
 */
export function* generateQuestions(options: QuestionOptions): Generator<QuestionTask> {
  checkOptions(options);
  const world = new World(options);
  const seen = new Set<string>();
  const drawn = Array.from({ length: options.count }, (_, n) => {
    const group = options.kinds[n % options.kinds.length] as QuestionGroup;
    const number = Math.floor(n / options.kinds.length);
    return drawQuestion({ world, options, group, number, seen });
  });
  const supporting = supportingPassages(drawn, world, options);
  for (const question of drawn) yield taskOf(question, supporting.get(question) ?? [], options);
}

function checkOptions({ kinds, count }: QuestionOptions): void {
  if (!Number.isInteger(count) || count < 0) {
    throw new ConfigError(
      `generateQuestions: expected count to be an integer >= 0, received ${count}.`,
    );
  }
  const unknown = kinds.find((kind) => !QUESTION_GROUPS.includes(kind));
  if (kinds.length === 0 || unknown !== undefined || new Set(kinds).size !== kinds.length) {
    throw new ConfigError(
      `generateQuestions: expected kinds to be distinct and of ${QUESTION_GROUPS.join(', ')}, received ${JSON.stringify(kinds)}.`,
    );
  }
}

interface DrawRequest {
  readonly world: World;
  readonly options: QuestionOptions;
  readonly group: QuestionGroup;
  readonly number: number;
  /** What has been asked so far. */
  readonly seen: Set<string>;
}

interface DrawnQuestion {
  readonly group: QuestionGroup;
  readonly number: number;
  readonly block: Block;
  readonly draft: Draft;
}

function drawQuestion({ world, options, group, number, seen }: DrawRequest): DrawnQuestion {
  const { seed, split } = options;
  const stream = new RandomStream(seed, 'world', split, 'question', group, number);
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const block = world.block(stream.below(world.blockCount));
    const draft = drafters[group](block, stream);
    if (!draft) continue;
    const key = `${group} ${draft.facts.map(factKey).sort().join(' ')}`;
    if (seen.has(key)) continue;
    seen.add(key);
    return { group, number, block, draft };
  }
  throw new InputError(
    `generateQuestions: expected a world with more than ${number} distinct ${group} questions, received one of ${options.articles} articles; ask for fewer or generate more articles.`,
  );
}

function factKey({ subject, relation }: Fact): string {
  return `${subject.documentId}/${relation}`;
}

/** For each question the passages that state its facts; every block is written once. */
function supportingPassages(
  questions: readonly DrawnQuestion[],
  world: World,
  { passageIdAt }: QuestionOptions,
): Map<DrawnQuestion, string[]> {
  const passages = new Map<DrawnQuestion, string[]>();
  for (const [block, asked] of Map.groupBy(questions, (question) => question.block)) {
    const { statements } = world.write(block);
    for (const question of asked) {
      const ids = question.draft.facts
        .flatMap((fact) => statements.get(fact) ?? [])
        .flatMap(({ documentId, start, end }) => [
          passageIdAt(documentId, start),
          passageIdAt(documentId, end - 1),
        ]);
      passages.set(question, [...new Set(ids)]);
    }
  }
  return passages;
}

function taskOf(
  { group, number, draft }: DrawnQuestion,
  supporting: string[],
  { seed, split }: QuestionOptions,
): QuestionTask {
  return {
    version: RECORD_VERSION,
    type: 'qa',
    id: `world:${split}:${seed}:${group}:${number}`,
    group,
    difficulty: difficulties[group],
    excludedPassages: [],
    question: draft.question,
    golds: [...draft.golds],
    supporting,
    steps: draft.steps,
  };
}

/** `length` facts, each about the object of the one before; no entity is visited twice. */
function draftChain(block: Block, stream: RandomStream, length: number): Draft | null {
  const { facts } = block;
  const chain = [stream.pick(facts)];
  while (chain.length < length) {
    const { object } = chain.at(-1) as Fact;
    const visited = new Set<Fact['object']>(chain.flatMap((fact) => [fact.subject, fact.object]));
    const next = facts.filter((fact) => fact.subject === object && !visited.has(fact.object));
    if (next.length === 0) return null;
    chain.push(stream.pick(next));
  }
  let subject = (chain[0] as Fact).subject.name;
  for (const fact of chain.slice(0, -1)) {
    subject = fillTemplate(stream.pick(relationOf(fact.relation).phrases), { s: subject });
  }
  const last = chain.at(-1) as Fact;
  return {
    question: fillTemplate(stream.pick(relationOf(last.relation).questions), { s: subject }),
    golds: [goldOf(last.object)],
    facts: chain,
    steps: chain.map(stepOf),
  };
}

/** Which of two entities of a kind has the smaller year. */
function draftComparison(block: Block, stream: RandomStream): Draft | null {
  const { facts } = block;
  const first = stream.pick(facts);
  const { comparison } = relationOf(first.relation);
  if (!comparison) return null;
  const second = stream.pick(facts.filter((fact) => fact.relation === first.relation));
  if (second.object === first.object) return null;
  const earlier = Number(first.object) < Number(second.object) ? first : second;
  const names = { a: first.subject.name, b: second.subject.name };
  return {
    question: fillTemplate(stream.pick(comparison), names),
    golds: [goldOf(earlier.subject)],
    facts: [first, second],
    steps: [first, second].map(stepOf),
  };
}

/** All subjects that share an object. */
function draftList(block: Block, stream: RandomStream): Draft | null {
  const { facts } = block;
  const { relation, object } = stream.pick(facts);
  const { list } = relationOf(relation);
  if (!list || typeof object === 'number') return null;
  const members = facts.filter((fact) => fact.relation === relation && fact.object === object);
  if (members.length < MIN_LIST || members.length > MAX_LIST) return null;
  const query = fillTemplate(list.query, { o: object.name });
  return {
    question: fillTemplate(stream.pick(list.questions), { o: object.name }),
    golds: members.map((fact) => goldOf(fact.subject)),
    facts: members,
    steps: members.map((fact) => ({ query, answer: goldOf(fact.subject) })),
  };
}

function stepOf({ subject, relation, object }: Fact): QuestionTask['steps'][number] {
  return {
    query: fillTemplate(relationOf(relation).query, { s: subject.name }),
    answer: goldOf(object),
  };
}

function goldOf(object: Entity | number): Gold {
  if (typeof object === 'number') return { text: String(object), aliases: [] };
  return { text: object.name, aliases: [...object.aliases] };
}
