// The generated encyclopedia: a stream of articles and of facts, block by block in bounded memory.
import { ConfigError, type Document } from '@masksearch/core';
import { writeArticles, type Article, type Statement } from './article.ts';
import { buildBlock, type Block, type Entity, type Fact } from './block.ts';
import { EntityNames } from './entity-names.ts';
import { BLOCK_ARTICLES, type Kind } from './kinds.ts';
import type { RelationName } from './relations.ts';
import type { Split } from './words.ts';

export const MIN_ARTICLES = 100;
export const MAX_ARTICLES = 1_000_000;

/** Which world. Equal options give equal worlds on every machine. */
export interface WorldOptions {
  readonly seed: number;
  /** MIN_ARTICLES to MAX_ARTICLES. */
  readonly articles: number;
  /** The two splits share no word of any name, whatever their seeds. */
  readonly split: Split;
}

/** Something that is true in the world, and every place that says so. */
export interface WorldFact {
  readonly subject: { readonly documentId: string; readonly name: string; readonly kind: Kind };
  readonly relation: RelationName;
  /** `documentId` is null for years. */
  readonly object: { readonly documentId: string | null; readonly text: string };
  /** At least two, in different articles and different words. */
  readonly statements: readonly Statement[];
}

/** A block written out. */
export interface WrittenBlock {
  readonly articles: readonly Article[];
  /** Where each fact of the block is stated. */
  readonly statements: ReadonlyMap<Fact, readonly Statement[]>;
}

/** How many blocks a `World` remembers; one takes about 30 kB. */
const CACHED_BLOCKS = 1024;

/** Random access to the blocks of one world. @throws {ConfigError} an option is out of range. */
export class World {
  readonly blockCount: number;
  readonly #options: WorldOptions;
  readonly #names: EntityNames;
  readonly #cache = new Map<number, Block>();

  constructor(options: WorldOptions) {
    checkOptions(options);
    this.#options = options;
    this.blockCount = Math.floor(options.articles / BLOCK_ARTICLES);
    this.#names = new EntityNames(options.seed, options.split);
  }

  /** Block `index`, 0 to blockCount-1. The last one also holds the articles that fill no block. */
  block(index: number): Block {
    const cached = this.#cache.get(index);
    if (cached) return cached;
    const { seed, split, articles } = this.#options;
    const isLast = index === this.blockCount - 1;
    const size = isLast ? articles - index * BLOCK_ARTICLES : BLOCK_ARTICLES;
    const block = buildBlock({ seed, split, names: this.#names, index, size });
    this.#cache.set(index, block);
    const [oldest] = this.#cache.keys();
    if (this.#cache.size > CACHED_BLOCKS && oldest !== undefined) this.#cache.delete(oldest);
    return block;
  }

  /** The articles of a block; they take three times as long as the block itself and are not remembered. */
  write(block: Block): WrittenBlock {
    const { seed, split } = this.#options;
    const articles = writeArticles(block, `world:${split}:${seed}`);
    const statements = new Map<Fact, Statement[]>(block.facts.map((fact) => [fact, []]));
    for (const sentence of articles.flatMap((article) => article.sentences)) {
      for (const fact of sentence.facts) statements.get(fact)?.push(sentence.statement);
    }
    return { articles, statements };
  }
}

function checkOptions({ seed, articles, split }: WorldOptions): void {
  if (!Number.isSafeInteger(seed)) {
    throw new ConfigError(`World: expected seed to be an integer, received ${seed}.`);
  }
  if (!Number.isInteger(articles) || articles < MIN_ARTICLES || articles > MAX_ARTICLES) {
    throw new ConfigError(
      `World: expected articles to be an integer in ${MIN_ARTICLES}..${MAX_ARTICLES}, received ${articles}.`,
    );
  }
  if (split !== 'train' && split !== 'heldout') {
    throw new ConfigError(
      `World: expected split to be 'train' or 'heldout', received ${JSON.stringify(split)}.`,
    );
  }
}

/**
 * Every article of a world, in order. Articles 0 to n-1 of a larger world are the same, but for
 * those of the smaller world's last block.
 *
 * @example
 * for (const document of generateWorld({ seed: 1, articles: 2000, split: 'train' })) index(document);
 * @throws {ConfigError} an option is out of range.
 */
export function* generateWorld(options: WorldOptions): Generator<Document> {
  const world = new World(options);
  for (let b = 0; b < world.blockCount; b++) {
    for (const { document } of world.write(world.block(b)).articles) yield document;
  }
}

/** Every fact of a world with the places that state it. @throws {ConfigError} an option is out of range. */
export function* worldFacts(options: WorldOptions): Generator<WorldFact> {
  const world = new World(options);
  for (let b = 0; b < world.blockCount; b++) {
    for (const [fact, statements] of world.write(world.block(b)).statements) {
      yield {
        subject: reference(fact.subject),
        relation: fact.relation,
        object: objectReference(fact.object),
        statements,
      };
    }
  }
}

function reference({ documentId, name, kind }: Entity): WorldFact['subject'] {
  return { documentId, name, kind };
}

function objectReference(object: Fact['object']): WorldFact['object'] {
  if (typeof object === 'number') return { documentId: null, text: String(object) };
  return { documentId: object.documentId, text: object.name };
}
