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
      '{o} was the first home of {list}.',
      'The birth register of {o} lists {list}.',
    ],
  },
  {
    relation: 'person.school',
    article: 'subject',
    phrasings: [
      '{s} studied at {o}.',
      '{s} was a student of {o}.',
      '{s} took lessons at the school {o}.',
      '{s} learned to read at {o}.',
    ],
  },
  {
    relation: 'person.school',
    article: 'object',
    year: 'person.birthYear',
    phrasings: [
      '{o} taught {s}, born in {y}.',
      '{o} trained {s}, whose birth was in {y}.',
      'A graduate of {o} is {s}, born in {y}.',
      'Pupils of {o} included {s}, born in {y}.',
    ],
  },
  {
    relation: 'person.spouse',
    article: 'subject',
    phrasings: [
      '{s} married {o}.',
      '{s} was married to {o}.',
      'The spouse of {s} was {o}.',
      '{s} and {o} were a married couple.',
    ],
  },
  {
    relation: 'person.spouse',
    article: 'object',
    phrasings: [
      '{o} held a wedding with {s}.',
      '{o} became the partner of {s}.',
      '{o} shared a home with {s}.',
      '{o} wed {s} in the spring.',
    ],
  },
  {
    relation: 'person.employer',
    article: 'subject',
    phrasings: [
      '{s} worked for {o}.',
      '{s} had a job at {o}.',
      '{s} earned a living at {o}.',
      '{s} was employed by the company {o}.',
    ],
  },
  {
    relation: 'person.employer',
    article: 'object',
    phrasings: [
      '{o} hired {s}.',
      '{o} gave work to {s}.',
      '{o} paid a salary to {s}.',
      'The staff of {o} included {s}.',
    ],
  },
  {
    relation: 'city.founded',
    article: 'subject',
    phrasings: [
      '{s} was founded in {y}.',
      '{s} dates from the year {y}.',
      'Settlers built {s} in {y}.',
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
      'The bridges of {s} cross the {o}.',
    ],
  },
  {
    relation: 'city.river',
    article: 'object',
    year: 'city.founded',
    phrasings: [
      '{o} runs past {s}, a city since {y}.',
      '{o} waters the city {s}, built in {y}.',
      'The banks of {o} hold {s}, settled in {y}.',
      '{o} reaches {s}, started in {y}.',
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
      '{o} governed the city {s}.',
      '{o} ran the town hall of {s}.',
      '{o} held the highest office in {s}.',
      '{o} led the citizens of {s}.',
    ],
  },
  {
    relation: 'company.founder',
    article: 'subject',
    phrasings: [
      '{s} was started by {o}.',
      '{s} owes its start to {o}.',
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
      'The first year of {s} was {y}.',
    ],
  },
  {
    relation: 'company.founder',
    article: 'object',
    year: 'company.founded',
    phrasings: [
      '{o} set up the firm {s} in {y}.',
      '{o} created {s} in {y}.',
      'In {y} {o} launched {s}.',
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
      'The seat of {s} is in {o}.',
    ],
  },
  {
    relation: 'company.seat',
    article: 'object',
    phrasings: [
      '{o} is home to the company {s}.',
      '{o} collects taxes from the firm {s}.',
      '{o} gives the firm {s} its address.',
      'The firm {s} runs from {o}.',
    ],
  },
  {
    relation: 'book.author',
    article: 'subject',
    phrasings: [
      '{s} was written by {o}.',
      '{s} is a novel by {o}.',
      '{o} is the author of {s}.',
      'The writer of {s} was {o}.',
    ],
  },
  {
    relation: 'book.published',
    article: 'subject',
    phrasings: [
      '{s} was published in {y}.',
      '{s} first appeared in {y}.',
      '{s} came out in {y}.',
      'Readers first saw {s} in {y}.',
    ],
  },
  {
    relation: 'book.author',
    article: 'object',
    year: 'book.published',
    phrasings: [
      '{o} wrote the book {s} in {y}.',
      '{o} gave the world {s} in {y}.',
      'In {y} {o} released the book {s}.',
      '{o} brought out the novel {s} in {y}.',
    ],
  },
  {
    relation: 'book.publisher',
    article: 'subject',
    phrasings: [
      '{s} was printed by {o}.',
      '{s} was issued by the company {o}.',
      '{s} reached shops through {o}.',
      'The publisher of {s} was {o}.',
    ],
  },
  {
    relation: 'book.publisher',
    article: 'object',
    phrasings: [
      '{o} published {list}.',
      '{o} brought {list} to readers.',
      '{o} sold copies of {list}.',
      'The catalogue of {o} includes {list}.',
    ],
  },
  {
    relation: 'book.prize',
    article: 'subject',
    phrasings: [
      '{s} won a prize at {o}.',
      '{s} was honoured at the festival {o}.',
      '{s} took an award at {o}.',
      'The jury of {o} praised {s}.',
    ],
  },
  {
    relation: 'book.prize',
    article: 'object',
    phrasings: [
      '{o} gave its medal to {list}.',
      '{o} crowned the work {list}.',
      '{o} rewarded {list}.',
      'Winners at {o} include {list}.',
    ],
  },
  {
    relation: 'book.inspiration',
    article: 'subject',
    phrasings: [
      '{s} was inspired by the book {o}.',
      '{s} takes its plot from {o}.',
      '{s} follows the ideas of {o}.',
      'The model for {s} was {o}.',
    ],
  },
  {
    relation: 'book.inspiration',
    article: 'object',
    phrasings: [
      '{o} influenced the later book {s}.',
      '{o} shaped the story of {s}.',
      '{o} was copied in part by {s}.',
      'Without {o} there would be no {s}.',
    ],
  },
  {
    relation: 'school.city',
    article: 'subject',
    phrasings: [
      '{s} is a school in {o}.',
      '{s} stands in {o}.',
      '{s} has its classrooms in {o}.',
      'Students travel to {o} to attend {s}.',
    ],
  },
  {
    relation: 'school.founded',
    article: 'subject',
    phrasings: [
      '{s} was founded in {y}.',
      '{s} opened its doors in {y}.',
      '{s} held its first class in {y}.',
      'Lessons at {s} began in {y}.',
    ],
  },
  {
    relation: 'school.city',
    article: 'object',
    year: 'school.founded',
    phrasings: [
      '{o} has had the school {s} since {y}.',
      '{o} opened the school {s} in {y}.',
      '{o} built {s} for its children in {y}.',
      'In {y} {o} gained the school {s}.',
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
      '{o} ran the school {s}.',
      '{o} was in charge of {s}.',
      '{o} managed the teachers of {s}.',
      '{o} directed lessons at {s}.',
    ],
  },
  {
    relation: 'festival.city',
    article: 'subject',
    phrasings: [
      '{s} takes place in {o}.',
      '{s} is a festival in {o}.',
      '{s} fills the streets of {o}.',
      'Visitors come to {o} for {s}.',
    ],
  },
  {
    relation: 'festival.since',
    article: 'subject',
    phrasings: [
      '{s} was first held in {y}.',
      '{s} began in {y}.',
      '{s} has been held since {y}.',
      'Music first played at {s} in {y}.',
    ],
  },
  {
    relation: 'festival.city',
    article: 'object',
    year: 'festival.since',
    phrasings: [
      '{o} has hosted {s} since {y}.',
      '{o} first welcomed the festival {s} in {y}.',
      '{o} started to celebrate {s} in {y}.',
      'Since {y} guests visit {o} for {s}.',
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
      '{o} organised the first {s}.',
      '{o} created the festival {s}.',
      '{o} planned {s} for the public.',
      '{o} thought up the feast {s}.',
    ],
  },
  {
    relation: 'festival.sponsor',
    article: 'subject',
    phrasings: [
      '{s} is paid for by {o}.',
      '{s} is sponsored by {o}.',
      '{s} gets its money from {o}.',
      'The sponsor of {s} is {o}.',
    ],
  },
  {
    relation: 'festival.sponsor',
    article: 'object',
    phrasings: [
      '{o} supports the festival {s}.',
      '{o} spends a fortune on {s}.',
      '{o} funds {s} every year.',
      '{o} backs the festival {s}.',
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
      '{o} overlooks the start of {s}.',
      'The river {s} begins at {o}.',
      'Rain over {o} feeds the river {s}.',
      'The young river {s} leaves {o}.',
    ],
  },
  {
    relation: 'river.explorer',
    article: 'subject',
    phrasings: [
      '{s} was explored by {o}.',
      '{s} was first charted by {o}.',
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
      'Maps show {s} since {y}.',
      'The first map of {s} dates from {y}.',
    ],
  },
  {
    relation: 'river.explorer',
    article: 'object',
    year: 'river.mapped',
    phrasings: [
      '{o} drew a map of {s} in {y}.',
      '{o} travelled along {s} in {y}.',
      '{o} measured the river {s} in {y}.',
      'In {y} {o} surveyed the river {s}.',
    ],
  },
];
