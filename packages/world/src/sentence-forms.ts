// How facts are put into words: in the article of their subject, and differently in that of their object.
import type { RelationName } from './relations.ts';

/** One way to state a fact: where it stands, what else it says, and the phrasings to choose from. */
export interface SentenceForm {
  readonly relation: RelationName;
  /** In whose article the sentence stands. */
  readonly article: 'subject' | 'object';
  /** A year relation of the same subject that the sentence states too, as `{y}`. */
  readonly year?: RelationName;
  /**
   * `{s}` subject, `{o}` object, `{y}` year. All phrasings of a relation share a topic word, and few have another rare
   * one, so that a lexical search for one statement finds the other.
   */
  readonly phrasings: readonly string[];
}

export const sentenceForms: readonly SentenceForm[] = [
  {
    relation: 'person.birthplace',
    article: 'subject',
    year: 'person.birthYear',
    phrasings: [
      '{s} was born in {y}, a native of {o}.',
      '{s}, a native of {o}, was born in {y}.',
      '{s} was a native of {o}, born in {y}.',
      'In {y} {s} was born, a native of {o}.',
    ],
  },
  {
    relation: 'person.birthplace',
    article: 'object',
    phrasings: [
      '{o} is where {s} is a native.',
      '{o} had {s} as a native.',
      '{o} saw {s} born as a native.',
      'The natives of {o} include {s}.',
    ],
  },
  {
    relation: 'person.school',
    article: 'subject',
    phrasings: [
      '{s} was a student of {o}.',
      '{s} became a student at {o}.',
      '{s} was a student at {o}.',
      '{s} went to {o} as a student.',
    ],
  },
  {
    relation: 'person.school',
    article: 'object',
    year: 'person.birthYear',
    phrasings: [
      '{o} taught the student {s}, born in {y}.',
      '{o} had the student {s}, born in {y}.',
      '{o} had a student, {s}, born in {y}.',
      'The students of {o} included {s}, born in {y}.',
    ],
  },
  {
    relation: 'person.spouse',
    article: 'subject',
    phrasings: [
      '{s} married {o}.',
      '{s} was married to {o}.',
      '{s} and {o} were a married couple.',
      '{s} got married to {o}.',
    ],
  },
  {
    relation: 'person.spouse',
    article: 'object',
    phrasings: [
      '{o} was the married partner of {s}.',
      '{o} and {s} married.',
      '{o} became married to {s}.',
      '{o} had {s} as married partner.',
    ],
  },
  {
    relation: 'person.employer',
    article: 'subject',
    phrasings: [
      '{s} worked for {o}.',
      '{s} worked at {o}.',
      '{s} found work at {o}.',
      '{s} did work for {o}.',
    ],
  },
  {
    relation: 'person.employer',
    article: 'object',
    phrasings: [
      '{o} gave work to {s}.',
      '{o} had {s} at work.',
      '{o} paid {s} for work.',
      '{o} is where {s} worked.',
    ],
  },
  {
    relation: 'city.founded',
    article: 'subject',
    phrasings: [
      '{s} was founded in {y}.',
      '{s} was first founded in {y}.',
      '{s} is a city founded in {y}.',
      'The city {s} was founded in {y}.',
    ],
  },
  {
    relation: 'city.river',
    article: 'subject',
    phrasings: [
      '{s} lies on the river {o}.',
      '{s} is on the river {o}.',
      'The river {o} runs by {s}.',
      'The river at {s} is the {o}.',
    ],
  },
  {
    relation: 'city.river',
    article: 'object',
    year: 'city.founded',
    phrasings: [
      '{o} is a river by {s}, founded in {y}.',
      'The river {o} waters {s}, founded in {y}.',
      'The river {o} passes {s}, founded in {y}.',
      'The river {o} has {s}, founded in {y}, beside it.',
    ],
  },
  {
    relation: 'city.mayor',
    article: 'subject',
    phrasings: [
      '{o} was mayor of {s}.',
      '{s} had {o} as mayor.',
      '{s} chose {o} as its mayor.',
      'The mayor of {s} was {o}.',
    ],
  },
  {
    relation: 'city.mayor',
    article: 'object',
    phrasings: [
      '{o} was once mayor in {s}.',
      '{o} served {s} as mayor.',
      '{o} became mayor of {s}.',
      '{o} was made mayor by {s}.',
    ],
  },
  {
    relation: 'company.founder',
    article: 'subject',
    phrasings: [
      '{s} was founded by {o}.',
      '{s} is a company founded by {o}.',
      '{o} founded the company {s}.',
      'The company {s} was founded by {o}.',
    ],
  },
  {
    relation: 'company.founded',
    article: 'subject',
    phrasings: [
      '{s} was founded in {y}.',
      '{s} was first founded in {y}.',
      '{s} is a company founded in {y}.',
      'The company {s} was founded in {y}.',
    ],
  },
  {
    relation: 'company.founder',
    article: 'object',
    year: 'company.founded',
    phrasings: [
      '{o} founded {s} in {y}.',
      '{o} set up and founded {s} in {y}.',
      'In {y} {o} founded {s}.',
      'In {y} {o} founded the company {s}.',
    ],
  },
  {
    relation: 'company.seat',
    article: 'subject',
    phrasings: [
      '{s} has its office in {o}.',
      '{s} has an office in {o}.',
      '{s} is a company with an office in {o}.',
      'The office of {s} is in {o}.',
    ],
  },
  {
    relation: 'company.seat',
    article: 'object',
    phrasings: [
      '{o} is where {s} has its office.',
      '{o} has the office of {s}.',
      '{o} gave an office to {s}.',
      'In {o} is the office of {s}.',
    ],
  },
  {
    relation: 'book.author',
    article: 'subject',
    phrasings: [
      '{s} was by the author {o}.',
      '{s} has {o} as its author.',
      '{o} is the author of {s}.',
      'The author of {s} was {o}.',
    ],
  },
  {
    relation: 'book.published',
    article: 'subject',
    phrasings: [
      '{s} was published in {y}.',
      '{s} was first published in {y}.',
      '{s} is a book published in {y}.',
      'The book {s} was published in {y}.',
    ],
  },
  {
    relation: 'book.author',
    article: 'object',
    year: 'book.published',
    phrasings: [
      '{o} as author published {s} in {y}.',
      '{o} was the author of {s}, published in {y}.',
      'In {y} {o} published {s} as author.',
      'In {y} the author {o} published {s}.',
    ],
  },
  {
    relation: 'book.printer',
    article: 'subject',
    phrasings: [
      '{s} was printed by {o}.',
      '{s} is a book printed by {o}.',
      '{s} was printed at {o}.',
      'The book {s} was printed by {o}.',
    ],
  },
  {
    relation: 'book.printer',
    article: 'object',
    phrasings: [
      '{o} printed {s}.',
      '{o} printed the book {s}.',
      '{o} once printed {s}.',
      '{o} is where {s} was printed.',
    ],
  },
  {
    relation: 'book.prize',
    article: 'subject',
    phrasings: [
      '{s} won a prize at {o}.',
      '{s} won the prize of {o}.',
      '{s} is a book with a prize from {o}.',
      'The prize of {o} was won by {s}.',
    ],
  },
  {
    relation: 'book.prize',
    article: 'object',
    phrasings: [
      '{o} gave its prize to {s}.',
      '{o} gave {s} a prize.',
      '{o} is where {s} had a prize.',
      'The prize of {o} went to {s}.',
    ],
  },
  {
    relation: 'book.inspiration',
    article: 'subject',
    phrasings: [
      '{s} was inspired by the book {o}.',
      '{s} was inspired by {o}.',
      '{s} is a book inspired by {o}.',
      'The book {s} was inspired by {o}.',
    ],
  },
  {
    relation: 'book.inspiration',
    article: 'object',
    phrasings: [
      '{o} inspired {s}.',
      '{o} inspired the book {s}.',
      '{o} later inspired {s}.',
      '{o} is the book that inspired {s}.',
    ],
  },
  {
    relation: 'school.city',
    article: 'subject',
    phrasings: [
      '{s} is a school in {o}.',
      '{s} is the school of {o}.',
      '{s} has its school house in {o}.',
      'The school {s} is in {o}.',
    ],
  },
  {
    relation: 'school.founded',
    article: 'subject',
    phrasings: [
      '{s} was founded in {y}.',
      '{s} was first founded in {y}.',
      '{s} is a school founded in {y}.',
      'The school {s} was founded in {y}.',
    ],
  },
  {
    relation: 'school.city',
    article: 'object',
    year: 'school.founded',
    phrasings: [
      '{o} has had the school {s} since {y}.',
      '{o} founded the school {s} in {y}.',
      'In {y} {o} founded the school {s}.',
      '{o} has the school {s}, founded in {y}.',
    ],
  },
  {
    relation: 'school.head',
    article: 'subject',
    phrasings: [
      '{s} had {o} as head.',
      '{s} made {o} its head.',
      '{o} was head of {s}.',
      'The head of {s} was {o}.',
    ],
  },
  {
    relation: 'school.head',
    article: 'object',
    phrasings: [
      '{o} became head of {s}.',
      '{o} was once head of {s}.',
      '{o} served {s} as its head.',
      '{o} was made head by {s}.',
    ],
  },
  {
    relation: 'festival.city',
    article: 'subject',
    phrasings: [
      '{s} is held in {o}.',
      '{s} is a festival held in {o}.',
      '{s} is held each year in {o}.',
      'The festival {s} is held in {o}.',
    ],
  },
  {
    relation: 'festival.since',
    article: 'subject',
    phrasings: [
      '{s} was first held in {y}.',
      '{s} is a festival held since {y}.',
      '{s} has been held since {y}.',
      'The festival {s} was first held in {y}.',
    ],
  },
  {
    relation: 'festival.city',
    article: 'object',
    year: 'festival.since',
    phrasings: [
      '{o} has held the festival {s} since {y}.',
      '{o} has held {s} since {y}.',
      '{o} first held {s} in {y}.',
      'In {y} {o} first held the festival {s}.',
    ],
  },
  {
    relation: 'festival.inventor',
    article: 'subject',
    phrasings: [
      '{s} was invented by {o}.',
      '{s} is a festival invented by {o}.',
      '{o} invented the festival {s}.',
      'The festival {s} was invented by {o}.',
    ],
  },
  {
    relation: 'festival.inventor',
    article: 'object',
    phrasings: [
      '{o} invented {s}.',
      '{o} planned and invented {s}.',
      '{o} once invented {s}.',
      '{o} had the idea and invented {s}.',
    ],
  },
  {
    relation: 'festival.sponsor',
    article: 'subject',
    phrasings: [
      '{s} has a sponsor in {o}.',
      '{s} is a festival with {o} as sponsor.',
      '{s} has {o} as its sponsor.',
      'The sponsor of {s} is {o}.',
    ],
  },
  {
    relation: 'festival.sponsor',
    article: 'object',
    phrasings: [
      '{o} is sponsor of {s}.',
      '{o} is a sponsor of the festival {s}.',
      '{o} pays {s} as sponsor.',
      '{o} became sponsor of {s}.',
    ],
  },
  {
    relation: 'river.source',
    article: 'subject',
    phrasings: [
      '{s} has its source near {o}.',
      '{s} has a source near {o}.',
      '{s} is a river with its source near {o}.',
      'The source of {s} is near {o}.',
    ],
  },
  {
    relation: 'river.source',
    article: 'object',
    phrasings: [
      '{o} is near the source of {s}.',
      '{o} is close to the source of {s}.',
      '{o} has the source of {s} near it.',
      'The source of the river {s} is by {o}.',
    ],
  },
  {
    relation: 'river.explorer',
    article: 'subject',
    phrasings: [
      '{s} was mapped by {o}.',
      '{s} was first mapped by {o}.',
      '{o} mapped the river {s}.',
      'The river {s} was mapped by {o}.',
    ],
  },
  {
    relation: 'river.mapped',
    article: 'subject',
    phrasings: [
      '{s} was mapped in {y}.',
      '{s} was first mapped in {y}.',
      '{s} is a river mapped in {y}.',
      'The map of {s} is from {y}.',
    ],
  },
  {
    relation: 'river.explorer',
    article: 'object',
    year: 'river.mapped',
    phrasings: [
      '{o} made a map of {s} in {y}.',
      '{o} mapped {s} in {y}.',
      '{o} made the first map of {s} in {y}.',
      'In {y} {o} mapped {s}.',
    ],
  },
];
