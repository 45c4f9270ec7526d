// How facts are put into words: in the article of their subject, and differently in that of their object.
import type { RelationName } from './relations.ts';

/** One way to state a fact: where it stands, what else it says, and the phrasings to choose from. */
export interface SentenceForm {
  readonly relation: RelationName;
  /** In whose article the sentence stands. */
  readonly article: 'subject' | 'object';
  /** A year relation of the same subject that the sentence states too, as `{y}`. */
  readonly year?: RelationName;
  /** `{s}` subject, `{o}` object, `{y}` year; `{list}` joins all subjects of one object. */
  readonly phrasings: readonly string[];
}

export const sentenceForms: readonly SentenceForm[] = [
  {
    relation: 'person.birthplace',
    article: 'subject',
    year: 'person.birthYear',
    phrasings: [
      '{s} was born in {o} in {y}.',
      '{s} came from {o} and was born in {y}.',
      '{s}, a native of {o}, was born in {y}.',
      'In {y} {s} was born in {o}.',
    ],
  },
  {
    relation: 'person.birthplace',
    article: 'object',
    phrasings: [
      '{o} is the birthplace of {list}.',
      '{o} counts {list} among its natives.',
      '{o} is the native city of {list}.',
      'The birthplace register of {o} lists {list}.',
    ],
  },
  {
    relation: 'person.school',
    article: 'subject',
    phrasings: [
      '{s} was a student of {o}.',
      '{s} became a student at {o}.',
      '{s} studied at the school {o}.',
      '{s} studied for years at {o}.',
    ],
  },
  {
    relation: 'person.school',
    article: 'object',
    year: 'person.birthYear',
    phrasings: [
      '{o} taught the student {s}, born in {y}.',
      '{o} trained {s}, who was born in {y}.',
      '{o} had the student {s}, born in {y}.',
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
      'The spouse of {s} was {o}.',
    ],
  },
  {
    relation: 'person.spouse',
    article: 'object',
    phrasings: [
      '{o} became the partner of {s}.',
      '{o} chose {s} as partner.',
      '{o} shared a home with partner {s}.',
      '{o} held a wedding with {s}.',
    ],
  },
  {
    relation: 'person.employer',
    article: 'subject',
    phrasings: [
      '{s} worked for {o}.',
      '{s} worked at the company {o}.',
      '{s} found work at {o}.',
      '{s} had a job at {o}.',
    ],
  },
  {
    relation: 'person.employer',
    article: 'object',
    phrasings: [
      '{o} gave work to {s}.',
      '{o} hired {s}, who worked hard.',
      '{o} paid {s} for good work.',
      'The staff of {o} included {s}.',
    ],
  },
  {
    relation: 'city.founded',
    article: 'subject',
    phrasings: [
      '{s} was founded in {y}.',
      '{s} was built in {y}.',
      '{s} was founded by settlers in {y}.',
      'The history of {s} began in {y}.',
    ],
  },
  {
    relation: 'city.river',
    article: 'subject',
    phrasings: [
      '{s} lies on the river {o}.',
      '{s} stands beside the river {o}.',
      'The river {o} flows through {s}.',
      'The bridges of {s} cross the river {o}.',
    ],
  },
  {
    relation: 'city.river',
    article: 'object',
    year: 'city.founded',
    phrasings: [
      '{o} runs past the city {s}, founded in {y}.',
      'The river {o} waters {s}, built in {y}.',
      'The banks of {o} hold {s}, founded in {y}.',
      'The river {o} reaches {s}, founded in {y}.',
    ],
  },
  {
    relation: 'city.mayor',
    article: 'subject',
    phrasings: [
      '{o} was mayor of {s}.',
      '{s} elected {o} as mayor.',
      '{s} chose {o} to lead its council.',
      'The mayor of {s} was {o}.',
    ],
  },
  {
    relation: 'city.mayor',
    article: 'object',
    phrasings: [
      '{o} governed the city {s} as mayor.',
      '{o} held office as mayor in {s}.',
      '{o} ran the town hall of {s}.',
      '{o} led the citizens of {s} as mayor.',
    ],
  },
  {
    relation: 'company.founder',
    article: 'subject',
    phrasings: [
      '{s} was started by {o}.',
      '{s} had {o} as its founder.',
      '{o} founded the company {s}.',
      'The founder of {s} was {o}.',
    ],
  },
  {
    relation: 'company.founded',
    article: 'subject',
    phrasings: [
      '{s} opened for business in {y}.',
      '{s} was founded in {y}.',
      '{s} made its first sale in {y}.',
      'The company {s} was opened in {y}.',
    ],
  },
  {
    relation: 'company.founder',
    article: 'object',
    year: 'company.founded',
    phrasings: [
      '{o} set up the firm {s} in {y}.',
      '{o} founded the firm {s} in {y}.',
      'In {y} {o} opened the firm {s}.',
      '{o} began the business {s} in {y}.',
    ],
  },
  {
    relation: 'company.seat',
    article: 'subject',
    phrasings: [
      '{s} has its main office in {o}.',
      '{s} is based in {o}.',
      '{s} keeps its head office in {o}.',
      'The office of {s} is in {o}.',
    ],
  },
  {
    relation: 'company.seat',
    article: 'object',
    phrasings: [
      '{o} is home to the office of {s}.',
      '{o} rents an office to {s}.',
      '{o} houses the company {s}.',
      '{o} gives the office of {s} its address.',
    ],
  },
  {
    relation: 'book.author',
    article: 'subject',
    phrasings: [
      '{s} was written by {o}.',
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
      '{s} first appeared in {y}.',
      '{s} came out in {y}.',
      'The book {s} was published in {y}.',
    ],
  },
  {
    relation: 'book.author',
    article: 'object',
    year: 'book.published',
    phrasings: [
      '{o} wrote the book {s} in {y}.',
      '{o} published the novel {s} in {y}.',
      'In {y} {o} became the author of {s}.',
      '{o} as author published {s} in {y}.',
    ],
  },
  {
    relation: 'book.publisher',
    article: 'subject',
    phrasings: [
      '{s} was printed by {o}.',
      '{s} was issued by the company {o}.',
      '{s} was a book printed at {o}.',
      'The publisher of {s} was {o}.',
    ],
  },
  {
    relation: 'book.publisher',
    article: 'object',
    phrasings: [
      '{o} printed {list}.',
      '{o} is the publisher of {list}.',
      '{o} printed and sold {list}.',
      'The catalogue of {o} includes {list}.',
    ],
  },
  {
    relation: 'book.prize',
    article: 'subject',
    phrasings: [
      '{s} won a prize at {o}.',
      '{s} was honoured at the festival {o}.',
      '{s} took the main prize of {o}.',
      'The jury of {o} praised {s}.',
    ],
  },
  {
    relation: 'book.prize',
    article: 'object',
    phrasings: [
      '{o} gave its prize to {list}.',
      '{o} awarded a prize to {list}.',
      '{o} rewarded {list}.',
      'The prize of {o} went to {list}.',
    ],
  },
  {
    relation: 'book.inspiration',
    article: 'subject',
    phrasings: [
      '{s} was inspired by the book {o}.',
      '{s} takes its plot from {o}.',
      '{s} follows the plot of {o}.',
      'The model for {s} was {o}.',
    ],
  },
  {
    relation: 'book.inspiration',
    article: 'object',
    phrasings: [
      '{o} inspired the later book {s}.',
      '{o} gave its plot to {s}.',
      '{o} was the model for {s}.',
      '{o} inspired the story of {s}.',
    ],
  },
  {
    relation: 'school.city',
    article: 'subject',
    phrasings: [
      '{s} is a school in {o}.',
      '{s} stands in {o}.',
      '{s} has its classrooms in {o}.',
      'The school {s} is found in {o}.',
    ],
  },
  {
    relation: 'school.founded',
    article: 'subject',
    phrasings: [
      '{s} was founded in {y}.',
      '{s} opened its doors in {y}.',
      '{s} held its first class in {y}.',
      'The lessons of {s} began in {y}.',
    ],
  },
  {
    relation: 'school.city',
    article: 'object',
    year: 'school.founded',
    phrasings: [
      '{o} has had the school {s} since {y}.',
      '{o} opened the school {s} in {y}.',
      '{o} built the school {s} in {y}.',
      'In {y} {o} founded the school {s}.',
    ],
  },
  {
    relation: 'school.head',
    article: 'subject',
    phrasings: [
      '{s} was led by {o}.',
      '{s} made {o} its head.',
      '{o} was head of {s}.',
      'The principal of {s} was {o}.',
    ],
  },
  {
    relation: 'school.head',
    article: 'object',
    phrasings: [
      '{o} became head of the school {s}.',
      '{o} was in charge of {s}.',
      '{o} managed {s} as its head.',
      '{o} led lessons at {s} as principal.',
    ],
  },
  {
    relation: 'festival.city',
    article: 'subject',
    phrasings: [
      '{s} takes place in {o}.',
      '{s} is a festival in {o}.',
      '{s} fills the streets of {o}.',
      'The festival {s} is held in {o}.',
    ],
  },
  {
    relation: 'festival.since',
    article: 'subject',
    phrasings: [
      '{s} was first held in {y}.',
      '{s} began in {y}.',
      '{s} has been held since {y}.',
      '{s} first filled halls in {y}.',
    ],
  },
  {
    relation: 'festival.city',
    article: 'object',
    year: 'festival.since',
    phrasings: [
      '{o} has hosted the festival {s} since {y}.',
      '{o} first held the festival {s} in {y}.',
      '{o} first celebrated {s} in {y}.',
      'Since {y} the festival {s} visits {o}.',
    ],
  },
  {
    relation: 'festival.founder',
    article: 'subject',
    phrasings: [
      '{s} was founded by {o}.',
      '{s} was the idea of {o}.',
      '{o} invented the festival {s}.',
      'The founder of {s} was {o}.',
    ],
  },
  {
    relation: 'festival.founder',
    article: 'object',
    phrasings: [
      '{o} founded the festival {s}.',
      '{o} had the idea for {s}.',
      '{o} planned {s} as its founder.',
      '{o} created the festival {s}.',
    ],
  },
  {
    relation: 'festival.sponsor',
    article: 'subject',
    phrasings: [
      '{s} is paid for by {o}.',
      '{s} is sponsored by {o}.',
      '{s} has {o} as its sponsor.',
      'The sponsor of {s} is {o}.',
    ],
  },
  {
    relation: 'festival.sponsor',
    article: 'object',
    phrasings: [
      '{o} is sponsor of the festival {s}.',
      '{o} spends a fortune on {s}.',
      '{o} funds {s} as a sponsor.',
      '{o} sponsored the festival {s}.',
    ],
  },
  {
    relation: 'river.source',
    article: 'subject',
    phrasings: [
      '{s} rises near {o}.',
      '{s} has its source near {o}.',
      '{s} springs from hills near {o}.',
      'The source of {s} is near {o}.',
    ],
  },
  {
    relation: 'river.source',
    article: 'object',
    phrasings: [
      '{o} overlooks the source of {s}.',
      'The river {s} begins at {o}.',
      '{o} feeds the source of {s}.',
      'The young river {s} leaves {o}.',
    ],
  },
  {
    relation: 'river.explorer',
    article: 'subject',
    phrasings: [
      '{s} was explored by {o}.',
      '{s} was first mapped by {o}.',
      '{o} mapped the river {s}.',
      'The explorer of {s} was {o}.',
    ],
  },
  {
    relation: 'river.mapped',
    article: 'subject',
    phrasings: [
      '{s} was mapped in {y}.',
      '{s} appeared on maps in {y}.',
      '{s} is shown on maps since {y}.',
      'The first map of {s} dates from {y}.',
    ],
  },
  {
    relation: 'river.explorer',
    article: 'object',
    year: 'river.mapped',
    phrasings: [
      '{o} drew a map of {s} in {y}.',
      '{o} explored {s} in {y}.',
      '{o} made maps of the river {s} in {y}.',
      'In {y} {o} explored the river {s}.',
    ],
  },
];
