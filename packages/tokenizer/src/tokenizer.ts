// The port between text and token ids.

/** Token ids with the UTF-16 range of the text that each covers. */
export interface Encoding {
  /** (n) token ids. */
  readonly ids: Int32Array;
  /** (n) start offset of each token in the text, UTF-16 code units. */
  readonly starts: Int32Array;
  /** (n) end offset, exclusive. Tokens that share a character (parts of its UTF-8) share its range. */
  readonly ends: Int32Array;
}

export interface Tokenizer {
  readonly vocabularySize: number;
  /** sha256 of the defining file, to tie checkpoints and data to it. */
  readonly hash: string;
  /** Token ids of plain text. Special tokens that occur in it are encoded as ordinary characters. */
  encode(text: string): Int32Array;
  encodeWithOffsets(text: string): Encoding;
  /** False for ids without a token: a model may have more embeddings than its tokenizer has tokens. */
  isToken(id: number): boolean;
  /** What a token adds to a text, in UTF-8. @throws {InputError} an id without a token. */
  bytesOf(id: number): Uint8Array;
  /**
   * Inverse of encode; special tokens give their text. Invalid UTF-8 becomes U+FFFD.
   * @throws {InputError} an id without a token.
   */
  decode(ids: ArrayLike<number>): string;
  /** Id of a special token. @throws {InputError} the tokenizer has no such token. */
  specialId(token: string): number;
  readonly specialTokens: readonly string[];
  /** The defining tokenizer.json, as text. */
  serialize(): string;
}

/** Special tokens of the episode protocol, in the order in which a trained vocabulary numbers them. */
export const PROTOCOL_TOKENS = [
  '<|endoftext|>',
  '<think>',
  '</think>',
  '<search>',
  '</search>',
  '<information>',
  '</information>',
  '<answer>',
  '</answer>',
  '[mask]',
] as const;
