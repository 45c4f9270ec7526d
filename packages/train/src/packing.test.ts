import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  countLabels,
  countTokens,
  packMicroBatches,
  spreadOverTokens,
  type TrainingExample,
} from './packing.ts';

const BUDGET = 24;

/** Ragged lengths, from 1 token to the whole budget; every id is unique in the list. */
const examplesArbitrary = fc
  .array(
    fc
      .integer({ min: 1, max: BUDGET })
      .chain((length) => fc.array(fc.constantFrom(0, 1), { minLength: length, maxLength: length })),
    { maxLength: 20 },
  )
  .map((masks) => {
    let id = 0;
    return masks.map((mask): TrainingExample => ({
      ids: mask.map(() => id++),
      mask: mask.with(0, 0),
    }));
  });

describe('packMicroBatches', () => {
  test('preserves every labelled token once, in order, with its own context', () => {
    fc.assert(
      fc.property(examplesArbitrary, (examples) => {
        const packed = packMicroBatches(examples, BUDGET);
        const labelled = packed.flatMap(({ batch }) =>
          [...batch.tokens].filter((_, t) => batch.lossMask[t] === 1),
        );
        const expected = examples.flatMap(({ ids, mask }) =>
          Array.from(ids).filter((_, t) => mask[t] === 1),
        );
        expect(labelled).toEqual(expected);
        for (const { batch, members } of packed) {
          members.forEach(({ example, start }, b) => {
            expect(batch.offsets[b]).toBe(start);
            const end = batch.offsets[b + 1] ?? 0;
            expect(Array.from(batch.tokens.subarray(start, end))).toEqual(Array.from(example.ids));
          });
        }
      }),
      { seed: 21 },
    );
  });

  test("keeps the port's contract: budget, increasing offsets, no label on a first token", () => {
    fc.assert(
      fc.property(examplesArbitrary, (examples) => {
        for (const { batch } of packMicroBatches(examples, BUDGET)) {
          const { tokens, offsets, lossMask } = batch;
          expect(tokens.length).toBeLessThanOrEqual(BUDGET);
          expect(lossMask.length).toBe(tokens.length);
          expect(offsets[0]).toBe(0);
          expect(offsets.at(-1)).toBe(tokens.length);
          for (let b = 1; b < offsets.length; b++) {
            expect(offsets[b]).toBeGreaterThan(offsets[b - 1] as number);
            expect(lossMask[offsets[b - 1] as number]).toBe(0);
          }
        }
      }),
      { seed: 22 },
    );
  });

  test('leaves out sequences without a label and packs nothing from nothing', () => {
    const silent = { ids: [1, 2], mask: [0, 0] };
    const speaking = { ids: [3, 4], mask: [0, 1] };
    const [only, ...rest] = packMicroBatches([silent, speaking, silent], BUDGET);
    expect(rest).toEqual([]);
    expect([...(only?.batch.tokens ?? [])]).toEqual([3, 4]);
    expect(packMicroBatches([silent], BUDGET)).toEqual([]);
  });

  test.each<[string, TrainingExample, RegExp]>([
    ['a trained first token', { ids: [1, 2], mask: [1, 1] }, /mask\[0\] = 0/],
    ['lengths that differ', { ids: [1, 2], mask: [0] }, /one length > 0, received 2 and 1/],
    ['no tokens', { ids: [], mask: [] }, /received 0 and 0/],
    ['a mask of 2', { ids: [1, 2], mask: [0, 2] }, /received 2 at token 1/],
    [
      'more tokens than the budget',
      { ids: new Int32Array(30), mask: new Uint8Array(30) },
      /at most 24/,
    ],
  ])('refuses an example with %s', (_, example, message) => {
    expect(() => packMicroBatches([example], BUDGET)).toThrow(message);
  });
});

test('spreadOverTokens puts a value on all tokens of its example, or each on its own', () => {
  const a = { ids: [1, 2], mask: [0, 1], value: 5 };
  const b = { ids: [3, 4, 5], mask: [0, 1, 1], value: 7 };
  const [packed] = packMicroBatches([a, b], BUDGET);
  if (!packed) throw new Error('expected one micro-batch');
  expect([...spreadOverTokens(packed, ({ value }) => value)]).toEqual([5, 5, 7, 7, 7]);
  expect([...spreadOverTokens(packed, ({ ids }) => ids)]).toEqual([1, 2, 3, 4, 5]);
});

test('counts tokens and labels', () => {
  const examples = [
    { ids: [1, 2], mask: [0, 1] },
    { ids: [3, 4, 5], mask: [0, 1, 1] },
  ];
  expect(countTokens(examples)).toBe(5);
  expect(countLabels(examples)).toBe(3);
});
