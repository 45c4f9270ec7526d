// What each masking operation does, on examples computed by hand; both implementations pass.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InputError, ShapeError, streamKey } from '@masksearch/core';
import type { Masking, SpanMaskInput } from './contracts.ts';
import * as native from './native.ts';
import { createPackingOutput, createRandomMaskOutput, createSpanMaskOutput } from './outputs.ts';
import * as reference from './reference.ts';
import { packingInputs } from '../test/arbitraries.ts';

const implementations: readonly (readonly [string, Masking])[] = [
  ['native', native],
  ['reference', reference],
];
const MASK = 99;

/** "Ada|␣Love|lace|␣was|␣born" and "Hi|!": spans "Lovelace", "born" and "Hi". */
const spanInput: SpanMaskInput = {
  ids: Int32Array.of(1, 2, 3, 4, 5, 6, 7),
  offsets: Int32Array.of(0, 5, 7),
  tokenStarts: Int32Array.of(0, 3, 8, 12, 16, 0, 2),
  tokenEnds: Int32Array.of(3, 8, 12, 16, 21, 2, 3),
  spanStarts: Int32Array.of(4, 17, 0),
  spanEnds: Int32Array.of(12, 21, 2),
  spanOffsets: Int32Array.of(0, 2, 3),
  maskId: MASK,
};

describe.each(implementations)('%s: spans', (_, masking) => {
  it('replaces the tokens of each span by one mask', () => {
    const output = createSpanMaskOutput(spanInput);
    expect(masking.maskSpansCollapsed(spanInput, output)).toBe(6);
    expect([...output.ids.subarray(0, 6)]).toEqual([1, MASK, 4, MASK, MASK, 7]);
    expect([...output.offsets]).toEqual([0, 4, 6]);
    expect([...output.labels]).toEqual([-1, 2, 3, -1, 5, 6, -1]);
    expect([...output.spanTokens]).toEqual([2, 1, 1]);
  });

  it('replaces each token of a span by a mask', () => {
    const output = createSpanMaskOutput(spanInput);
    expect(masking.maskSpansPerToken(spanInput, output)).toBe(7);
    expect([...output.ids]).toEqual([1, MASK, MASK, 4, MASK, MASK, 7]);
    expect([...output.offsets]).toEqual([0, 5, 7]);
    expect([...output.labels]).toEqual([-1, 2, 3, -1, 5, 6, -1]);
  });

  it('gives a token that two spans share to the first, and reports the span left without', () => {
    const input: SpanMaskInput = {
      ids: Int32Array.of(8),
      offsets: Int32Array.of(0, 1),
      tokenStarts: Int32Array.of(0),
      tokenEnds: Int32Array.of(6),
      spanStarts: Int32Array.of(0, 3),
      spanEnds: Int32Array.of(3, 6),
      spanOffsets: Int32Array.of(0, 2),
      maskId: MASK,
    };
    const output = createSpanMaskOutput(input);
    expect(masking.maskSpansCollapsed(input, output)).toBe(1);
    expect([...output.spanTokens]).toEqual([1, 0]);
  });

  it.each([
    ['offsets', Int32Array.of(0, 8, 7), 'offsets'],
    ['spanOffsets', Int32Array.of(0, 3, 2), 'spanOffsets'],
    ['tokenStarts', Int32Array.of(0, 3, 8, 12, 16, 0, -1), 'token ranges'],
    ['tokenEnds', Int32Array.of(3, 8, 12, 11, 21, 2, 3), 'token ranges'],
    ['spanStarts', Int32Array.of(4, 11, 0), 'spans'],
    ['spanEnds', Int32Array.of(12, 17, 2), 'spans'],
  ] as const)('refuses bad %s', (field, array, word) => {
    const input = { ...spanInput, [field]: array };
    const mask = () => masking.maskSpansCollapsed(input, createSpanMaskOutput(input));
    expect(mask).toThrow(InputError);
    expect(mask).toThrow(`expected ${word}`);
  });

  it('refuses arrays of a wrong type or length', () => {
    const output = createSpanMaskOutput(spanInput);
    const short = { ...spanInput, tokenEnds: new Int32Array(3) };
    expect(() => masking.maskSpansCollapsed(short, output)).toThrow(ShapeError);
    const floats = { ...spanInput, ids: new Float32Array(7) };
    // @ts-expect-error: a caller without types
    expect(() => masking.maskSpansCollapsed(floats, output)).toThrow(ShapeError);
    // @ts-expect-error: a caller without types
    expect(() => masking.maskSpansCollapsed({ ...spanInput, ids: undefined }, output)).toThrow(
      ShapeError,
    );
    const small = { ...output, labels: new Int32Array(6) };
    expect(() => masking.maskSpansCollapsed(spanInput, small)).toThrow('room for 7 elements');
    expect(() => masking.maskSpansCollapsed({ ...spanInput, maskId: 1.5 }, output)).toThrow(
      'maskId to be an integer',
    );
  });

  it('refuses outputs that share memory with anything, and shared memory', () => {
    const output = createSpanMaskOutput(spanInput);
    const inPlace = { ...output, ids: spanInput.ids };
    expect(() => masking.maskSpansCollapsed(spanInput, inPlace)).toThrow('not to share memory');
    const memory = new Int32Array(new SharedArrayBuffer(28));
    expect(() => masking.maskSpansCollapsed({ ...spanInput, ids: memory }, output)).toThrow(
      'SharedArrayBuffer',
    );
  });
});

