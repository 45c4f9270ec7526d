// A pattern over a model's tokens: which may come next, as the bits that the sampler takes, and where each leads.
import { InputError } from '@masksearch/core';
import type { Tokenizer } from '@masksearch/tokenizer';
import { Matcher, type MatchState } from './matcher.ts';
import type { Pattern } from './pattern.ts';
import type { TokenTrie } from './token-trie.ts';

export interface TokenGrammarOptions {
  readonly tokenizer: Pick<Tokenizer, 'bytesOf'>;
  readonly trie: TokenTrie;
  /** V of the model, which may have more embeddings than its tokenizer has tokens. */
  readonly vocabularySize: number;
  /** Tokens that end a turn: allowed where the text may end. */
  readonly ends: readonly number[];
}

/** Tokens that may follow a state. */
interface Allowed {
  /** (⌈V / 32⌉) see `GenerateRequest.allowed`. */
  readonly bits: Uint32Array;
  /** Bytes that must still follow the worst of them. */
  readonly longestRest: number;
  readonly isEmpty: boolean;
}

/** Shared by all turns that are held to it; what is worked out for one is there for the next. */
export class TokenGrammar {
  readonly #options: TokenGrammarOptions;
  readonly #matcher: Matcher;
  readonly #allowed = new WeakMap<MatchState, Allowed>();

  /** @throws as `Matcher`. */
  constructor(pattern: Pattern, options: TokenGrammarOptions) {
    this.#options = options;
    this.#matcher = new Matcher(pattern);
  }

  /** States that are kept, a measure of memory. */
  get size(): number {
    return this.#matcher.size;
  }

  /** The beginning of a text. */
  start(): GrammarPosition {
    return new GrammarPosition(this, this.#matcher.start);
  }

  isOver({ isEnd, isOver }: MatchState): boolean {
    return isOver || (isEnd && this.#options.ends.length === 0);
  }

  /**
   * (⌈V / 32⌉) bits of the tokens that may follow. Where few are left of a turn, only those with which the text can still
   * become whole: a byte takes one token at most.
   * @param left Tokens that the turn may still have, the next one among them.
   */
  allowed(state: MatchState, left: number): { readonly bits: Uint32Array; isHurried: boolean } {
    let all = this.#allowed.get(state);
    if (all === undefined) {
      all = this.#walk(state, Infinity);
      this.#allowed.set(state, all);
    }
    const free = { bits: all.bits, isHurried: false };
    if (left - 1 >= all.longestRest || left < state.shortest) return free;
    const { bits, isEmpty } = this.#walk(state, left - 1);
    return isEmpty ? free : { bits, isHurried: true };
  }

  /** @throws {InputError} the token was not allowed. */
  after(state: MatchState, token: number): MatchState {
    let next: MatchState | null = state;
    for (const byte of this.#options.tokenizer.bytesOf(token)) {
      next = this.#matcher.step(next, byte);
      if (next === null) {
        throw new InputError(
          `grammar: expected one of the allowed tokens, received ${token}; the sampler passes over \`allowed\`.`,
        );
      }
    }
    return next;
  }

  /** @param most Bytes that may have to follow the token. */
  #walk(start: MatchState, most: number): Allowed {
    const { trie, vocabularySize, ends } = this.#options;
    const { bytes, depths, skips, firsts, ids, deepest } = trie;
    const bits = new Uint32Array(Math.ceil(vocabularySize / 32));
    let longestRest = 0;
    const path = Array.from({ length: deepest + 1 }, () => start); // state after so many bytes
    for (let node = 0; node < bytes.length;) {
      const depth = depths[node] as number;
      const state = this.#matcher.step(path[depth - 1] as MatchState, bytes[node] as number);
      if (state === null) {
        node = skips[node] as number;
        continue;
      }
      path[depth] = state;
      const [first, last] = [firsts[node] as number, firsts[node + 1] as number];
      if (first < last && state.shortest <= most) {
        for (let i = first; i < last; i++) setBit(bits, ids[i] as number);
        longestRest = Math.max(longestRest, state.shortest);
      }
      node++;
    }
    if (start.isEnd) for (const id of ends) setBit(bits, id);
    return { bits, longestRest, isEmpty: bits.every((word) => word === 0) };
  }
}

/** How far one turn has come. */
export class GrammarPosition {
  readonly #grammar: TokenGrammar;
  #state: MatchState;
  #wasHurried = false;

  constructor(grammar: TokenGrammar, state: MatchState) {
    this.#grammar = grammar;
    this.#state = state;
  }

  /** The text is whole, and nothing may follow or no token could say that nothing does. */
  get isOver(): boolean {
    return this.#grammar.isOver(this.#state);
  }

  /** The text may end here. */
  get isWhole(): boolean {
    return this.#state.isEnd;
  }

  /** True where the end of the turn has kept tokens out. */
  get wasHurried(): boolean {
    return this.#wasHurried;
  }

  /** (⌈V / 32⌉) bits of the tokens that may follow. @param left As in `TokenGrammar.allowed`. */
  allowed(left: number): Uint32Array {
    const { bits, isHurried } = this.#grammar.allowed(this.#state, left);
    this.#wasHurried ||= isHurried;
    return bits;
  }

  /** @throws {InputError} the token was not allowed. */
  take(token: number): void {
    this.#state = this.#grammar.after(this.#state, token);
  }
}

function setBit(bits: Uint32Array, id: number): void {
  bits[id >>> 5] = (bits[id >>> 5] as number) | (1 << (id & 31));
}
