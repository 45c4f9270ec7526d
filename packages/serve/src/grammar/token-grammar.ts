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

/** Shared by all turns that are held to it; what is worked out for one is there for the next. */
export class TokenGrammar {
  readonly #options: TokenGrammarOptions;
  readonly #matcher: Matcher;
  readonly #allowed = new WeakMap<MatchState, Uint32Array>();

  /** @throws {InputError} there are too many ways to read a text. */
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

  /** (⌈V / 32⌉) bits of the tokens that may follow; see `GenerateRequest.allowed`. */
  allowed(state: MatchState): Uint32Array {
    const known = this.#allowed.get(state);
    if (known !== undefined) return known;
    const bits = this.#walk(state);
    if (state.isEnd) for (const id of this.#options.ends) setBit(bits, id);
    this.#allowed.set(state, bits);
    return bits;
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

  #walk(start: MatchState): Uint32Array {
    const { trie, vocabularySize } = this.#options;
    const { bytes, depths, skips, firsts, ids, deepest } = trie;
    const bits = new Uint32Array(Math.ceil(vocabularySize / 32));
    const path = Array.from({ length: deepest + 1 }, () => start); // state after so many bytes
    for (let node = 0; node < bytes.length;) {
      const depth = depths[node] as number;
      const state = this.#matcher.step(path[depth - 1] as MatchState, bytes[node] as number);
      if (state === null) {
        node = skips[node] as number;
        continue;
      }
      path[depth] = state;
      const last = firsts[node + 1] as number;
      for (let i = firsts[node] as number; i < last; i++) setBit(bits, ids[i] as number);
      node++;
    }
    return bits;
  }
}

/** How far one turn has come. */
export class GrammarPosition {
  readonly #grammar: TokenGrammar;
  #state: MatchState;

  constructor(grammar: TokenGrammar, state: MatchState) {
    this.#grammar = grammar;
    this.#state = state;
  }

  /** The text is whole, and nothing may follow or no token could say that nothing does. */
  get isOver(): boolean {
    return this.#grammar.isOver(this.#state);
  }

  get allowed(): Uint32Array {
    return this.#grammar.allowed(this.#state);
  }

  /** @throws {InputError} the token was not allowed. */
  take(token: number): void {
    this.#state = this.#grammar.after(this.#state, token);
  }
}

function setBit(bits: Uint32Array, id: number): void {
  bits[id >>> 5] = (bits[id >>> 5] as number) | (1 << (id & 31));
}