describe.each(implementations)('%s: authors and labels', (_, masking) => {
  const segments = {
    offsets: Int32Array.of(0, 6, 9),
    segmentStarts: Int32Array.of(0, 2, 5, 0),
    segmentEnds: Int32Array.of(2, 5, 6, 3),
    authors: Uint8Array.of(1, 2, 3, 2),
    segmentOffsets: Int32Array.of(0, 3, 4),
  };

  it('marks the tokens that the policy wrote', () => {
    const mask = new Uint8Array(9);
    expect(masking.authorMask(segments, mask)).toBe(6);
    expect([...mask]).toEqual([0, 0, 1, 1, 1, 0, 1, 1, 1]);
  });

  it.each([
    ['a gap', { segmentStarts: Int32Array.of(0, 3, 5, 0) }],
    ['a missing end', { segmentEnds: Int32Array.of(2, 5, 5, 3) }],
    ['a segment beyond its sequence', { segmentEnds: Int32Array.of(2, 5, 6, 4) }],
    ['an unknown author', { authors: Uint8Array.of(1, 2, 4, 2) }],
  ])('refuses %s', (_name, change) => {
    const input = { ...segments, ...change };
    expect(() => masking.authorMask(input, new Uint8Array(9))).toThrow(InputError);
  });

  it('predicts the next token of the same sequence only', () => {
    const labels = new Int32Array(6);
    const input = {
      ids: Int32Array.of(10, 11, 12, 20, 21, 30),
      offsets: Int32Array.of(0, 3, 5, 6),
    };
    expect(masking.shiftedLabels(input, labels)).toBe(3);
    expect([...labels]).toEqual([11, 12, -1, 21, -1, -1]);
  });

  it('predicts tokens of the policy only', () => {
    const labels = new Int32Array(5);
    const input = {
      ids: Int32Array.of(10, 11, 12, 20, 21),
      offsets: Int32Array.of(0, 3, 5),
      mask: Uint8Array.of(1, 0, 1, 1, 1),
    };
    expect(masking.shiftedPolicyLabels(input, labels)).toBe(2);
    expect([...labels]).toEqual([-1, 12, -1, 21, -1]);
  });
});

