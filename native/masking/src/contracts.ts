// What goes into and comes out of each masking operation. B sequences lie end to end in flat arrays;
// sequence b is [offsets[b], offsets[b + 1]). Outputs are the caller's and may be longer than needed,
// so one set of arrays serves batch after batch; they must not share memory with any other argument.
import type { StreamKey } from '@masksearch/core';

/** Character spans to mask and the characters that each token covers. */
export interface SpanMaskInput {
  /** (T) token ids. */
  readonly ids: Int32Array;
  /** (B + 1) */
  readonly offsets: Int32Array;
  /** (T) start of each token in its sequence's text, UTF-16; never descends within a sequence. */
  readonly tokenStarts: Int32Array;
  /** (T) end, exclusive; never descends, never before the start. */
  readonly tokenEnds: Int32Array;
  /** (S) start of each span in its sequence's text; spans ascend and do not overlap. */
  readonly spanStarts: Int32Array;
  /** (S) end, exclusive, after the start. */
  readonly spanEnds: Int32Array;
  /** (B + 1) spans of sequence b are [spanOffsets[b], spanOffsets[b + 1]). */
  readonly spanOffsets: Int32Array;
  readonly maskId: number;
}

export interface SpanMaskOutput {
  /** (<= T) the tokens with masks in place. */
  readonly ids: Int32Array;
  /** (B + 1) offsets of those. */
  readonly offsets: Int32Array;
  /** (T) per input token: its id if it was masked, otherwise -1. */
  readonly labels: Int32Array;
  /** (S) how many tokens each span masked; 0 if none overlaps it or all belong to the span before. */
  readonly spanTokens: Int32Array;
}

/** Who wrote which stretch of each sequence. */
export interface AuthorMaskInput {
  /** (B + 1) */
  readonly offsets: Int32Array;
  /** (S) first token of each segment, counted from its sequence's start. Segments partition it. */
  readonly segmentStarts: Int32Array;
  /** (S) end, exclusive. */
  readonly segmentEnds: Int32Array;
  /** (S) see `AUTHOR_CODES`. */
  readonly authors: Uint8Array;
  /** (B + 1) segments of sequence b. */
  readonly segmentOffsets: Int32Array;
}

/** The codes of `Author` in `AuthorMaskInput.authors`. */
export const AUTHOR_CODES = { system: 0, user: 1, policy: 2, tool: 3 } as const;

export interface TokenSequences {
  /** (T) token ids. */
  readonly ids: Int32Array;
  /** (B + 1) */
  readonly offsets: Int32Array;
}

export interface MaskedTokenSequences extends TokenSequences {
  /** (T) 1 where the policy wrote the token, otherwise 0. */
  readonly mask: Uint8Array;
}

/** The result for sequence b depends on its tokens, `key` and `firstSequence + b`, on nothing else. */
export interface RandomMaskInput extends TokenSequences {
  readonly key: StreamKey;
  /** Number of the batch's first sequence within the whole data set, 0..2^53 - 1. */
  readonly firstSequence: number;
  readonly maskId: number;
}

export interface RandomMaskOutput {
  /** (T) */
  readonly ids: Int32Array;
  /** (T) per token: its id if it was masked, otherwise -1. */
  readonly labels: Int32Array;
}

export interface TokenMaskInput extends RandomMaskInput {
  /** Chance of each token (or word) to be masked, in [0, 1]. */
  readonly probability: number;
}

export interface WholeWordMaskInput extends TokenMaskInput {
  /** (T) 1 where a word begins, otherwise 0; a sequence's first token always begins one. */
  readonly wordStarts: Uint8Array;
}

export interface GeometricSpanMaskInput extends RandomMaskInput {
  /** Share of each sequence's tokens to mask, in [0, 1]; floor(ratio * n) are. */
  readonly ratio: number;
  /** Chance p in (0, 1) that a run ends after each of its tokens; SpanBERT has 0.2. */
  readonly stop: number;
  /** Longest run in tokens, 1..4096; SpanBERT has 10. */
  readonly maxLength: number;
}

export interface PackingInput {
  /** (B) length of each sequence, tokens. */
  readonly lengths: Int32Array;
  /** Room of a bin in tokens, 1..2^31 - 1. */
  readonly budgetTokens: number;
}

export interface PackingOutput {
  /** (B) sequence numbers: bin after bin, then those longer than the budget. */
  readonly order: Int32Array;
  /** (B + 1) bin i holds order[binOffsets[i] .. binOffsets[i + 1]). */
  readonly binOffsets: Int32Array;
}

export interface Packing {
  readonly bins: number;
  /** Number of sequences in bins. */
  readonly packed: number;
  /** Number of sequences longer than the budget; they are order[packed .. B). */
  readonly overlong: number;
}

/** All operations. Both the native and the reference module have exactly this form. */
export interface Masking {
  /** One mask token per span. Returns the number of tokens written. */
  maskSpansCollapsed(input: SpanMaskInput, output: SpanMaskOutput): number;
  /** One mask token per masked token. Returns the number of tokens written. */
  maskSpansPerToken(input: SpanMaskInput, output: SpanMaskOutput): number;
  /** mask (T): 1 for tokens of the policy, otherwise 0. Returns the number of ones. */
  authorMask(input: AuthorMaskInput, mask: Uint8Array): number;
  /** labels (T): ids[t + 1] within t's sequence, otherwise -1. Returns the number of labels. */
  shiftedLabels(input: TokenSequences, labels: Int32Array): number;
  /** The same, but -1 unless mask[t + 1] is 1. */
  shiftedPolicyLabels(input: MaskedTokenSequences, labels: Int32Array): number;
  /** Each token for itself. Returns the number of masked tokens, like the two below. */
  maskRandomTokens(input: TokenMaskInput, output: RandomMaskOutput): number;
  /** All tokens of a word or none. */
  maskWholeWords(input: WholeWordMaskInput, output: RandomMaskOutput): number;
  /**
   * Runs of geometric length, placed uniformly without overlap.
   * @see SpanBERT (arXiv:1907.10529) §3.1; it retries overlapping runs, we place all at once.
   */
  maskGeometricSpans(input: GeometricSpanMaskInput, output: RandomMaskOutput): number;
  /** First-fit-decreasing: longest first (equal lengths by number), into the first bin with room. */
  packFirstFitDecreasing(input: PackingInput, output: PackingOutput): Packing;
}
