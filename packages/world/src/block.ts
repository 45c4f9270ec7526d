// One block of the world: its entities and every fact about them, from (seed, split, block) alone.
import { RandomStream } from '@masksearch/core';
import type { EntityNames } from './entity-names.ts';
import { aliasesOf, BLOCK_ARTICLES, kindsOfBlock, KINDS, type Kind } from './kinds.ts';
import type { RelationName } from './relations.ts';
import type { Split } from './words.ts';

/** Something that has an article of its own. */
export interface Entity {
  readonly documentId: string;
  readonly kind: Kind;
  readonly name: string;
  readonly aliases: readonly string[];
}

/** `relation` holds between `subject` and `object`; a number is a year. */
export interface Fact {
  readonly subject: Entity;
  readonly relation: RelationName;
  readonly object: Entity | number;
}

export interface Block {
  readonly index: number;
  /** In article order. */
  readonly entities: readonly Entity[];
  readonly facts: readonly Fact[];
}

export interface BlockRequest {
  readonly seed: number;
  readonly split: Split;
  readonly names: EntityNames;
  readonly index: number;
  /** Articles of this block: BLOCK_ARTICLES, or up to one less than twice that in the last one. */
  readonly size: number;
}

/** The block of this index. */
export function buildBlock(request: BlockRequest): Block {
  const { seed, split, index } = request;
  const entities = entitiesOf(request);
  const facts = new FactMaker(entities, new RandomStream(seed, 'world', split, 'block', index));
  return { index, entities, facts: facts.make() };
}

function entitiesOf({ seed, split, names, index, size }: BlockRequest): Entity[] {
  const kinds = kindsOfBlock(size);
  const name = blockNames(kinds, names, index);
  const counters = new Map<Kind, number>();
  return kinds.map((kind, place) => {
    const number = counters.get(kind) ?? 0;
    counters.set(kind, number + 1);
    const entityName = name(kind, number);
    return {
      documentId: `world:${split}:${seed}:${index * BLOCK_ARTICLES + place}`,
      kind,
      name: entityName,
      aliases: aliasesOf(kind, entityName),
    };
  });
}

/** Numbers that a block uses up, per class of names; the last block may use more, nobody follows it. */
const full = countKinds(kindsOfBlock(BLOCK_ARTICLES));
const PERSON_PAIRS_PER_BLOCK = Math.ceil(full.person / 2);
const THING_KINDS: readonly Kind[] = ['book', 'company', 'school', 'festival'];
const THING_PAIRS_PER_BLOCK = THING_KINDS.reduce((sum, kind) => sum + Math.ceil(full[kind] / 2), 0);
const PLACES_PER_BLOCK = full.city + full.river;

function countKinds(kinds: readonly Kind[]): Record<Kind, number> {
  const counts = Object.fromEntries(KINDS.map((kind) => [kind, 0])) as Record<Kind, number>;
  for (const kind of kinds) counts[kind]++;
  return counts;
}

/** Entities 2n and 2n+1 of a kind share a word of their name: near misses with equal relations. */
function blockNames(
  kinds: readonly Kind[],
  names: EntityNames,
  block: number,
): (kind: Kind, number: number) => string {
  const counts = countKinds(kinds);
  const firstPair = new Map<Kind, number>();
  let pair = block * THING_PAIRS_PER_BLOCK;
  for (const kind of THING_KINDS) {
    firstPair.set(kind, pair);
    pair += Math.ceil(counts[kind] / 2);
  }
  return (kind, number) => {
    const half = Math.floor(number / 2);
    if (kind === 'person') return names.person(block * PERSON_PAIRS_PER_BLOCK + half, number % 2);
    const first = firstPair.get(kind);
    if (first !== undefined) return names.thing(first + half, number % 2);
    return names.place(
      block * PLACES_PER_BLOCK + (kind === 'city' ? number : counts.city + number),
    );
  };
}

/** Draws the facts of one block; each method covers one kind. */
class FactMaker {
  readonly #stream: RandomStream;
  readonly #byKind = new Map<Kind, Entity[]>();
  readonly #facts: Fact[] = [];
  readonly #birthYears = new Map<Entity, number>();
  readonly #personDeck: readonly Entity[];
  readonly #cityDeck: readonly Entity[];
  #dealtPersons = 0;
  #dealtCities = 0;

