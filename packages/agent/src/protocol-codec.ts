// The episode protocol in tokens: each author's text is encoded by its own rules, and once only.
import type { SearchResult, Task } from '@masksearch/core';
import { encodeMarked, type Tokenizer } from '@masksearch/tokenizer';
import type { StopSequence } from '@masksearch/model';
import type { EncodedPrompt, EncodedText, EpisodeCodec } from './episode-codec.ts';
import { fitDocuments, innerInformation, renderDocument, wrapInformation } from './observation.ts';
import {
  ALL_TAGS,
  END_OF_TEXT,
  invalidTurn,
  parseTurn,
  POLICY_TAGS,
  PROMPT_MARKS,
  renderPrompt,
  TAGS,
  type Action,
} from './protocol.ts';

/**
 * The protocol as it is, without a chat template. Tags are special tokens where the tokenizer has them, be it all, some
 * (Qwen3 has `<think>`) or none.
 */
export class ProtocolCodec implements EpisodeCodec {
  /** Token sequences that end a turn. */
  readonly stop: readonly StopSequence[];
  readonly #tokenizer: Tokenizer;
  readonly #specialTags: readonly string[];
  readonly #open: Int32Array;
  readonly #close: Int32Array;

  /** @param moreStops Token sequences that end a turn besides the tags. */
  constructor(tokenizer: Tokenizer, moreStops: readonly StopSequence[] = []) {
    this.#tokenizer = tokenizer;
    this.#specialTags = ALL_TAGS.filter((tag) => tokenizer.specialTokens.includes(tag));
    this.#open = encodeMarked(tokenizer, TAGS.information.open, ALL_TAGS);
    this.#close = encodeMarked(tokenizer, TAGS.information.close, ALL_TAGS);
    this.stop = [...stopSequences(tokenizer), ...moreStops];
  }

  /** The user's segment. */
  prompt(task: Task): EncodedPrompt {
    const text = renderPrompt(task);
    const ids = this.encodePrompt(text);
    return { text, ids, parts: [{ author: 'user', ids }] };
  }

  /** `[mask]` is the special token where the tokenizer has one; tags in a prompt are ordinary characters. */
  encodePrompt(text: string): Int32Array {
    return encodeMarked(this.#tokenizer, text, PROMPT_MARKS);
  }

  /** A turn's text as a policy would most plainly write it. */
  encodeTurn(text: string): Int32Array {
    return encodeMarked(this.#tokenizer, text, POLICY_TAGS);
  }

  /** A whole `<information>` block; everything inside is ordinary characters. @throws {InputError} it is none. */
  encodeInformation(text: string): Int32Array {
    const inner = this.#tokenizer.encode(innerInformation(text));
    return Int32Array.of(...this.#open, ...inner, ...this.#close);
  }

  /** The smallest number of tokens an `<information>` block can have. */
  get minimumInformationTokens(): number {
    return this.#open.length + this.#close.length + 1;
  }

  /** What the policy reads of a search, in at most `budgetTokens`; null if nothing fits. */
  information(results: readonly SearchResult[], budgetTokens: number): EncodedText | null {
    const inner = fitDocuments(
      results.map(renderDocument),
      (text) => this.#tokenizer.encode(text).length,
      budgetTokens - this.#open.length - this.#close.length,
    );
    if (inner === null) return null;
    const text = wrapInformation(inner);
    return { text, ids: this.encodeInformation(text) };
  }

  decode(ids: Int32Array): string {
    return decodeSampled(this.#tokenizer, ids);
  }

  /**
   * Reads a turn as sampled. A tag counts only if it is written the way this tokenizer writes tags: where it is a
   * special token, spelling it out in ordinary characters makes the turn invalid.
   */
  parse(ids: Int32Array): Action {
    if (!ids.every((id) => this.#tokenizer.isToken(id))) return invalidToken();
    const text = this.decode(ids);
    if (spellsOut(this.#tokenizer, this.#specialTags, ids, text)) {
      return invalidTurn('a tag spelled out in ordinary characters');
    }
    return parseTurn(text, this.#tailOfLastToken(ids, text));
  }

  /** What the last token holds beyond the closing tag it completes; '' if it completes none. */
  #tailOfLastToken(ids: Int32Array, text: string): string {
    const before = this.decode(ids.subarray(0, -1));
    for (const close of [TAGS.search.close, TAGS.answer.close]) {
      const at = text.lastIndexOf(close);
      const end = at + close.length;
      if (at >= 0 && end > before.length) return text.slice(end);
    }
    return '';
  }
}

/** The text of what a model sampled. Ids without a token, which a model with spare embeddings can sample, are U+FFFD. */
export function decodeSampled(tokenizer: Tokenizer, ids: Int32Array): string {
  let text = '';
  let start = 0;
  for (const [t, id] of ids.entries()) {
    if (tokenizer.isToken(id)) continue;
    text += `${tokenizer.decode(ids.subarray(start, t))}\ufffd`;
    start = t + 1;
  }
  return text + tokenizer.decode(ids.subarray(start));
}

/** What a turn with such an id does. */
export function invalidToken(): Action {
  return invalidTurn('an id that is no token');
}

/** True if a text holds one of `tokens` in ordinary characters. @param ids The tokens of the text. */
export function spellsOut(
  tokenizer: Tokenizer,
  tokens: readonly string[],
  ids: Int32Array,
  text: string,
): boolean {
  return tokens.some((token) => {
    const id = tokenizer.specialId(token);
    return text.split(token).length - 1 !== ids.filter((other) => other === id).length;
  });
}

// Neighbours that a byte-level BPE may merge with the ends of a tag.
const BEFORE = ['', 'a', ' ', '.', '?', '!', ')', '"', "'", ']', '\n', '1'];
const AFTER = ['', '\n', '\n\n', ' ', '<'];

/** The token sequences of `</search>` and `</answer>`, in every neighbourhood that changes them, and end of text. */
function stopSequences(tokenizer: Tokenizer): StopSequence[] {
  const sequences = new Map<string, StopSequence>();
  const add = (ids: readonly number[]): unknown => sequences.set(ids.join(), ids);
  for (const tag of [TAGS.search.close, TAGS.answer.close]) {
    if (tokenizer.specialTokens.includes(tag)) add([tokenizer.specialId(tag)]);
    else for (const ids of spellings(tokenizer, tag)) add(ids);
  }
  if (tokenizer.specialTokens.includes(END_OF_TEXT)) add([tokenizer.specialId(END_OF_TEXT)]);
  return [...sequences.values()];
}

function spellings(tokenizer: Tokenizer, tag: string): number[][] {
  return BEFORE.flatMap((before) =>
    AFTER.map((after) => {
      const { ids, starts, ends } = tokenizer.encodeWithOffsets(`${before}${tag}${after}`);
      const [from, to] = [before.length, before.length + tag.length];
      return [...ids].filter((_, t) => (ends[t] as number) > from && (starts[t] as number) < to);
    }),
  );
}
