// What can be true of an entity, and how one asks for it.
import type { Kind } from './kinds.ts';

/** A relation is functional: a subject has at most one object. */
export interface Relation {
  readonly subject: Kind;
  readonly object: Kind | 'year';
  /** Single-hop questions about `{s}`. */
  readonly questions: readonly string[];
  /** Noun phrases for the object of `{s}`, to nest in another question. */
  readonly phrases: readonly string[];
  /** Words that find the evidence, given the name of `{s}`. */
  readonly query: string;
  /** Questions for all subjects of the object `{o}`, where asking that makes sense. */
  readonly list?: { readonly questions: readonly string[]; readonly query: string };
  /** Questions which of `{a}` and `{b}` has the smaller year. */
  readonly comparison?: readonly string[];
}

export const relations = {
  'person.birthplace': {
    subject: 'person',
    object: 'city',
    questions: [
      'Where was {s} born?',
      'In which city was {s} born?',
      'What is the birthplace of {s}?',
    ],
    phrases: ['the birthplace of {s}', 'the city where {s} was born', 'the native city of {s}'],
    query: '{s} born native',
    list: {
      questions: [
        'Which people were born in {o}?',
        'Who are the natives of {o}?',
        'Whose birthplace is {o}?',
      ],
      query: '{o} native',
    },
  },
  'person.birthYear': {
    subject: 'person',
    object: 'year',
    questions: [
      'When was {s} born?',
      'In which year was {s} born?',
      'What is the birth year of {s}?',
    ],
    phrases: ['the birth year of {s}', 'the year when {s} was born', 'the year of birth of {s}'],
    query: '{s} born',
    comparison: [
      'Who was born earlier, {a} or {b}?',
      'Who is older by birth, {a} or {b}?',
      'Of {a} and {b}, who was born first?',
    ],
  },
  'person.school': {
    subject: 'person',
    object: 'school',
    questions: [
      'Where did {s} study?',
      'Which school taught {s}?',
      'At which school was {s} a student?',
    ],
    phrases: ['the school of {s}', 'the school where {s} studied', 'the school that taught {s}'],
    query: '{s} student',
    list: {
      questions: [
        'Which people studied at {o}?',
        'Who were the students of {o}?',
        'Whom did the school {o} teach?',
      ],
      query: '{o} student',
    },
  },
  'person.spouse': {
    subject: 'person',
    object: 'person',
    questions: ['Whom did {s} marry?', 'Who was the spouse of {s}?', 'To whom was {s} married?'],
    phrases: ['the spouse of {s}', 'the person whom {s} married', 'the partner of {s}'],
    query: '{s} married',
  },
  'person.employer': {
    subject: 'person',
    object: 'company',
    questions: [
      'Which company did {s} work for?',
      'Where did {s} have a job?',
      'Who was the employer of {s}?',
    ],
    phrases: ['the employer of {s}', 'the company that hired {s}', 'the company where {s} worked'],
    query: '{s} worked',
  },
  'city.founded': {
    subject: 'city',
    object: 'year',
    questions: [
      'When was {s} founded?',
      'In which year was {s} founded?',
      'From which year does {s} date?',
    ],
    phrases: ['the founding year of {s}', 'the year when {s} was founded', 'the first year of {s}'],
    query: '{s} founded',
    comparison: [
      'Which city was founded earlier, {a} or {b}?',
      'Which city is older, {a} or {b}?',
      'Of {a} and {b}, which was founded first?',
    ],
  },
  'city.river': {
    subject: 'city',
    object: 'river',
    questions: [
      'Which river flows through {s}?',
      'On which river does {s} lie?',
      'Beside which river does {s} stand?',
    ],
    phrases: ['the river of {s}', 'the river that flows through {s}', 'the river beside {s}'],
    query: '{s} river',
    list: {
      questions: [
        'Which cities lie on the river {o}?',
        'Through which cities does the river {o} flow?',
        'Which cities stand beside the river {o}?',
      ],
      query: '{o} river',
    },
  },
  'city.mayor': {
    subject: 'city',
    object: 'person',
    questions: ['Who was mayor of {s}?', 'Who governed {s}?', 'Whom did {s} elect as mayor?'],
    phrases: ['the mayor of {s}', 'the person who governed {s}', 'the elected mayor of {s}'],
    query: '{s} mayor',
  },
  'company.founder': {
    subject: 'company',
    object: 'person',
    questions: ['Who founded {s}?', 'Who started the company {s}?', 'Who was the founder of {s}?'],
    phrases: ['the founder of {s}', 'the person who founded {s}', 'the person who started {s}'],
    query: '{s} founded',
  },
  'company.founded': {
    subject: 'company',
    object: 'year',
    questions: [
      'When was {s} founded?',
      'In which year did {s} open for business?',
      'What was the first year of {s}?',
    ],
    phrases: ['the founding year of {s}', 'the year when {s} was founded', 'the first year of {s}'],
    query: '{s} founded',
    comparison: [
      'Which company was founded earlier, {a} or {b}?',
      'Which company is older, {a} or {b}?',
      'Of {a} and {b}, which was founded first?',
    ],
  },
  'company.seat': {
    subject: 'company',
    object: 'city',
    questions: [
      'Where is {s} based?',
      'In which city does {s} have its main office?',
      'Which city is home to {s}?',
    ],
    phrases: ['the home city of {s}', 'the city where {s} is based', 'the seat of {s}'],
    query: '{s} office',
  },
  'book.author': {
    subject: 'book',
    object: 'person',
    questions: ['Who wrote {s}?', 'Who is the author of {s}?', 'Who was the writer of {s}?'],
    phrases: ['the author of {s}', 'the writer of {s}', 'the person who wrote {s}'],
    query: '{s} author',
  },
  'book.published': {
    subject: 'book',
    object: 'year',
    questions: [
      'When was {s} published?',
      'In which year did {s} appear?',
      'In which year did {s} come out?',
    ],
    phrases: ['the year of {s}', 'the year when {s} was published', 'the year when {s} appeared'],
    query: '{s} published',
    comparison: [
      'Which book was published earlier, {a} or {b}?',
      'Which book is older, {a} or {b}?',
      'Of {a} and {b}, which came out first?',
    ],
  },
  'book.printer': {
    subject: 'book',
    object: 'company',
    questions: [
      'Who printed {s}?',
      'Which company printed {s}?',
      'By which company was {s} printed?',
    ],
    phrases: ['the printer of {s}', 'the company that printed {s}', 'the firm that printed {s}'],
    query: '{s} printed',
    list: {
      questions: [
        'Which books did {o} print?',
        'Of which books was {o} the printer?',
        'Which books were printed by {o}?',
      ],
      query: '{o} printed',
    },
  },
  'book.prize': {
    subject: 'book',
    object: 'festival',
    questions: [
      'At which festival did {s} win a prize?',
      'Where was {s} honoured?',
      'Which festival gave a prize to {s}?',
    ],
    phrases: [
      'the festival that honoured {s}',
      'the festival where {s} won a prize',
      'the festival that gave a prize to {s}',
    ],
    query: '{s} prize',
    list: {
      questions: [
        'Which books won a prize at {o}?',
        'Which books were honoured at {o}?',
        'To which books did {o} give a prize?',
      ],
      query: '{o} prize',
    },
  },
  'book.inspiration': {
    subject: 'book',
    object: 'book',
    questions: [
      'Which book inspired {s}?',
      'From which book does {s} take its plot?',
      'Which book was the model for {s}?',
    ],
    phrases: [
      'the book that inspired {s}',
      'the model for {s}',
      'the book that gave its plot to {s}',
    ],
    query: '{s} inspired',
  },
  'school.city': {
    subject: 'school',
    object: 'city',
    questions: [
      'Where is the school {s}?',
      'In which city is {s}?',
      'In which city does {s} stand?',
    ],
    phrases: ['the city of {s}', 'the city where {s} stands', 'the home city of {s}'],
    query: '{s} school',
  },
  'school.founded': {
    subject: 'school',
    object: 'year',
    questions: [
      'When was the school {s} founded?',
      'In which year did {s} open?',
      'When did lessons at {s} begin?',
    ],
    phrases: ['the founding year of {s}', 'the year when {s} was founded', 'the first year of {s}'],
    query: '{s} founded school',
    comparison: [
      'Which school was founded earlier, {a} or {b}?',
      'Which school is older, {a} or {b}?',
      'Of {a} and {b}, which opened first?',
    ],
  },
  'school.head': {
    subject: 'school',
    object: 'person',
    questions: ['Who was head of {s}?', 'Who ran the school {s}?', 'Who was the principal of {s}?'],
    phrases: ['the head of {s}', 'the person who led {s}', 'the principal of {s}'],
    query: '{s} head',
  },
  'festival.city': {
    subject: 'festival',
    object: 'city',
    questions: [
      'Where does {s} take place?',
      'In which city is {s} held?',
      'Which city hosts the festival {s}?',
    ],
    phrases: ['the host city of {s}', 'the city of {s}', 'the city where {s} takes place'],
    query: '{s} festival held',
  },
  'festival.since': {
    subject: 'festival',
    object: 'year',
    questions: [
      'When was {s} first held?',
      'Since which year has {s} been held?',
      'In which year did {s} begin?',
    ],
    phrases: [
      'the first year of {s}',
      'the year when {s} began',
      'the year when {s} was first held',
    ],
    query: '{s} first held',
    comparison: [
      'Which festival began earlier, {a} or {b}?',
      'Which festival is older, {a} or {b}?',
      'Of {a} and {b}, which was held first?',
    ],
  },
  'festival.inventor': {
    subject: 'festival',
    object: 'person',
    questions: [
      'Who invented {s}?',
      'Who invented the festival {s}?',
      'Who was the inventor of {s}?',
    ],
    phrases: ['the inventor of {s}', 'the person who invented {s}', 'the one who invented {s}'],
    query: '{s} invented',
  },
  'festival.sponsor': {
    subject: 'festival',
    object: 'company',
    questions: [
      'Who is the sponsor of {s}?',
      'Which company pays for {s}?',
      'Which company funds {s}?',
    ],
    phrases: ['the sponsor of {s}', 'the company that pays for {s}', 'the company that funds {s}'],
    query: '{s} sponsor',
  },
  'river.source': {
    subject: 'river',
    object: 'city',
    questions: [
      'Near which city does {s} rise?',
      'Where is the source of {s}?',
      'Near which city does the river {s} begin?',
    ],
    phrases: [
      'the city near the source of {s}',
      'the city where {s} rises',
      'the city where the river {s} begins',
    ],
    query: '{s} source',
  },
  'river.explorer': {
    subject: 'river',
    object: 'person',
    questions: ['Who mapped {s}?', 'Who explored the river {s}?', 'Who was the explorer of {s}?'],
    phrases: ['the explorer of {s}', 'the person who mapped {s}', 'the person who explored {s}'],
    query: '{s} mapped',
  },
  'river.mapped': {
    subject: 'river',
    object: 'year',
    questions: [
      'When was {s} mapped?',
      'In which year was the river {s} mapped?',
      'From which year is the first map of {s}?',
    ],
    phrases: [
      'the year when {s} was mapped',
      'the year of the first map of {s}',
      'the first map year of {s}',
    ],
    query: '{s} mapped',
    comparison: [
      'Which river was mapped earlier, {a} or {b}?',
      'Which river has the older map, {a} or {b}?',
      'Of {a} and {b}, which was mapped first?',
    ],
  },
} as const satisfies Readonly<Record<string, Relation>>;

export type RelationName = keyof typeof relations;

export const RELATION_NAMES = Object.keys(relations) as readonly RelationName[];

/** The relation of this name, with its optional parts visible. */
export function relationOf(name: RelationName): Relation {
  return relations[name];
}

/** A question or phrase of a relation with its names: `{s}`, `{o}`, `{a}`, `{b}`. */
export function fillTemplate(template: string, values: Readonly<Record<string, string>>): string {
  return template.replace(/\{(\w+)\}/g, (_, key: string) => values[key] ?? '');
}