  constructor(entities: readonly Entity[], stream: RandomStream) {
    this.#stream = stream;
    for (const kind of KINDS) {
      this.#byKind.set(
        kind,
        entities.filter((entity) => entity.kind === kind),
      );
    }
    this.#personDeck = stream.shuffled(this.#all('person'));
    this.#cityDeck = stream.shuffled(this.#all('city'));
  }

  make(): Fact[] {
    this.#persons();
    this.#cities();
    this.#companies();
    this.#books();
    this.#schools();
    this.#festivals();
    this.#rivers();
    return this.#facts;
  }

  #persons(): void {
    const persons = this.#stream.shuffled(this.#all('person'));
    for (let p = 0; p < persons.length; p += 2) {
      const couple = persons.slice(p, p + 2) as [Entity, Entity?];
      const generation = this.#between(1600, 1950);
      for (const person of couple) {
        if (person) this.#birthYears.set(person, generation + this.#between(0, 15));
      }
      if (couple[1]) this.#add(couple[0], 'person.spouse', couple[1]);
    }
    for (const [person, year] of this.#birthYears) this.#add(person, 'person.birthYear', year);
    this.#assign('person', 'person.birthplace', 'city', 2);
    this.#assign('person', 'person.school', 'school', 4);
  }

  #cities(): void {
    this.#assign('city', 'city.river', 'river', 3);
    for (const city of this.#all('city')) {
      this.#add(city, 'city.founded', this.#between(1000, 1590));
      this.#add(city, 'city.mayor', this.#nextPerson());
    }
  }

  #companies(): void {
    const candidates = this.#stream.shuffled(this.#all('person'));
    for (const company of this.#all('company')) {
      this.#add(company, 'company.seat', this.#nextCity());
      const founder = this.#nextPerson();
      this.#add(company, 'company.founder', founder);
      this.#add(company, 'company.founded', this.#yearInLifeOf(founder));
      const employee = candidates.find((candidate) => candidate !== founder) as Entity;
      candidates.splice(candidates.indexOf(employee), 1);
      this.#add(employee, 'person.employer', company);
    }
  }

  #books(): void {
    this.#assign('book', 'book.printer', 'company', 2);
    this.#assign('book', 'book.prize', 'festival', 3);
    const books = this.#stream.shuffled(this.#all('book'));
    for (const [b, book] of books.entries()) {
      const author = this.#nextPerson();
      this.#add(book, 'book.author', author);
      this.#add(book, 'book.published', this.#yearInLifeOf(author));
      this.#add(book, 'book.inspiration', books[(b + 1) % books.length] as Entity);
    }
  }

  #schools(): void {
    for (const school of this.#all('school')) {
      this.#add(school, 'school.city', this.#nextCity());
      this.#add(school, 'school.founded', this.#between(1300, 1590));
      this.#add(school, 'school.head', this.#nextPerson());
    }
  }

  #festivals(): void {
    this.#assign('festival', 'festival.sponsor', 'company', 1);
    for (const festival of this.#all('festival')) {
      this.#add(festival, 'festival.city', this.#nextCity());
      const founder = this.#nextPerson();
      this.#add(festival, 'festival.inventor', founder);
      this.#add(festival, 'festival.since', this.#yearInLifeOf(founder));
    }
  }

  #rivers(): void {
    for (const river of this.#all('river')) {
      this.#add(river, 'river.source', this.#nextCity());
      const explorer = this.#nextPerson();
      this.#add(river, 'river.explorer', explorer);
      this.#add(river, 'river.mapped', this.#yearInLifeOf(explorer));
    }
  }

  /** Gives every `subjectKind` one object; every object first gets one, then at most `most`. */
  #assign(subjectKind: Kind, relation: RelationName, objectKind: Kind, most: number): void {
    const subjects = this.#all(subjectKind);
    const objects = this.#stream.shuffled(this.#all(objectKind));
    const rounds = Math.max(most, Math.ceil(subjects.length / objects.length));
    const more = Array.from({ length: rounds - 1 }, () => objects).flat();
    const deck = [...objects, ...this.#stream.shuffled(more)].slice(0, subjects.length);
    for (const [s, object] of this.#stream.shuffled(deck).entries()) {
      this.#add(subjects[s] as Entity, relation, object);
    }
  }

  /** Persons in a fixed order, again and again, so that everybody has about as many roles. */
  #nextPerson(): Entity {
    return this.#personDeck[this.#dealtPersons++ % this.#personDeck.length] as Entity;
  }

  /** Cities, dealt likewise. */
  #nextCity(): Entity {
    return this.#cityDeck[this.#dealtCities++ % this.#cityDeck.length] as Entity;
  }

  #yearInLifeOf(person: Entity): number {
    return (this.#birthYears.get(person) as number) + this.#between(20, 50);
  }

  /** Uniform in low..high, both included. */
  #between(low: number, high: number): number {
    return low + this.#stream.below(high - low + 1);
  }

  #all(kind: Kind): readonly Entity[] {
    return this.#byKind.get(kind) as Entity[];
  }

  #add(subject: Entity, relation: RelationName, object: Entity | number): void {
    this.#facts.push({ subject, relation, object });
  }
}
