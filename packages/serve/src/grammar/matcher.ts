// Reads a text byte by byte along a pattern: a pushdown automaton whose states are made, and kept, as they are reached.
import { InputError } from '@masksearch/core';
import { type Pattern, type Repeat, shortestLength } from './pattern.ts';

/** Ways to read one text; only a grammar that contradicts good sense has so many. */
const MOST_READINGS = 4096;

/** What may still come: a pattern and then another rest, or nothing. Equal rests are one object. */
interface Rest {
  readonly pattern: Pattern | null;
  readonly after: Rest | null;
  readonly id: number;
  /** Bytes of its shortest text. */
  readonly shortest: number;
  readonly before: Map<Pattern, Rest>;
}

/** Where a text has come to, in every reading of it. Equal states are one object. */
export interface MatchState {
  /** The text may end here. */
  readonly isEnd: boolean;
  /** Nothing may follow. */
  readonly isOver: boolean;
  /** Bytes that must follow at least. */
  readonly shortest: number;
  /** Each begins with a byte. */
  readonly readings: readonly Rest[];
  /** What follows a byte, by the byte; null for nothing. */
  readonly next: (MatchState | null)[];
}

export class Matcher {
  readonly start: MatchState;
  readonly #end: Rest = { pattern: null, after: null, id: 0, shortest: 0, before: new Map() };
  readonly #states = new Map<string, MatchState>();
  readonly #fewer = new WeakMap<Repeat, Repeat>();
  #rests = 1;

  /** @throws {InputError} no text fits, or there are too many ways to read one. */
  constructor(pattern: Pattern) {
    if (shortestLength(pattern) === Infinity) {
      throw new InputError(
        'grammar: expected a pattern that a text can fit, received one that none can.',
      );
    }
    this.start = this.#stateOf([this.#before(this.#end, pattern)]);
  }

  /** States that are kept, a measure of memory. */
  get size(): number {
    return this.#states.size;
  }

  /** The state after one more byte, or null where no text goes on like that. @throws {InputError} too many ways to read it. */
  step(state: MatchState, byte: number): MatchState | null {
    const known = state.next[byte];
    if (known !== undefined) return known;
    const rests: Rest[] = [];
    for (const { pattern, after } of state.readings) {
      if (pattern?.kind === 'byte' && pattern.fits[byte] === 1 && after !== null) rests.push(after);
    }
    const next = rests.length === 0 ? null : this.#stateOf(rests);
    state.next[byte] = next;
    return next;
  }

  /** Goes through all patterns that begin with another one until each reading begins with a byte. */
  #stateOf(rests: readonly Rest[]): MatchState {
    const seen = new Set(rests);
    const readings: Rest[] = [];
    for (const rest of seen) {
      if (rest.pattern === null || rest.pattern.kind === 'byte') readings.push(rest);
      for (const opened of this.#open(rest)) {
        if (opened.shortest < Infinity) seen.add(opened); // no text ends in the others
      }
      if (seen.size > MOST_READINGS) {
        throw new InputError(
          `grammar: expected at most ${MOST_READINGS} ways to read a text, received more.`,
        );
      }
    }
    readings.sort((a, b) => a.id - b.id);
    const key = readings.map(({ id }) => id).join();
    const known = this.#states.get(key);
    if (known !== undefined) return known;
    const isEnd = readings[0] === this.#end;
    const isOver = isEnd && readings.length === 1;
    const shortest = Math.min(...readings.map((rest) => rest.shortest));
    const state: MatchState = { isEnd, isOver, shortest, readings, next: [] };
    this.#states.set(key, state);
    return state;
  }

  #open({ pattern, after }: Rest): readonly Rest[] {
    if (pattern === null || after === null) return [];
    switch (pattern.kind) {
      case 'byte':
        return [];
      case 'sequence':
        return [pattern.parts.reduceRight((rest, part) => this.#before(rest, part), after)];
      case 'choice':
        return pattern.options.map((option) => this.#before(after, option));
      case 'repeat': {
        const again = this.#before(this.#before(after, this.#oneFewer(pattern)), pattern.pattern);
        const more = pattern.most > 0 ? [again] : [];
        return pattern.least > 0 ? more : [after, ...more];
      }
      case 'reference':
        return [this.#before(after, pattern.resolve())];
      default:
        return pattern satisfies never;
    }
  }

  #before(after: Rest, pattern: Pattern): Rest {
    const known = after.before.get(pattern);
    if (known !== undefined) return known;
    const shortest = shortestLength(pattern) + after.shortest;
    const rest: Rest = { pattern, after, id: this.#rests++, shortest, before: new Map() };
    after.before.set(pattern, rest);
    return rest;
  }

  #oneFewer(pattern: Repeat): Repeat {
    const { least, most } = pattern;
    if (least === 0 && most === Infinity) return pattern;
    const known = this.#fewer.get(pattern);
    if (known !== undefined) return known;
    const fewer = { ...pattern, least: Math.max(0, least - 1), most: most - 1 };
    this.#fewer.set(pattern, fewer);
    return fewer;
  }
}
