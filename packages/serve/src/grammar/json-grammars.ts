// The grammars that a server has in use: made once for all requests that ask for the same JSON.
import type { Tokenizer } from '@masksearch/tokenizer';
import type { JsonPattern } from './json-pattern.ts';
import { TokenGrammar } from './token-grammar.ts';
import { tokenTrie, type TokenTrie } from './token-trie.ts';

/** Grammars kept, the last used ones. */
const MOST_GRAMMARS = 16;
/** States of all grammars kept; about 3 kB each, and a bit for each token where a turn has been. */
const MOST_STATES = 20_000;

export interface JsonGrammarsOptions {
  readonly tokenizer: Tokenizer;
  /** V of the model. */
  readonly vocabularySize: number;
  /** Tokens that end a turn. */
  readonly ends: readonly number[];
}

export class JsonGrammars {
  /** Tokens that end a turn, and nothing else does. */
  readonly ends: readonly number[];
  readonly #options: JsonGrammarsOptions;
  readonly #grammars = new Map<string, TokenGrammar>();
  #trie: TokenTrie | undefined;

  constructor(options: JsonGrammarsOptions) {
    this.#options = options;
    this.ends = options.ends;
  }

  /** @param key The same for the same pattern. @throws as `Matcher`. */
  grammarOf(key: string, { pattern }: JsonPattern): TokenGrammar {
    const known = this.#grammars.get(key);
    this.#grammars.delete(key);
    this.#trie ??= tokenTrie(this.#options.tokenizer);
    const isUsable = known !== undefined && known.size <= MOST_STATES;
    const grammar = isUsable
      ? known
      : new TokenGrammar(pattern, { ...this.#options, trie: this.#trie });
    this.#grammars.set(key, grammar);
    this.#forgetOldest();
    return grammar;
  }

  /** Turns that are held to what is forgotten go on with it. */
  #forgetOldest(): void {
    let states = [...this.#grammars.values()].reduce((sum, { size }) => sum + size, 0);
    for (const [key, { size }] of this.#grammars) {
      if (this.#grammars.size <= MOST_GRAMMARS && states <= MOST_STATES) break;
      this.#grammars.delete(key);
      states -= size;
    }
  }
}
