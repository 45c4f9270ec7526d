// Trains a byte-level BPE: the most frequent pair of neighbouring symbols becomes a new symbol, again and again.
import { ConfigError } from '@masksearch/core';
import { BYTE_SYMBOLS } from './byte-symbols.ts';
import { parseTokenizer } from './byte-level-tokenizer.ts';
import { PairCounts, type TrainingWord } from './pair-counts.ts';
import { compileSplitPattern, GPT2_PATTERN } from './split-pattern.ts';
import type { Tokenizer } from './tokenizer.ts';

export interface TrainBpeOptions {
  /** Tokens in all: special tokens, the 256 bytes, then merges. Fewer if the texts run out of pairs. */
  readonly vocabularySize: number;
  /** Numbered first, in this order. They are never made from plain text. */
  readonly specialTokens: readonly string[];
  /** A pair must occur this often to be merged. Default 2. */
  readonly minimumPairCount?: number;
}

/**
 * Trains a tokenizer; the result depends on the multiset of words only, not on the order of the texts.
 * Pieces are cut as in GPT-2 (a word takes its leading space). Ties go to the pair with the smaller left id,
 * then the smaller right id.
 *
 * @throws {ConfigError} the vocabulary cannot hold the special tokens and the bytes, or a special token repeats.
 */
export function trainBpe(texts: Iterable<string>, options: TrainBpeOptions): Tokenizer {
  const { vocabularySize, specialTokens, minimumPairCount = 2 } = options;
  const base = specialTokens.length + BYTE_SYMBOLS.length;
  checkOptions(options, base);
  const vocabulary = [...specialTokens, ...BYTE_SYMBOLS];
  const ids = new Map(vocabulary.map((token, id) => [token, id]));
  const words = countWords(texts, specialTokens.length);
  const pairs = new PairCounts(words);
  const merges: [string, string][] = [];
  while (vocabulary.length < vocabularySize) {
    const pair = pairs.takeMostFrequent(minimumPairCount);
    if (pair === undefined) break;
    const left = vocabulary[pair.left] as string;
    const right = vocabulary[pair.right] as string;
    const known = ids.get(left + right);
    // Text that spells a special token out must not become it.
    if (known !== undefined && known < specialTokens.length) continue;
    // The same string can arise from two pairs; both then lead to one token.
    const merged = known ?? vocabulary.length;
    if (known === undefined) {
      ids.set(left + right, merged);
      vocabulary.push(left + right);
    }
    merges.push([left, right]);
    pairs.merge(pair, merged);
  }
  return parseTokenizer(serialize(vocabulary, merges, specialTokens), 'trainBpe');
}

function checkOptions(options: TrainBpeOptions, base: number): void {
  const { vocabularySize, specialTokens } = options;
  if (!Number.isInteger(vocabularySize) || vocabularySize < base) {
    throw new ConfigError(
      `trainBpe: expected vocabularySize to be an integer of at least ${base} (special tokens and 256 bytes), received ${vocabularySize}.`,
    );
  }
  const isUsable = (token: string): boolean => token.length > 1 && !BYTE_SYMBOLS.includes(token);
  if (new Set(specialTokens).size !== specialTokens.length || !specialTokens.every(isUsable)) {
    throw new ConfigError(
      `trainBpe: expected distinct special tokens of two characters or more, received ${JSON.stringify(specialTokens)}.`,
    );
  }
}

/** Distinct words as byte ids with how often each occurs, in an order of their own. */
function countWords(texts: Iterable<string>, firstByteId: number): TrainingWord[] {
  const pattern = compileSplitPattern(GPT2_PATTERN, 'trainBpe');
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const [word] of text.toWellFormed().matchAll(pattern)) {
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  }
  return [...counts].map(([word, count]) => ({
    symbols: Array.from(Buffer.from(word, 'utf8'), (byte) => firstByteId + byte),
    count,
  }));
}

function serialize(
  vocabulary: readonly string[],
  merges: readonly (readonly [string, string])[],
  specialTokens: readonly string[],
): string {
  const byteLevel = {
    type: 'ByteLevel',
    add_prefix_space: false,
    trim_offsets: false,
    use_regex: false,
  };
  // Spelled out, because readers differ in what white space is when ByteLevel splits by its built-in pattern.
  const split = {
    type: 'Split',
    pattern: { Regex: GPT2_PATTERN },
    behavior: 'Isolated',
    invert: false,
  };
  const file = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: specialTokens.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: { type: 'Sequence', pretokenizers: [split, byteLevel] },
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(vocabulary.map((token, id) => [token, id])),
      merges,
    },
  };
  return `${JSON.stringify(file)}\n`;
}
