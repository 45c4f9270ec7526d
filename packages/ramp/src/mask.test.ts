// Masks over tokens: one mask token per slot, whole tokens, labels for what is hidden.
import { describe, expect, it } from 'vitest';
import { InputError } from '@masksearch/core';
import type { Tokenizer } from '@masksearch/tokenizer';
import { maskTokens } from './mask.ts';
import { spanOf } from './spans.ts';

/** Three characters a token, so that tokens and words part; id = start offset. */
const tokenizer: Pick<Tokenizer, 'encodeWithOffsets' | 'specialId'> = {
  encodeWithOffsets(text) {
    const starts = Int32Array.from({ length: Math.ceil(text.length / 3) }, (_, i) => 3 * i);
    return { ids: starts, starts, ends: starts.map((start) => Math.min(text.length, start + 3)) };
  },
  specialId: () => 500,
};

describe('maskTokens', () => {
  const text = 'Ada of London, 1815.';

  it('masks every token that a slot touches, once per slot', () => {
    const slots = [spanOf(text, [7, 13], 'name'), spanOf(text, [15, 19], 'date')];
    const masked = maskTokens(text, slots, tokenizer);
    expect([...masked.ids]).toEqual([0, 3, 500, 500]);
    expect([...masked.labels]).toEqual([-1, -1, 6, 9, 12, 15, 18]);
    expect([...masked.slotTokens]).toEqual([3, 2]);
  });

  it('refuses slots that share their only token', () => {
    const slots = [spanOf(text, [0, 1], 'any'), spanOf(text, [1, 2], 'any')];
    expect(() => maskTokens(text, slots, tokenizer)).toThrow(InputError);
  });
});