describe.each(implementations)('%s: random masks', (_, masking) => {
  const n = 4000;
  const input = {
    ids: Int32Array.from({ length: n }, (_value, i) => i),
    offsets: Int32Array.of(0, n),
    key: streamKey(7, 'masking'),
    firstSequence: 5,
    maskId: -7,
    probability: 0.15,
    wordStarts: Uint8Array.from({ length: n }, (_value, i) => Number(i % 3 === 0)),
    ratio: 0.15,
    stop: 0.2,
    maxLength: 10,
  };
  const operations = {
    tokens: (batch: typeof input, output: ReturnType<typeof createRandomMaskOutput>) =>
      masking.maskRandomTokens(batch, output),
    words: (batch: typeof input, output: ReturnType<typeof createRandomMaskOutput>) =>
      masking.maskWholeWords(batch, output),
    spans: (batch: typeof input, output: ReturnType<typeof createRandomMaskOutput>) =>
      masking.maskGeometricSpans(batch, output),
  };

  it.each(Object.entries(operations))('%s: labels hold exactly what was masked', (_name, mask) => {
    const output = createRandomMaskOutput(n);
    const masked = mask(input, output);
    expect(output.labels.filter((label) => label >= 0)).toHaveLength(masked);
    const restored = output.ids.map((id, t) => (id === -7 ? (output.labels[t] ?? -1) : id));
    expect(restored).toEqual(input.ids);
    // 0.15 of 4000 tokens in words of three: a deviation of 0.03 is more than three sigma.
    expect(Math.abs(masked / n - 0.15)).toBeLessThan(0.03);
  });

  it.each(Object.entries(operations))(
    '%s: a sequence does not depend on its batch',
    (_name, mask) => {
      const whole = createRandomMaskOutput(n);
      mask({ ...input, offsets: Int32Array.of(0, 100, n) }, whole);
      const rest = createRandomMaskOutput(n - 100);
      const ids = input.ids.slice(100);
      const wordStarts = input.wordStarts.slice(100);
      const offsets = Int32Array.of(0, n - 100);
      mask({ ...input, ids, wordStarts, offsets, firstSequence: 6 }, rest);
      expect(rest.ids).toEqual(whole.ids.subarray(100));
      mask({ ...input, ids, wordStarts, offsets, key: streamKey(8, 'masking') }, rest);
      expect(rest.ids).not.toEqual(whole.ids.subarray(100));
    },
  );

  it('masks words whole', () => {
    const output = createRandomMaskOutput(n);
    masking.maskWholeWords(input, output);
    for (let t = 0; t + 2 < n; t += 3) {
      const masked = [...output.labels.subarray(t, t + 3)].map((label) => label >= 0);
      expect(new Set(masked).size).toBe(1);
    }
  });

  it('masks exactly the asked share in runs of geometric length', () => {
    const output = createRandomMaskOutput(n);
    expect(masking.maskGeometricSpans({ ...input, maxLength: 4 }, output)).toBe(600);
    const text = [...output.labels].map((label) => (label >= 0 ? 'x' : ' ')).join('');
    const runs = text.match(/x+/gu) ?? [];
    // p = 0.2 cut at 4: mean length 2.37; touching runs merge and make it a little longer.
    expect(600 / runs.length).toBeGreaterThan(2);
    expect(600 / runs.length).toBeLessThan(3.2);
  });

  it('masks everything at 1 and nothing at 0', () => {
    for (const mask of Object.values(operations)) {
      const output = createRandomMaskOutput(n);
      expect(mask({ ...input, probability: 1, ratio: 1 }, output)).toBe(n);
      expect(mask({ ...input, probability: 0, ratio: 0 }, output)).toBe(0);
    }
  });

  it.each([
    { probability: 1.5 },
    { probability: Number.NaN },
    { firstSequence: -1 },
    { key: [0, 2 ** 32] as const },
    { maskId: 2 ** 31 },
  ])('refuses %o', (change) => {
    const mask = () => masking.maskRandomTokens({ ...input, ...change }, createRandomMaskOutput(n));
    expect(mask).toThrow(InputError);
  });

  it.each([{ ratio: -0.1 }, { stop: 0 }, { stop: 1 }, { maxLength: 0 }, { maxLength: 5000 }])(
    'refuses %o',
    (change) => {
      const output = createRandomMaskOutput(n);
      expect(() => masking.maskGeometricSpans({ ...input, ...change }, output)).toThrow(InputError);
    },
  );
});

describe.each(implementations)('%s: packing', (_, masking) => {
  it('puts the longest first into the first bin with room and reports what is too long', () => {
    const input = { lengths: Int32Array.of(3, 7, 11, 5, 3, 2), budgetTokens: 10 };
    const output = createPackingOutput(6);
    expect(masking.packFirstFitDecreasing(input, output)).toEqual({
      bins: 2,
      packed: 5,
      overlong: 1,
    });
    expect([...output.order]).toEqual([1, 0, 3, 4, 5, 2]);
    expect([...output.binOffsets.subarray(0, 3)]).toEqual([0, 2, 5]);
  });

  it('never splits, loses or repeats a sequence, nor overfills a bin', () => {
    fc.assert(
      fc.property(packingInputs, (input) => {
        const { lengths, budgetTokens } = input;
        const output = createPackingOutput(lengths.length);
        const { bins, packed } = masking.packFirstFitDecreasing(input, output);
        expect([...output.order].sort((a, b) => a - b)).toEqual([...lengths.keys()]);
        for (let bin = 0; bin < bins; bin++) {
          const members = output.order.subarray(output.binOffsets[bin], output.binOffsets[bin + 1]);
          expect(members.length).toBeGreaterThan(0);
          const used = members.reduce((sum, member) => sum + (lengths[member] ?? 0), 0);
          expect(used).toBeLessThanOrEqual(budgetTokens);
        }
        for (const member of output.order.subarray(packed)) {
          expect(lengths[member]).toBeGreaterThan(budgetTokens);
        }
      }),
      { numRuns: 200, seed: 20_252 },
    );
  });

  it('refuses negative lengths and an empty budget', () => {
    const output = createPackingOutput(1);
    const pack = (length: number, budgetTokens: number) =>
      masking.packFirstFitDecreasing({ lengths: Int32Array.of(length), budgetTokens }, output);
    expect(() => pack(-1, 4)).toThrow(InputError);
    expect(() => pack(1, 0)).toThrow(InputError);
  });
});
